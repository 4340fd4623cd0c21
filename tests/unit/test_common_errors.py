"""The error table: every expected error has a code, a reason of the contract, and what a caller needs to go on."""

import base64
from urllib.parse import quote

import pytest
from ai2text.common.v1 import errors_pb2
from google.rpc import code_pb2, error_details_pb2

from servers.common import errors, status


def subclasses(kind: type[errors.Ai2TextError]) -> set[type[errors.Ai2TextError]]:
    return {kind} | {deeper for direct in kind.__subclasses__() for deeper in subclasses(direct)}


def test_reasons_are_those_of_the_contract_and_each_is_used() -> None:
    raised = {status.REASON_PREFIX + kind.reason for kind in subclasses(errors.Ai2TextError)}
    declared = set(errors_pb2.ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}
    assert raised == declared


def test_every_error_but_the_base_has_a_code_of_its_own() -> None:
    unmapped = {
        kind
        for kind in subclasses(errors.Ai2TextError)
        if not any(issubclass(kind, mapped) for mapped, _ in status.CODES)
    }
    assert unmapped == {errors.Ai2TextError}


def test_a_foreign_error_tells_nothing_of_itself() -> None:
    answer = status.of(ValueError("password=hunter2"))
    assert answer.code == code_pb2.INTERNAL
    assert "hunter2" not in str(answer)


def test_a_field_is_named_and_a_retry_is_timed() -> None:
    violation, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    assert status.of(errors.FieldInvalid("query", "is empty")).details[1].Unpack(violation)
    assert violation.field_violations[0].field == "query"
    assert status.of(errors.DependencyUnavailable("triton")).details[1].Unpack(retry)
    assert retry.retry_delay.seconds == 2


@pytest.mark.parametrize("kind", [errors.NotFound, errors.IdentityMissing, errors.AlreadyExists])
def test_no_retry_is_advised_where_it_does_not_help(kind: type[errors.Ai2TextError]) -> None:
    assert len(status.of(kind("no")).details) == 1


@pytest.mark.parametrize("letter", ["a", "ộ", "😀"])
def test_what_a_caller_sent_cannot_make_a_status_too_long_for_headers(letter: str) -> None:
    told = letter * 100_000
    for error in (
        errors.LanguageUnsupported(f"the model does not know the language {told}", language_code=told),
        errors.FieldInvalid("subject", f"must not be {told}"),
    ):
        answer = status.of(error)
        details = base64.b64encode(answer.SerializeToString())
        assert len(quote(answer.message)) + len(details) < 7500
        assert answer.message.endswith(f"{letter}…")


def test_what_is_short_is_told_whole() -> None:
    info = error_details_pb2.ErrorInfo()
    parts = ",".join(map(str, range(1, 101)))
    answer = status.of(errors.UploadIncomplete("parts are missing", missing_parts=parts))
    assert answer.message == "parts are missing"
    assert answer.details[0].Unpack(info)
    assert info.metadata["missing_parts"] == parts
