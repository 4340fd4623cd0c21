"""Passages that go to the model together."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from servers.common.errors import DependencyUnavailable, InvalidInput
from servers.embeddings.embedding import Kind, ModelFailed, Vector
from servers.embeddings.gathering import CHARACTERS_TOGETHER, Gathering


class Model:
    """Embeds a text as its length, when it may go on; what it was asked is kept."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.going_on = asyncio.Event()
        self.errors: dict[str, Exception] = {}

    async def encode_all(self, texts: Sequence[str], kind: Kind) -> Sequence[Vector]:
        self.asked.append(list(texts))
        await self.going_on.wait()
        for text in texts:
            if text in self.errors:
                raise self.errors[text]
        return [np.array([len(text)], np.float32) for text in texts]


@pytest.fixture
async def model() -> Model:
    return Model()


def passages(gathering: Gathering, *texts: str) -> list[asyncio.Task[Vector]]:
    return [asyncio.create_task(gathering.encode(text, Kind.PASSAGE)) for text in texts]


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_those_that_come_in_the_same_moment_go_together(model: Model) -> None:
    gathering = Gathering(model, at_once=1, together=3)
    model.going_on.set()
    vectors = await asyncio.gather(*passages(gathering, "a", "bb", "ccc", "dddd"))
    assert model.asked == [["a", "bb", "ccc"], ["dddd"]]
    assert [vector.tolist() for vector in vectors] == [[1], [2], [3], [4]]


async def test_those_that_come_meanwhile_wait_and_go_together(model: Model) -> None:
    gathering = Gathering(model, at_once=2, together=8)
    tasks = []
    for text in ("a", "b", "c", "d"):
        tasks += passages(gathering, text)
        await turns()
    assert model.asked == [["a"], ["b"]]
    model.going_on.set()
    await asyncio.gather(*tasks)
    assert model.asked == [["a"], ["b"], ["c", "d"]]


async def test_a_query_goes_at_once_and_alone(model: Model) -> None:
    gathering = Gathering(model, at_once=1, together=8)
    tasks = passages(gathering, "a", "b")
    await turns()
    tasks += [asyncio.create_task(gathering.encode(text, Kind.QUERY)) for text in ("c", "d")]
    await turns()
    assert model.asked == [["a", "b"], ["c"], ["d"]]
    model.going_on.set()
    await asyncio.gather(*tasks)


async def test_long_texts_do_not_go_together(model: Model) -> None:
    gathering = Gathering(model, at_once=1, together=8)
    model.going_on.set()
    half, whole = "h" * (CHARACTERS_TOGETHER // 2), "w" * (CHARACTERS_TOGETHER + 1)
    await asyncio.gather(*passages(gathering, half, half, "a", whole, "b"))
    assert model.asked == [[half, half], ["a"], [whole], ["b"]]


@pytest.mark.parametrize("error", [ModelFailed(), InvalidInput("the model refuses its input")])
async def test_a_text_at_which_the_model_fails_fails_alone(model: Model, error: Exception) -> None:
    gathering = Gathering(model, at_once=1, together=8)
    model.going_on.set()
    model.errors["bad"] = error
    told = await asyncio.gather(*passages(gathering, "a", "bad", "ccc"), return_exceptions=True)
    assert told[1] is error
    assert [vector.tolist() for vector in (told[0], told[2]) if isinstance(vector, np.ndarray)] == [[1], [3]]
    assert model.asked == [["a", "bad", "ccc"], ["a"], ["bad"], ["ccc"]]


async def test_while_the_model_is_away_none_is_tried_again_and_the_next_have_their_turn(model: Model) -> None:
    gathering = Gathering(model, at_once=1, together=8)
    model.going_on.set()
    model.errors["a"] = DependencyUnavailable("triton")
    told = await asyncio.gather(*passages(gathering, "a", "b"), return_exceptions=True)
    assert [type(error) for error in told] == [DependencyUnavailable] * 2
    assert model.asked == [["a", "b"]]
    (vector,) = await asyncio.gather(*passages(gathering, "cc"))
    assert vector.tolist() == [2]


async def test_who_has_gone_is_not_sent(model: Model) -> None:
    gathering = Gathering(model, at_once=1, together=8)
    first = passages(gathering, "a")
    await turns()
    gone, stays = passages(gathering, "gone", "b")
    await turns()
    gone.cancel()
    model.going_on.set()
    await asyncio.gather(*first, stays)
    assert model.asked == [["a"], ["b"]]


async def test_who_leaves_while_the_model_works_takes_nobody_with_him(model: Model) -> None:
    gathering = Gathering(model, at_once=1, together=8)
    gone, stays = passages(gathering, "gone", "b")
    await turns()
    gone.cancel()
    await turns()
    model.going_on.set()
    assert (await stays).tolist() == [1]
    assert model.asked == [["gone", "b"]]
