"""The names that callers see: ids of letters, and tokens of pages. Both are opaque to them."""

import hashlib
import re

from servers.common.errors import FieldInvalid, PageTokenInvalid

_ID = re.compile(r"([0-9a-f]{1,15})-([0-9a-f]{12})")  # no stream counts as far, and NATS takes no number beyond 64 bits
_DIGEST = 12


def letter_id(sequence: int, message_id: str) -> str:
    """The id of a letter: its place, and a digest of what it is, so that it never names another one."""
    return f"{sequence:x}-{_digest(message_id)}"


def sequence(given: str, field: str) -> int:
    """The place in an id; FieldInvalid names `field` when that is no id."""
    match = _ID.fullmatch(given)
    if match is None:
        raise FieldInvalid(field, "is no id of a dead letter")
    return int(match[1], 16)


def token(of: tuple[str, ...], place: int) -> str:
    """The token of the page that begins after `place` in the list with the filters `of`."""
    return f"{place:x}-{_digest(str(place), *of)}"


def place(of: tuple[str, ...], given: str) -> int:
    """The place in a token, 0 for the empty token of the first page; PageTokenInvalid for any other list's token."""
    if not given:
        return 0
    match = _ID.fullmatch(given)
    if match is None:
        raise PageTokenInvalid("page_token is not a token of this service")
    found = int(match[1], 16)
    if match[2] != _digest(str(found), *of):
        raise PageTokenInvalid("page_token was made for another list")
    return found


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:_DIGEST]
