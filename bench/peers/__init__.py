"""Other people's ways of doing the same, with the same weights on the same cores."""
