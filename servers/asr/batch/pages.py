"""Page tokens of the list of operations: opaque, and good only for the tenant and the filter that they came with."""

import base64
import binascii
import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime

from servers.common.errors import PageTokenInvalid

DEFAULT_SIZE = 50
LONGEST = 200
MOST_FILES = 10_000
"""Files on a page, unless one operation alone has more."""

_DIGEST_BYTES = 9


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation stands in the list, the newest first."""

    create_time: datetime
    operation_id: str


def token(place: Place, of: tuple[str, ...]) -> str:
    """The token of the page behind `place` in the list that `of` names."""
    written = f"{place.create_time.isoformat()} {place.operation_id}"
    return base64.urlsafe_b64encode(_digest(of, written) + written.encode()).decode().rstrip("=")


def place(token: str, of: tuple[str, ...]) -> Place | None:
    """What a token names, None for the first page's; PageTokenInvalid when that is another list."""
    if not token:
        return None
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        digest, written = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:].decode()
    except (binascii.Error, UnicodeError) as error:
        raise PageTokenInvalid("page_token is not a token of this service") from error
    if digest != _digest(of, written):
        raise PageTokenInvalid("page_token was made for another list")
    return _place(written)


def _place(written: str) -> Place:
    """The digest keeps tokens apart, and is no secret: what goes with it may be anything."""
    time, _, operation_id = written.partition(" ")
    try:
        place = Place(datetime.fromisoformat(time), str(uuid.UUID(operation_id)))
        if place.create_time.tzinfo is None:
            raise ValueError(time)
        return place
    except ValueError as error:
        raise PageTokenInvalid("page_token is not a token of this service") from error


def _digest(of: tuple[str, ...], written: str) -> bytes:
    return hashlib.sha256("\x00".join((*of, written)).encode()).digest()[:_DIGEST_BYTES]
