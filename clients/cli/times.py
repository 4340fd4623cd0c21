"""Positions in audio as people and subtitle files write them."""


def clock(ms: int) -> str:
    """`1:02` or `1:00:02`: minutes and seconds, hours where there are any."""
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def full(ms: int) -> str:
    """`0:01:02`: always with hours, so that times below each other compare at a glance."""
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def precise(ms: int) -> str:
    """`1:02.3`: the same with tenths of a second."""
    return f"{clock(ms)}.{ms % 1000 // 100}"


def timestamp(ms: int, separator: str) -> str:
    """`00:01:02,345`: as SubRip (with a comma) and WebVTT (with a point) write it."""
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{separator}{rest:03}"
