"""Pages of long lists: how many items, and opaque tokens that say where the next page begins.

A token holds the last item's place and a digest over the place and the list it belongs to (method, tenant, parent).
The digest keeps a token from being used with another list; it is no secret, since a place gives no access: which rows
are seen is decided by the tenant alone.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from servers.common.errors import PageTokenInvalid

LONGEST = 1000
"""Items on a page at most."""

_DIGEST_BYTES = 9

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some items of a list in its order, and the token of the next page, empty on the last."""

    items: Sequence[T]
    next_token: str


def size(asked: int, default: int) -> int:
    """How many items a page gets: `default` when 0 are asked for, LONGEST at most."""
    return min(asked or default, LONGEST)


def page(found: Sequence[T], wanted: int, of: tuple[str, ...], place: Callable[[T], str]) -> Page[T]:
    """The page of the first `wanted` of the items found, of which there is one more when another page follows."""
    items = found[:wanted]
    return Page(items, token(of, place(items[-1])) if len(found) > len(items) else "")


def token(of: tuple[str, ...], place: str) -> str:
    """The token of the page that begins after `place` in the list named by `of`."""
    return base64.urlsafe_b64encode(_digest(of, place) + place.encode()).decode().rstrip("=")


def place(of: tuple[str, ...], token: str) -> str | None:
    """The place in a token, None for the empty token of the first page; PageTokenInvalid for any other list's token."""
    if not token:
        return None
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        digest, place = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:].decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise PageTokenInvalid("page_token is not a token of this service") from error
    if digest != _digest(of, place):
        raise PageTokenInvalid("page_token was made for another list")
    return place


def _digest(of: tuple[str, ...], place: str) -> bytes:
    return hashlib.sha256("\x00".join((*of, place)).encode()).digest()[:_DIGEST_BYTES]
