"""The containers of sound and video that are read from files of callers: what FFmpeg takes for another is refused.

It knows formats that name other files or addresses, such as play lists and lists of files: whoever sends one would have
a server read what lies there. None of them is among these, nor is one of pictures. Whoever opens such a file, at
whichever stage, opens it with OPTIONS, and as a file object, so that FFmpeg itself opens nothing.
"""

FORMATS = (
    "wav", "w64", "aiff", "au", "caf", "flac", "ogg", "mp3", "aac", "amr", "ac3", "eac3", "wv", "matroska", "mov",
    "asf", "avi", "mpegts", "mpeg", "flv",
)  # fmt: skip
"""FFmpeg's names of them."""
OPTIONS = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "none"}
"""For `av.open`."""
