"""DeadLetterService over a real port: pages, filters, what is replayed and discarded, and every way to be refused."""

from collections.abc import AsyncIterator
from datetime import UTC
from typing import Any

import grpc
import pytest
from ai2text.admin.v1.dead_letter_service_pb2 import (
    DeadLetterSelection,
    DiscardDeadLettersRequest,
    GetDeadLetterRequest,
    ListDeadLettersRequest,
    ReplayDeadLettersRequest,
)
from ai2text.admin.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub
from ai2text.events.v1 import transcript_events_pb2

from servers.admin import dead_letters, names
from tests.fakes.graveyard import BURIED_AT, LETTER, Letters
from tests.rpc.admin_server import ALLOWED, admin
from tests.rpc.embeddings_server import headers
from tests.rpc.refusals import refusal

SOME_ID = names.letter_id(1, "somewhere else")
INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


@pytest.fixture
def letters() -> Letters:
    return Letters()


@pytest.fixture
async def stub(letters: Letters) -> AsyncIterator[DeadLetterServiceStub]:
    async with admin(letters) as stub:
        yield stub


async def listed(stub: DeadLetterServiceStub, **fields: Any) -> tuple[list[str], str]:
    """The ids of a page and the token of the next."""
    answer = await stub.ListDeadLetters(ListDeadLettersRequest(**fields), metadata=ALLOWED)
    return [letter.dead_letter_id for letter in answer.dead_letters], answer.next_page_token


def replay(*ids: str, **filters: str) -> ReplayDeadLettersRequest:
    return ReplayDeadLettersRequest(selection=DeadLetterSelection(dead_letter_ids=ids, **filters))


def discard(*ids: str, **filters: str) -> DiscardDeadLettersRequest:
    return DiscardDeadLettersRequest(selection=DeadLetterSelection(dead_letter_ids=ids, **filters))


async def test_a_letter_says_what_is_known_of_it(stub: DeadLetterServiceStub, letters: Letters) -> None:
    event = transcript_events_pb2.TranscriptFinalized(event_id="e7", tenant="acme")
    buried = letters.bury(event.SerializeToString())
    answer = await stub.GetDeadLetter(GetDeadLetterRequest(dead_letter_id=buried.letter_id), metadata=ALLOWED)
    told = answer.dead_letter
    assert (told.dead_letter_id, told.subject, told.consumer) == (
        buried.letter_id,
        "transcript.finalized",
        "embeddings",
    )
    assert (told.reason, told.tries, told.tenant, told.event_id) == (LETTER.reason, 1, "acme", "e7")
    assert (told.trace_id, told.payload_bytes) == (LETTER.trace_id, len(event.SerializeToString()))
    assert told.bury_time.ToDatetime(tzinfo=UTC) == BURIED_AT
    assert answer.payload == event.SerializeToString()
    assert answer.event_json == '{"eventId": "e7", "tenant": "acme"}'


@pytest.mark.parametrize(
    ("payload", "subject"), [(b"\xff\xff", "transcript.finalized"), (b"", "unheard.of"), (b"\xff\xff", "unheard.of")]
)
async def test_what_is_no_event_has_no_json(
    stub: DeadLetterServiceStub, letters: Letters, payload: bytes, subject: str
) -> None:
    buried = letters.bury(payload, subject=subject)
    answer = await stub.GetDeadLetter(GetDeadLetterRequest(dead_letter_id=buried.letter_id), metadata=ALLOWED)
    assert (answer.payload, answer.event_json) == (payload, "")


async def test_pages_follow_each_other_and_letters_keep_their_ids(
    stub: DeadLetterServiceStub, letters: Letters
) -> None:
    ids = [letters.bury().letter_id for _ in range(5)]
    first, token = await listed(stub, page_size=2)
    second, token = await listed(stub, page_size=2, page_token=token)
    third, last = await listed(stub, page_size=2, page_token=token)
    assert [first, second, third, last] == [ids[:2], ids[2:4], ids[4:], ""]
    assert await listed(stub) == (ids, "")
    answer = await stub.ListDeadLetters(ListDeadLettersRequest(page_size=1, tenant="nobody"), metadata=ALLOWED)
    assert (len(answer.dead_letters), answer.total_count) == (0, 5)


async def test_a_page_of_50_unless_told_otherwise_and_1000_at_most(
    stub: DeadLetterServiceStub, letters: Letters
) -> None:
    for _ in range(1001):
        letters.bury()
    assert [len((await listed(stub, page_size=size))[0]) for size in (0, 7, 5000)] == [50, 7, 1000]


async def test_filters_apply_together(stub: DeadLetterServiceStub, letters: Letters) -> None:
    plain = letters.bury()
    other = letters.bury(subject="recording.uploaded", consumer="batch", tenant="other")
    letters.bury(tenant="other")
    assert await listed(stub, subject="recording.uploaded") == ([other.letter_id], "")
    assert await listed(stub, consumer="embeddings", tenant="acme") == ([plain.letter_id], "")
    assert await listed(stub, consumer="batch", tenant="acme") == ([], "")


async def test_a_page_ends_where_it_has_looked_at_enough(
    stub: DeadLetterServiceStub, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MOST_LOOKED_AT", 3)
    for _ in range(4):
        letters.bury()
    wanted = letters.bury(tenant="other")
    none, token = await listed(stub, tenant="other")
    assert (none, token != "") == ([], True)
    assert await listed(stub, tenant="other", page_token=token) == ([wanted.letter_id], "")


async def test_replay_takes_the_letters_that_are_meant_and_leaves_the_others(
    stub: DeadLetterServiceStub, letters: Letters
) -> None:
    first, second, third = letters.bury(), letters.bury(tenant="other"), letters.bury()
    answer = await stub.ReplayDeadLetters(replay(third.letter_id, second.letter_id, tenant="acme"), metadata=ALLOWED)
    assert (answer.replayed_count, answer.orphaned_count) == (1, 0)
    assert letters.replayed == [third.letter_id]
    assert (await listed(stub))[0] == [first.letter_id, second.letter_id]


async def test_a_second_replay_does_nothing(stub: DeadLetterServiceStub, letters: Letters) -> None:
    buried = letters.bury()
    counts = [
        (await stub.ReplayDeadLetters(replay(buried.letter_id), metadata=ALLOWED)).replayed_count for _ in range(2)
    ]
    assert counts == [1, 0]
    assert len(letters.replayed) == 1


async def test_letters_of_a_consumer_that_is_gone_stay(stub: DeadLetterServiceStub, letters: Letters) -> None:
    orphan = letters.bury(consumer="search-42")
    letters.bury()
    answer = await stub.ReplayDeadLetters(replay(), metadata=ALLOWED)
    assert (answer.replayed_count, answer.orphaned_count) == (1, 1)
    assert (await listed(stub))[0] == [orphan.letter_id]


async def test_an_empty_selection_is_all_of_them(stub: DeadLetterServiceStub, letters: Letters) -> None:
    for _ in range(dead_letters.AT_ONCE * 2 + 1):
        letters.bury()
    answer = await stub.ReplayDeadLetters(replay(), metadata=ALLOWED)
    assert answer.replayed_count == dead_letters.AT_ONCE * 2 + 1
    assert not letters.letters_


async def test_what_dies_again_meanwhile_is_not_replayed_by_the_same_call(letters: Letters) -> None:
    class Deadly(Letters):
        """Each letter that goes back dies again at once."""

        async def letters(self, after, subject):  # type: ignore[no-untyped-def]
            while after < self.last:
                after += 1
                if after in self.letters_:
                    yield self.letters_[after][0]

        async def replay(self, letter):  # type: ignore[no-untyped-def]
            self.bury()
            return await super().replay(letter)

    deadly = Deadly()
    deadly.bury()
    deadly.bury()
    async with admin(deadly) as stub:
        answer = await stub.ReplayDeadLetters(replay(), metadata=ALLOWED, timeout=10)
    assert answer.replayed_count == 2
    assert sorted(deadly.letters_) == [3, 4]


async def test_discard_removes_for_good_and_counts_what_was_there(
    stub: DeadLetterServiceStub, letters: Letters
) -> None:
    first, second = letters.bury(), letters.bury(tenant="other")
    for count in (1, 0):
        answer = await stub.DiscardDeadLetters(discard(first.letter_id), metadata=ALLOWED)
        assert answer.discarded_count == count
    assert (await stub.DiscardDeadLetters(discard(tenant="acme"), metadata=ALLOWED)).discarded_count == 0
    assert list(letters.letters_) == [second.sequence]
    assert (await stub.DiscardDeadLetters(discard(), metadata=ALLOWED)).discarded_count == 1
    assert not letters.replayed


async def test_an_id_does_not_name_another_letter_at_the_same_place(
    stub: DeadLetterServiceStub, letters: Letters
) -> None:
    letters.bury()
    refused = await refusal(stub.GetDeadLetter(GetDeadLetterRequest(dead_letter_id=SOME_ID), metadata=ALLOWED))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "DEAD_LETTER_NOT_FOUND")
    assert refused.metadata == {"dead_letter_id": SOME_ID}
    assert (await stub.DiscardDeadLetters(discard(SOME_ID), metadata=ALLOWED)).discarded_count == 0


@pytest.mark.parametrize("given", ["", "7", "x-0123456789ab", "1-0123456789AB", f"{'f' * 17}-0123456789ab", "1-é"])
async def test_what_is_no_id_is_refused(stub: DeadLetterServiceStub, letters: Letters, given: str) -> None:
    kept = letters.bury()
    refused = await refusal(stub.GetDeadLetter(GetDeadLetterRequest(dead_letter_id=given), metadata=ALLOWED))
    assert (refused.code, refused.reason, refused.field) == (*INVALID, "dead_letter_id")
    for call in (
        stub.ReplayDeadLetters(replay(kept.letter_id, given), metadata=ALLOWED),
        stub.DiscardDeadLetters(discard(kept.letter_id, given), metadata=ALLOWED),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason, refused.field) == (*INVALID, "selection.dead_letter_ids")
    assert kept.sequence in letters.letters_


async def test_wrong_fields_are_named(stub: DeadLetterServiceStub) -> None:
    for call, field in (
        (stub.ReplayDeadLetters(ReplayDeadLettersRequest(), metadata=ALLOWED), "selection"),
        (stub.DiscardDeadLetters(DiscardDeadLettersRequest(), metadata=ALLOWED), "selection"),
        (stub.ReplayDeadLetters(replay(*[SOME_ID] * 1001), metadata=ALLOWED), "selection.dead_letter_ids"),
        (stub.DiscardDeadLetters(discard(*[SOME_ID] * 1001), metadata=ALLOWED), "selection.dead_letter_ids"),
        (stub.ListDeadLetters(ListDeadLettersRequest(subject="x > y"), metadata=ALLOWED), "subject"),
        (stub.ReplayDeadLetters(replay(subject=">"), metadata=ALLOWED), "selection.subject"),
        (stub.DiscardDeadLetters(discard(subject="*"), metadata=ALLOWED), "selection.subject"),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason, refused.field) == (*INVALID, field)


async def test_a_token_of_another_list_is_refused(stub: DeadLetterServiceStub, letters: Letters) -> None:
    letters.bury()
    letters.bury()
    _, token = await listed(stub, page_size=1)
    beyond = names.token(
        ("", "", ""), 2**64 - 1
    )  # whose digest takes no secret; the place after it is no number to NATS
    for wrong in (
        ListDeadLettersRequest(page_token=token, tenant="acme"),
        ListDeadLettersRequest(page_token="7 é"),
        ListDeadLettersRequest(page_token=beyond),
    ):
        refused = await refusal(stub.ListDeadLetters(wrong, metadata=ALLOWED))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


def every_call(stub: DeadLetterServiceStub, metadata: Any) -> list[Any]:
    return [
        stub.ListDeadLetters(ListDeadLettersRequest(), metadata=metadata),
        stub.GetDeadLetter(GetDeadLetterRequest(dead_letter_id=SOME_ID), metadata=metadata),
        stub.ReplayDeadLetters(replay(), metadata=metadata),
        stub.DiscardDeadLetters(discard(), metadata=metadata),
    ]


async def test_every_method_needs_an_identity_and_the_scope(stub: DeadLetterServiceStub, letters: Letters) -> None:
    letters.bury()
    for call in every_call(stub, None):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "IDENTITY_MISSING")
    for call in every_call(stub, headers("recordings.read", "recordings.write", "search")):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert len(letters.letters_) == 1


async def test_while_nats_is_away_every_method_says_so(stub: DeadLetterServiceStub, letters: Letters) -> None:
    letters.away = True
    for call in every_call(stub, ALLOWED):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
        assert refused.metadata == {"dependency": "nats"}
        assert refused.retry_s
