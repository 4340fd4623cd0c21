"""One module for each command: its options, and a few lines over the functions that do the work."""
