"""Beam search over small made-up languages, in which every text can be looked at."""

import itertools
import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pytest

from beams import Choices, Ended, repeated, search

END = 0


class Language:
    """Log-probabilities of the next token by all tokens before, drawn at random; token 0 ends a text."""

    def __init__(self, tokens: int, seed: int) -> None:
        self._tokens = tokens
        self._seed = seed

    def next(self, text: Sequence[int]) -> np.ndarray:
        """Log-probabilities [tokens]."""
        drawn = np.random.default_rng([self._seed, len(text), *text]).normal(0, 2, self._tokens)
        return drawn - np.log(np.exp(drawn).sum())

    def choices(self, texts: Sequence[Sequence[int]], count: int) -> Choices:
        """What an engine gives: the likeliest `count` of each text."""
        rows = np.stack([self.next(text) for text in texts])
        order = np.argsort(-rows, axis=1)[:, :count]
        return Choices(np.take_along_axis(rows, order, 1).astype(np.float32), order)

    def score(self, text: Sequence[int], ended: bool) -> float:
        """The log-probability of a text, and of its end where it has one."""
        whole = [*text, END] if ended else list(text)
        return float(sum(self.next(whole[:at])[token] for at, token in enumerate(whole)))


def ended(searching: Generator[Any, Any, Ended]) -> Ended:
    """What a search finds whose steps know everything themselves."""
    with pytest.raises(StopIteration) as stop:
        next(searching)
    answer: Ended = stop.value.value
    return answer


def known(choices: Choices) -> Generator[Any, Any, Choices]:
    """What a step answers that asks nobody."""
    yield from ()
    return choices


def found(language: Language, beam: int, room: int, within: float = math.inf) -> Ended:
    before: list[list[int]] = [[]]

    def step(texts: Sequence[Sequence[int]], parents: Sequence[int]) -> Generator[Any, Any, Choices]:
        assert [list(text[:-1]) for text in texts] == [before[parent] for parent in parents]
        before[:] = [list(text) for text in texts]
        return known(language.choices(texts, 2 * beam))

    first = language.choices([[]], 2 * beam)
    return ended(search(first, step, beam=beam, room=room, end=END, within=within))


@pytest.mark.parametrize("seed", range(20))
def test_a_beam_as_wide_as_the_language_finds_the_best_of_all_texts(seed: int) -> None:
    language, room = Language(3, seed), 3
    texts = [text for length in range(room) for text in itertools.product((1, 2), repeat=length)]
    scored = [(language.score(text, ended=True), text) for text in texts]
    scored += [(language.score(text, ended=False), text) for text in itertools.product((1, 2), repeat=room)]
    best = max(scored, key=lambda each: each[0] / max(1, len(each[1])))
    answer = found(language, beam=16, room=room)
    assert tuple(answer.tokens) == best[1]
    assert answer.score == pytest.approx(best[0], abs=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_a_beam_of_one_takes_the_likeliest_token_each_time(seed: int) -> None:
    language, text = Language(5, seed), []
    while len(text) < 12 and (token := int(np.argmax(language.next(text)))) != END:
        text.append(token)
    assert found(language, beam=1, room=12).tokens == text


@pytest.mark.parametrize("seed", range(20))
def test_texts_too_far_from_the_best_are_given_up(seed: int) -> None:
    language = Language(5, seed)
    assert found(language, 4, 12, within=0) == found(language, 1, 12)
    assert found(language, 4, 12, within=100) == found(language, 4, 12)


@pytest.mark.parametrize("seed", range(20))
def test_the_trail_leads_back_to_every_choice_that_was_taken(seed: int) -> None:
    language, offered = Language(5, seed), [Language(5, seed).choices([[]], 6)]
    texts: list[list[list[int]]] = [[[]]]

    def step(some: Sequence[Sequence[int]], _: Sequence[int]) -> Generator[Any, Any, Choices]:
        texts.append([list(text) for text in some])
        offered.append(language.choices(some, 6))
        return known(offered[-1])

    best = ended(search(offered[0], step, beam=3, room=8, end=END))
    whole = [*best.tokens, END] if len(best.scores) > len(best.tokens) else best.tokens
    assert len(best.trail) == len(best.scores) == len(whole)
    for at, (token, score, row) in enumerate(zip(whole, best.scores, best.trail, strict=True)):
        assert texts[at][row] == best.tokens[:at]
        assert offered[at].scores[row, offered[at].tokens[row].tolist().index(token)] == pytest.approx(score)


def test_a_text_has_no_more_tokens_than_there_is_room_for() -> None:
    def step(texts: Sequence[Sequence[int]], _: Sequence[int]) -> Generator[Any, Any, Choices]:
        return known(Choices(np.full((len(texts), 2), -1.0, np.float32), np.full((len(texts), 2), 7)))

    first = Choices(np.array([[-1.0, -2.0]], np.float32), np.array([[7, 8]]))
    answer = ended(search(first, step, beam=1, room=4, end=END))
    assert answer == Ended([7, 7, 7, 7], [-1.0] * 4, [0] * 4)


def test_what_is_forbidden_is_never_taken() -> None:
    forbidden = Choices(np.array([[-1.0, -np.inf]], np.float32), np.array([[END, 5]]))
    assert ended(search(forbidden, never, beam=1, room=9, end=END)) == Ended([], [-1.0], [0])


def never(texts: Sequence[Sequence[int]], parents: Sequence[int]) -> Generator[Any, Any, Choices]:
    raise AssertionError(f"nothing was left to go on with: {texts}, {parents}")


def test_what_would_say_a_phrase_again_is_known() -> None:
    assert repeated([1, 2, 3, 4, 1, 2], 3) == [3]
    assert repeated([1, 2, 1, 3, 1], 2) == [2, 3]
    assert repeated([1, 2], 3) == []
    assert repeated([1, 2, 3], 3) == []
