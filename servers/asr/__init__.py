"""The speech server: live sessions and short recordings, transcribed by Whisper on Triton."""
