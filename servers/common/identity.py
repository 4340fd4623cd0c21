"""Who calls. Envoy checks the token and forwards its claims as headers; servers believe these headers and no others.

Servers listen where only the mesh reaches them, and Envoy strips the client's own copies of the headers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from servers.common.errors import IdentityMissing, ScopeMissing

SUBJECT = "x-ai2text-subject"
TENANT = "x-ai2text-tenant"
SCOPES = "x-ai2text-scopes"


@dataclass(frozen=True)
class Caller:
    """One authenticated caller."""

    tenant: str
    subject: str
    scopes: frozenset[str] = frozenset()

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The headers that pass this identity on to another server."""
        return ((TENANT, self.tenant), (SUBJECT, self.subject), (SCOPES, " ".join(sorted(self.scopes))))


def of(metadata: Iterable[tuple[str, str | bytes]] | None) -> Caller:
    """The caller named in the headers; IdentityMissing when the tenant or the subject is missing."""
    headers = {key: value for key, value in metadata or () if isinstance(value, str)}
    tenant, subject = headers.get(TENANT, ""), headers.get(SUBJECT, "")
    if not tenant or not subject:
        raise IdentityMissing("the call carries no checked identity; call through the edge with a bearer token")
    if not all(name.isascii() and name.isprintable() for name in (tenant, subject)):
        raise IdentityMissing("tenant and subject of a token must be printable ASCII, as headers are")
    return Caller(tenant, subject, frozenset(headers.get(SCOPES, "").split()))


def require(context: Any, scope: str) -> Caller:
    """The caller of a gRPC call, who must have `scope`."""
    caller = of(context.invocation_metadata())
    if scope not in caller.scopes:
        raise ScopeMissing(f"the token lacks the scope {scope!r}", scope=scope)
    return caller
