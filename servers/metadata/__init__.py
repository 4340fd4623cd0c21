"""Metadata: recordings, their transcripts and segments, and the events that tell of new segments."""
