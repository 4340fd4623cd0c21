"""Admin: what operators need of the pipeline: its dead letters, its backlogs."""
