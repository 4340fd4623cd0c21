"""The embedder's model inside Triton, of which there is only what it says to Triton: what can wait goes beside."""

import importlib.util
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

FINAL = 1
SOURCE = Path(__file__).parents[2] / "triton_models" / "embedder" / "1" / "model.py"


class TritonError(str):
    """A message; the code is let go."""

    INVALID_ARG = 3

    def __new__(cls, message: str, code: int = 0) -> "TritonError":
        return str.__new__(cls, message)


class Answer:
    """An InferenceResponse; its vector is the length of the text."""

    def __init__(self, tensors: Sequence[Any] = (), error: str | None = None) -> None:
        self.told = error or tensors[0].rows.reshape(-1).tolist()


class Sender:
    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.answered = threading.Event()

    def send(self, answer: Answer, flags: int) -> None:
        assert flags == FINAL
        self.answers.append(answer.told)
        self.answered.set()


class Request:
    """One text for each kind."""

    def __init__(self, text: str, *kinds: str, query: str | None = None) -> None:
        self.tensors = {"TEXT": [text] * len(kinds), "KIND": list(kinds)}
        if query is not None:
            self.tensors["QUERY"] = [query] * len(kinds)
        self.sender = Sender()

    def get_response_sender(self) -> Sender:
        return self.sender

    def told(self) -> list[Any]:
        """What it was told; only once."""
        assert self.sender.answered.wait(10)
        (answer,) = self.sender.answers
        return list(answer) if isinstance(answer, list) else [answer]


class FakeEncoder:
    """Patient texts wait for `going_on`."""

    def __init__(self, many_at_once: bool) -> None:
        self.prompts: dict[str, str] = {}
        self.many_at_once = many_at_once
        self.going_on = threading.Event()
        self.batches: list[tuple[list[str], bool]] = []

    def vectors(self, texts: Sequence[str], patient: bool = False) -> Any:
        if patient:
            assert self.going_on.wait(10)
        if "broken" in texts:
            raise RuntimeError("broken")
        self.batches.append((list(texts), patient))
        return np.array([[len(text)] for text in texts], np.float32)

    def closeness(self, pairs: Sequence[tuple[str, str]]) -> Any:
        return np.full(len(pairs), 0.5, np.float32)


def _tensor(request: Request, name: str) -> Any:
    values = request.tensors.get(name)
    if values is None:
        return None
    return SimpleNamespace(as_numpy=lambda: np.array([value.encode() for value in values], object).reshape(-1, 1))


@pytest.fixture(params=[True])
def encoder(request: pytest.FixtureRequest) -> FakeEncoder:
    return FakeEncoder(many_at_once=request.param)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, encoder: FakeEncoder) -> Iterator[Any]:
    utils = SimpleNamespace(
        get_input_tensor_by_name=_tensor,
        Tensor=lambda name, rows: SimpleNamespace(name=name, rows=rows),
        InferenceResponse=Answer,
        TritonError=TritonError,
        TRITONSERVER_RESPONSE_COMPLETE_FINAL=FINAL,
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", utils)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "encoder", SimpleNamespace(load=lambda folder, device: encoder))  # type: ignore[arg-type]
    monkeypatch.setenv("AI2TEXT_EMBEDDER_MODEL", "anything")
    spec = importlib.util.spec_from_file_location("embedder_model", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.TritonPythonModel()
    made.initialize({})
    yield made
    encoder.going_on.set()
    made.finalize()


def test_a_question_does_not_wait_for_the_passages_beside_it(model: Any, encoder: FakeEncoder) -> None:
    passages, question, closeness = (
        Request("passage", "passage", ""),
        Request("mưa", "query"),
        Request("a", "", query="b"),
    )
    assert model.execute([passages, question, closeness]) is None
    assert question.told() == [3.0]
    assert closeness.told() == [0.5]
    assert not passages.sender.answers
    encoder.going_on.set()
    assert passages.told() == [7.0, 7.0]
    assert encoder.batches == [(["mưa"], False), (["passage", "passage"], True)]


def test_the_next_batch_goes_past_passages_that_wait(model: Any, encoder: FakeEncoder) -> None:
    passage = Request("passage", "passage")
    assert model.execute([passage]) is None
    assert [answer.told for answer in model.execute([Request("mưa", "query")])] == [[3.0]]
    encoder.going_on.set()
    assert passage.told() == [7.0]


def test_a_request_with_both_is_one_that_somebody_waits_for(model: Any, encoder: FakeEncoder) -> None:
    assert [answer.told for answer in model.execute([Request("mưa", "query", "passage")])] == [[3.0, 3.0]]
    assert encoder.batches == [(["mưa", "mưa"], False)]


def test_what_fails_is_told_to_each_and_to_no_other(model: Any, encoder: FakeEncoder) -> None:
    encoder.going_on.set()
    broken, other, unusable, question = (
        Request("broken", "passage"), Request("x", "passage"), Request("x", "title"), Request("mưa", "query"),
    )  # fmt: skip
    assert model.execute([broken, other, unusable, question]) is None
    assert question.told() == [3.0]
    assert "KIND must be query or passage" in unusable.told()[0]
    for request in (broken, other):
        assert request.told() == ["RuntimeError('broken')"]
    later = Request("later", "passage")
    model.execute([later])
    assert later.told() == [5.0]


def test_the_end_comes_after_what_waits(model: Any, encoder: FakeEncoder) -> None:
    passage = Request("passage", "passage")
    model.execute([passage])
    threading.Timer(0.05, encoder.going_on.set).start()
    model.finalize()
    assert passage.sender.answers == [[7.0]]


@pytest.mark.parametrize("encoder", [False], indirect=True)
def test_where_one_thread_only_may_use_the_model_all_go_together(model: Any, encoder: FakeEncoder) -> None:
    answers = model.execute([Request("passage", "passage"), Request("mưa", "query")])
    assert [answer.told for answer in answers] == [[7.0], [3.0]]
    assert encoder.batches == [(["passage", "mưa"], False)]
