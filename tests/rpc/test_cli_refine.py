"""`ai2text refine` against real gRPC on a real port: what is sent, what is printed, how it exits."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ai2text.nlp.v1 import refinement_pb2, text_service_pb2, text_service_pb2_grpc
from typer.testing import CliRunner, Result

from clients.cli.__main__ import app
from servers.common import errors
from tests.rpc.cli_edge import environment, listening
from tests.rpc.cli_speech import abort

NUMBERS = refinement_pb2.REFINEMENT_STEP_NUMBERS
PUNCTUATION = refinement_pb2.REFINEMENT_STEP_PUNCTUATION

Run = Callable[..., Result]


@dataclass
class Texts(text_service_pb2_grpc.TextServiceServicer):
    """Knows one number."""

    asked: list[text_service_pb2.RefineRequest] = field(default_factory=list)

    def Refine(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        if request.text == "quá":
            abort(context, errors.TextTooLong("text has more than 8192 characters", limit_characters="8192"))
        at, end = request.text.find("hai mươi"), len(request.text)
        if at < 0:
            return text_service_pb2.RefineResponse(text=request.text)
        edits = [
            refinement_pb2.SpanEdit(step=NUMBERS, start=at, end=at + 8, replacement="20"),
            refinement_pb2.SpanEdit(step=PUNCTUATION, start=end, end=end, replacement="."),
        ]
        text = request.text.replace("hai mươi", "20") + "."
        return text_service_pb2.RefineResponse(text=text, edits=edits, steps=[NUMBERS, PUNCTUATION])


@pytest.fixture
def texts() -> Texts:
    return Texts()


@pytest.fixture
def run(texts: Texts, tmp_path: Path) -> Iterator[Run]:
    with listening(partial(text_service_pb2_grpc.add_TextServiceServicer_to_server, texts)) as (port, _):
        environ = environment(f"http://127.0.0.1:{port}", tmp_path)
        yield lambda *args, answer="": CliRunner().invoke(app, ["refine", *args], input=answer, env=environ)


def test_the_text_is_printed_and_what_was_changed_is_said_beside_it(run: Run, texts: Texts) -> None:
    result = run("có", "hai mươi", "người")
    assert (result.exit_code, result.stdout) == (0, "có 20 người.\n")
    assert result.stderr == "numbers 1 · punctuation 1\n"
    assert (texts.asked[0].text, list(texts.asked[0].steps)) == ("có hai mươi người", [])


def test_a_text_may_come_from_standard_input_and_be_written_as_json(run: Run, texts: Texts) -> None:
    result = run("-", "--json", "--language", "vi", "--steps", "numbers, capitals", answer="hai mươi\nngười\n")
    assert json.loads(result.stdout) == {
        "original": "hai mươi\nngười",
        "text": "20\nngười.",
        "edits": [
            {"step": "numbers", "start": 0, "end": 8, "replacement": "20"},
            {"step": "punctuation", "start": 14, "end": 14, "replacement": "."},
        ],
        "steps": ["numbers", "punctuation"],
    }
    asked = texts.asked[0]
    assert (asked.language_code, list(asked.steps)) == ("vi", [NUMBERS, refinement_pb2.REFINEMENT_STEP_CAPITALISATION])


def test_nothing_to_change_is_said(run: Run) -> None:
    assert run("chào").stderr == "nothing to change\n"


def test_an_unknown_step_is_a_wrong_use(run: Run, texts: Texts) -> None:
    result = run("chào", "--steps", "spelling")
    assert (result.exit_code, texts.asked) == (2, [])
    assert "diacritics, tones, numbers, punctuation, capitals" in result.stderr


def test_a_refusal_is_a_sentence(run: Run) -> None:
    result = run("quá")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "8192 characters" in result.stderr
