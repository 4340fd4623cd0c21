"""The caller, as the edge's headers name it."""

from types import SimpleNamespace

import pytest

from servers.common import identity
from servers.common.errors import IdentityMissing, ScopeMissing
from servers.common.identity import Caller

LAN = Caller("acme", "lan", frozenset({"speech", "search"}))


def test_what_one_server_passes_on_the_next_one_reads() -> None:
    assert identity.of(LAN.metadata()) == LAN


@pytest.mark.parametrize("missing", [identity.TENANT, identity.SUBJECT])
def test_tenant_and_subject_are_required(missing: str) -> None:
    with pytest.raises(IdentityMissing):
        identity.of([(key, value) for key, value in LAN.metadata() if key != missing])


@pytest.mark.parametrize("subject", ["Nguyễn", "a\nb"])
def test_names_that_no_header_can_pass_on_are_refused(subject: str) -> None:
    with pytest.raises(IdentityMissing):
        identity.of(Caller("acme", subject).metadata())


def test_a_scope_is_required_whole() -> None:
    context = SimpleNamespace(invocation_metadata=LAN.metadata)
    assert identity.require(context, "speech") == LAN
    with pytest.raises(ScopeMissing):
        identity.require(context, "spee")
