"""Batch transcription of recordings that are stored: a deployment of its own, apart from live speech."""
