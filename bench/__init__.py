"""Benchmarks: each prints what ran and where, puts a peer beside us, and writes build/bench/<name>.json."""
