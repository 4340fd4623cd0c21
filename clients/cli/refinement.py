"""Texts made better to read, with what was changed in them."""

from collections.abc import Sequence
from typing import Any

from ai2text.nlp.v1 import refinement_pb2, text_service_pb2
from ai2text.nlp.v1.text_service_pb2_grpc import TextServiceStub
from rich.text import Text

from clients.cli.connection import Connection
from clients.cli.problem import UsageProblem

STEPS = {
    "diacritics": refinement_pb2.REFINEMENT_STEP_DIACRITICS,
    "tones": refinement_pb2.REFINEMENT_STEP_TONE_PLACEMENT,
    "numbers": refinement_pb2.REFINEMENT_STEP_NUMBERS,
    "punctuation": refinement_pb2.REFINEMENT_STEP_PUNCTUATION,
    "capitals": refinement_pb2.REFINEMENT_STEP_CAPITALISATION,
}
_NAMES = {value: name for name, value in STEPS.items()}
_STYLES = {"diacritics": "magenta", "tones": "cyan", "numbers": "yellow", "punctuation": "blue", "capitals": "green"}


def steps(names: str) -> list[refinement_pb2.RefinementStep]:
    """The steps named in a list with commas between them; UsageProblem when one is unknown."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in STEPS:
            raise UsageProblem(f"There is no step {name!r}.", f"The steps are: {', '.join(STEPS)}.")
    return [STEPS[name] for name in wanted]


async def refine(
    connection: Connection, text: str, language: str, wanted: Sequence[refinement_pb2.RefinementStep]
) -> text_service_pb2.RefineResponse:
    """Asks for one text. Raises Refusal."""
    request = text_service_pb2.RefineRequest(text=text, language_code=language, steps=wanted)
    response: text_service_pb2.RefineResponse = await connection.call(
        TextServiceStub(connection.channel).Refine, request
    )
    return response


def coloured(original: str, response: text_service_pb2.RefineResponse) -> Text:
    """The refined text, each change in the colour of its step; offsets are code points, as Python counts."""
    shown, at = Text(), 0
    for edit in response.edits:
        shown.append(original[at : edit.start])
        shown.append(edit.replacement, f"bold {_STYLES.get(_name(edit), 'red')}")
        at = edit.end
    shown.append(original[at:])
    return shown


def legend(response: text_service_pb2.RefineResponse) -> Text:
    """How many changes each step made, in its colour."""
    counts = {name: sum(_name(edit) == name for edit in response.edits) for name in _STYLES}
    made = [Text(f"{name} {count}", _STYLES[name]) for name, count in counts.items() if count]
    return Text(" · ").join(made) if made else Text("nothing to change", "dim")


def record(original: str, response: text_service_pb2.RefineResponse) -> dict[str, Any]:
    """The answer as JSON writes it."""
    return {
        "original": original,
        "text": response.text,
        "edits": [
            {"step": _name(edit), "start": edit.start, "end": edit.end, "replacement": edit.replacement}
            for edit in response.edits
        ],
        "steps": [_NAMES.get(step, str(step)) for step in response.steps],
    }


def _name(edit: refinement_pb2.SpanEdit) -> str:
    return _NAMES.get(edit.step, str(edit.step))
