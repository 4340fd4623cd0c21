"""The drill of the dead letters: each kind of poison, put in, given up, mended, replayed. `make drill-dlq`."""
