"""NLP: the text of a speech model made better to read, each change told as an edit of the original."""
