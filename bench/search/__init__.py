"""Search over ten million segments: vectors and sentences to search, drawn around real ones."""
