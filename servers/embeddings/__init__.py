"""The embedding server: texts to vectors, for callers, and for each final that was stored."""
