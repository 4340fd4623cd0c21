"""`make demo`: three clips spoken to the mesh, and what was said in them found again."""
