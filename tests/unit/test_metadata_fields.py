"""What fields may hold."""

import math

import pytest

from servers.common.errors import FieldInvalid
from servers.metadata import fields

UUID = "0b9ff9d4-6a3c-4b9e-9d0c-0c2d7f1f8a11"


def test_identifiers_are_kept_in_lower_case() -> None:
    assert fields.identifier("id", UUID.upper()) == UUID


@pytest.mark.parametrize(
    "value", ["", "x", UUID[:-1], f"{{{UUID}}}", f"urn:uuid:{UUID}", UUID.replace("-", ""), f"{UUID}\n"]
)
def test_what_is_no_uuid_is_refused(value: str) -> None:
    with pytest.raises(FieldInvalid, match=r"^id "):
        fields.identifier("id", value)


def test_an_identifier_nobody_chose_is_new_each_time() -> None:
    made = {fields.chosen_identifier("id", "") for _ in range(3)}
    assert len(made) == 3
    assert {fields.identifier("id", one) for one in made} == made


@pytest.mark.parametrize("value", ["a", "ă" * 10, "Bản tin"])
def test_good_texts(value: str) -> None:
    assert fields.text("title", value, 10) == value


@pytest.mark.parametrize("value", ["", "a" * 11, "   ", "\n\t", "a\x00b"])
def test_bad_texts(value: str) -> None:
    with pytest.raises(FieldInvalid):
        fields.text("title", value, 10)


def test_languages() -> None:
    assert [fields.language("language_code", value) for value in ("", "vi", "haw")] == ["", "vi", "haw"]
    for value in ("VI", "viet", "v", "v1", "vi-VN", "vi\n", "\x00\x00"):
        with pytest.raises(FieldInvalid):
            fields.language("language_code", value)


def test_probabilities() -> None:
    assert [fields.probability("confidence", value) for value in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]
    for value in (-0.01, 1.01, math.nan, math.inf, -math.inf):
        with pytest.raises(FieldInvalid):
            fields.probability("confidence", value)


def test_times() -> None:
    assert fields.time_ms("end_ms", 7, 7) == 7
    for value, earliest in ((-1, 0), (6, 7), (2**63 - 1, 0)):
        with pytest.raises(FieldInvalid):
            fields.time_ms("end_ms", value, earliest)


def test_numbers() -> None:
    assert [fields.number("size", value, 1, 3) for value in (1, 3)] == [1, 3]
    for value in (0, 4):
        with pytest.raises(FieldInvalid, match="between 1 and 3"):
            fields.number("size", value, 1, 3)


def test_known_values() -> None:
    assert fields.known("source", 0) == 0
    with pytest.raises(FieldInvalid):
        fields.known("source", None)
