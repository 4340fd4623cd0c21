"""Settings that are a share."""


def percent(name: str, given: str) -> int:
    """What the setting `name` says. Raises ValueError unless that is a whole number from 0 to 100."""
    if not given.isdecimal() or int(given) > 100:
        raise ValueError(f"{name} must be a whole number from 0 to 100, not {given!r}")
    return int(given)
