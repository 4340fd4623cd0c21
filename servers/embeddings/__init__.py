"""Embeddings: vectors of texts, by a sentence-transformers model on Triton, and of every final segment."""
