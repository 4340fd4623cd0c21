"""Whisper in ONNX Runtime, and its decoder in compiled loops: the folder that mesh/models/whisper_onnx.py writes.

On a CPU this decodes in half of CTranslate2's time: weights are laid out once, not at every call; the encoder gets the
clip alone, and the silence behind it comes from a file, in a quarter of its positions; a prompt is read in one pass,
and what was heard of the clip before with it; words are timed by what was attended to while they were written; and one
pass of the decoder writes on at the texts of several clips.
"""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from tokenizers import Tokenizer

from alignment import path
from beams import Choices, Ended, repeated, search
from compiled_network import CompiledNetwork
from ears import Ears, Heard
from jobs import GivenUp, Job
from loops import token_room
from onnx_network import Floats, Network, Session
from passes import HIDDEN, Decoder, Pass, Ran
from vectors import supported
from vocabulary import Vocabulary

WHOLE = "whole"
SILENT_ODDS = 4.5
"""By how much the silence that is put behind a clip raises the odds that nobody spoke. Taken back, so that thresholds
mean the same: the median of 80 clips of speech is .032 then, and .038 in CTranslate2 with 8 s of context."""
HOPELESS = 3.0
"""A text of the beam whose log-probability is so far from the best one's is given up."""
REPEATED_LENGTH = 3
"""Of the phrases that are said once only, where a text got stuck."""


@dataclass(frozen=True)
class Said:
    """A text as tokens, the probability that nobody spoke, and what the decoder attended to in the clip when it chose
    each token and the text's end, [heads, tokens and one, positions of the clip]."""

    ended: Ended
    no_speech_prob: float
    attention: Floats

    def path(self) -> list[tuple[int, int]]:
        """When each token was said, as pairs of a token and a position; one token more is the text's end."""
        sums = np.maximum(self.attention.sum(axis=2, keepdims=True), 1e-10)
        return path(self.attention / sums)


class Writer:
    """The decoder, with one vocabulary. What it is asked for stops at each pass that it wants, and goes on with what
    that gave: see `together`."""

    def __init__(self, decoder: Decoder, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._decoder = decoder
        self._bans: dict[int, Floats] = {}

    def languages(self, heard: Heard) -> Generator[Pass, Ran, list[tuple[str, float]]]:
        """Each language that the vocabulary knows, with its probability, likeliest first."""
        codes, tokens = self.vocabulary.language_marks()
        start, allowed = [[self.vocabulary.start]], np.zeros((1, self._decoder.tokens), np.float32)
        ran = yield Pass(self._decoder, heard, start, self._decoder.nothing(), [0], allowed, 1, tokens)
        chances = np.exp(ran.named[0] - ran.named[0].max())
        ranked = np.argsort(-chances)
        return [(codes[at], float(chances[at] / chances.sum())) for at in ranked]

    def write(
        self, heard: Heard, language: str, prompt: list[int], job: Job, *, no_loops: bool = False
    ) -> Generator[Pass, Ran, Said]:
        """The likeliest text of the job's clip behind `prompt`. Raises GivenUp when its caller goes."""
        beam = job.beam_size
        spoken = self.vocabulary.language(language)
        banned = self._banned(spoken.eot)
        room = token_room(job.samples.size)
        draft = self.vocabulary.draft(language, job.draft)[: room - 1] if beam == 1 else []
        at_start = banned.copy()
        at_start[0, [*spoken.encode(" "), spoken.eot]] = HIDDEN
        last = len(prompt) - 1
        rows = [prompt.index(spoken.sot), *range(last, last + 1 + len(draft))]
        bans = np.concatenate([np.zeros_like(banned), at_start, *[banned] * len(draft)])
        texts, before, named = [[*prompt, *draft]], self._decoder.nothing(), [spoken.no_speech]
        ran = yield Pass(self._decoder, heard, texts, before, rows, bans, 2 * beam, named)
        silent = float(np.exp(ran.named[0, 0]))
        ran, *known = (ran.alone(row, place) for row, place in enumerate(rows[1:], start=1))
        first, attention = ran.choices, [ran.attention]

        def step(texts: Sequence[Sequence[int]], parents: Sequence[int]) -> Generator[Pass, Ran, Choices]:
            nonlocal ran
            if job.given_up():
                raise GivenUp
            length = len(texts[0])
            if length <= len(known) and list(texts[0]) == draft[:length]:
                ran = known[length - 1]
            else:
                bans = self._without_loops(texts, banned) if no_loops else banned
                newest, memory, rows = [[text[-1]] for text in texts], ran.memory.of(parents), range(len(texts))
                ran = yield Pass(self._decoder, heard, newest, memory, rows, bans, 2 * beam)
            attention.append(ran.attention)
            return ran.choices

        ended = yield from search(first, step, beam=beam, room=room, end=spoken.eot, within=HOPELESS)
        return Said(
            ended,
            silent / (silent + SILENT_ODDS * (1 - silent)) if heard.followed else silent,
            _attended(attention, ended)[:, :, : heard.positions],
        )

    def _banned(self, end: int) -> Floats:
        """For each token 0, or minus infinity where no transcript has it, [1, tokens]; the same array every time."""
        if end not in self._bans:
            banned = np.zeros((1, self._decoder.tokens), np.float32)
            banned[0, self.vocabulary.unspeakable] = HIDDEN
            banned[0, end + 1 :] = HIDDEN
            self._bans[end] = banned
        return self._bans[end]

    @staticmethod
    def _without_loops(texts: Sequence[Sequence[int]], banned: Floats) -> Floats:
        bans = np.repeat(banned, len(texts), axis=0)
        for row, text in zip(bans, texts, strict=True):
            row[repeated(text, REPEATED_LENGTH)] = HIDDEN
        return bans


def _attended(passes: list[Floats], ended: Ended) -> Floats:
    """What one text attended to, out of all that were written beside it. One that was cut off has no end: the last
    token's is taken for it."""
    steps = [each[:, [row]] for each, row in zip(passes, ended.trail, strict=False)]
    found = np.concatenate(steps, axis=1)
    return found if len(ended.scores) > len(ended.tokens) else np.concatenate([found, found[:, -1:]], axis=1)


def load(folder: Path, threads: int, compiled: bool | None = None) -> tuple[Ears, Writer, list[Writer]]:
    """The encoder, the decoder of the whole vocabulary, and those of its cuts; these in loops that are `compiled` where
    this processor can, else in ONNX Runtime."""
    compiled = supported() if compiled is None else compiled
    about = json.loads((folder / "about.json").read_text())

    def writer(part: Path, network: Session) -> Writer:
        pairs = Tokenizer.from_file(str(part / "tokenizer.json"))
        return Writer(Decoder(network), Vocabulary(pairs, multilingual=about["multilingual"]))

    with np.load(folder / "tail.npz") as file:
        tail = {name: file[name] for name in file.files}
    mel, pooled = FeatureExtractor(**about["mel"]), int(tail.pop("pooled"))
    ears = Ears(Network(folder / "encoder.onnx", threads), mel, tail, pooled)
    parts = [
        folder / WHOLE,
        *sorted(each.parent for each in folder.glob("*/decoder.onnx") if each.parent.name != WHOLE),
    ]
    whole, *cuts = map(writer, parts, _compiled(parts) if compiled else _in_onnx_runtime(parts, threads))
    return ears, whole, cuts


def _compiled(parts: Sequence[Path]) -> list[Session]:
    whole = CompiledNetwork(parts[0] / "decoder.npz")
    return [whole, *(CompiledNetwork(part / "decoder.npz", whole) for part in parts[1:])]


def _in_onnx_runtime(parts: Sequence[Path], threads: int) -> list[Session]:
    return [Network(part / "decoder.onnx", threads) for part in parts]
