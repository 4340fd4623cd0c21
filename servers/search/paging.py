"""Pages of a search: a token names what the pages before have had, and the next page has the best of what is left.

So nothing comes twice, whatever is added or deleted in between, and nobody has to keep anything for who asks. Of each
hit the token holds 32 bits; that another hit has the same, and is left out, happens once in a million hits.

A digest binds the token to what was asked, and by whom. It is no secret: a token gives no access.
"""

import base64
import binascii
import hashlib
from collections.abc import Collection, Iterator

from servers.common.errors import PageTokenInvalid

MOST_GIVEN = 1000
"""Hits, or recordings, on all pages together."""

DEPTHS = (100, 250, 500, 1000)
"""How many candidates a ranking brings: as few as will do. Between two of these, pages continue each other exactly."""

_DIGEST_BYTES = 8
_MARK_BYTES = 4
_LONGEST = 4 * (_DIGEST_BYTES + MOST_GIVEN * _MARK_BYTES) // 3 + 3


def mark(number: int) -> int:
    """What a token keeps of a hit, or of a recording."""
    return number & 0xFFFFFFFF


def token(of: str, given: Collection[int]) -> str:
    """The token of the page that comes after those with these marks, of what was asked as `of`."""
    marks = b"".join(one.to_bytes(_MARK_BYTES, "big") for one in given)
    return base64.urlsafe_b64encode(_digest(of, marks) + marks).decode().rstrip("=")


def given(of: str, page_token: str) -> tuple[int, ...]:
    """The marks of what earlier pages had; none for the empty token. PageTokenInvalid when it is of another request."""
    if not page_token:
        return ()
    raw = _decoded(page_token)
    marks = raw[_DIGEST_BYTES:]
    if len(raw) < _DIGEST_BYTES or len(marks) % _MARK_BYTES or raw[:_DIGEST_BYTES] != _digest(of, marks):
        raise PageTokenInvalid("page_token was made for another request", field="page_token")
    return tuple(int.from_bytes(marks[at : at + _MARK_BYTES], "big") for at in range(0, len(marks), _MARK_BYTES))


def depths(wanted: int) -> Iterator[int]:
    """How deep to look for `wanted` hits, those of earlier pages included: first as little as may do, then deeper."""
    enough = next((at for at, depth in enumerate(DEPTHS) if depth >= wanted), len(DEPTHS) - 1)
    return iter(DEPTHS[enough:])


def _decoded(page_token: str) -> bytes:
    try:
        if len(page_token) > _LONGEST:
            raise ValueError
        return base64.b64decode(page_token + "=" * (-len(page_token) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise PageTokenInvalid("page_token is not a token of this service", field="page_token") from error


def _digest(of: str, marks: bytes) -> bytes:
    return hashlib.blake2b(of.encode(errors="surrogatepass") + b"\0" + marks, digest_size=_DIGEST_BYTES).digest()
