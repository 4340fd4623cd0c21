"""Search: finds the moment at which something was said, by meaning and by its words."""
