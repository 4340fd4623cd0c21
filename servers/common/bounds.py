"""Bounds that several servers hold alike."""

MAX_CHANNELS = 8
"""The most channels of one stream, and of a recording; they are counted from 0."""
