"""Whisper in ONNX Runtime, one clip at a time: the folder that mesh/models/whisper_onnx.py writes.

On a CPU this decodes in half of CTranslate2's time: weights are laid out once, not at every call; the encoder gets the
clip alone, and the silence behind it comes from a file, in a quarter of its positions; a prompt is read in one pass,
and so is what was heard of the clip before; words are timed by what was attended to while they were written.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException
from tokenizers import Tokenizer

from alignment import path
from beams import Choices, Ended, repeated, search
from jobs import GivenUp, Job
from loops import token_room
from vocabulary import Vocabulary
from waveform import FRAMES_PER_SECOND, LONGEST_SECONDS, SAMPLE_RATE, Samples, context_seconds, followed

WHOLE = "whole"
SILENT_ODDS = 4.5
"""By how much the silence that is put behind a clip raises the odds that nobody spoke. Taken back, so that thresholds
mean the same: the median of 80 clips of speech is .032 then, and .038 in CTranslate2 with 8 s of context."""
HOPELESS = 3.0
"""A text of the beam whose log-probability is so far from the best one's is given up."""
REPEATED_LENGTH = 3
"""Of the phrases that are said once only, where a text got stuck."""

Floats = NDArray[np.float32]


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`."""

    def run(self, names: list[str] | None, given: Mapping[str, Any]) -> list[Any]:
        """The outputs by their names, or all."""

    def get_inputs(self) -> list[Any]:
        """What goes in, with `name` and `shape`."""

    def get_outputs(self) -> list[Any]:
        """What comes out, with `name` and `shape`."""


@dataclass(frozen=True)
class Heard:
    """A clip behind the encoder: `keys0`, `values0`, ... and `bias`, of which the first `positions` are the clip's; the
    encoder was given `seconds`. `followed`: there is silence from elsewhere behind them."""

    attended: dict[str, Floats]
    positions: int
    seconds: int
    followed: bool


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


class Ears:
    """The encoder."""

    def __init__(self, session: Session, mel: FeatureExtractor, tail: Mapping[str, Floats], pooled: int) -> None:
        """`tail` is the silence behind a clip, from the beginning of a clip on, each of its positions as `pooled` of
        the encoder's."""
        self._session = session
        self._mel = mel
        self._tail = tail
        self._pooled = pooled
        self._names = [each.name for each in session.get_outputs()]

    def hear(self, samples: Samples, *, again: bool = False) -> Heard:
        """The clip and the silence behind it. With `again`, where that made no sense: with 8 s of context, or with the
        30 s of Whisper's training where the clip had as much already."""
        short = followed(samples)
        given = samples if again else short
        if given is not samples:
            frames = given.size * FRAMES_PER_SECOND // SAMPLE_RATE
        elif again and short is samples:
            frames = LONGEST_SECONDS * FRAMES_PER_SECOND
        else:
            frames = context_seconds(samples.size) * FRAMES_PER_SECOND
        mel = self._mel(given)[:, :frames]
        features = np.zeros((1, mel.shape[0], frames), np.float32)
        features[0, :, : mel.shape[1]] = mel
        positions = frames // 2
        found = self._session.run(self._names, {"mel": features, "positions": np.arange(positions)})
        return Heard(
            self._with_tail(dict(zip(self._names, found, strict=True)), positions),
            min(positions, math.ceil(samples.size * FRAMES_PER_SECOND / (2 * SAMPLE_RATE))),
            math.ceil(frames / FRAMES_PER_SECOND),
            positions < self._tail["bias"].size * self._pooled,
        )

    def _with_tail(self, found: dict[str, Floats], positions: int) -> dict[str, Floats]:
        from_here = -(-positions // self._pooled)
        bias = self._tail["bias"][from_here:]
        attended = {name: _joined(name, each, self._tail[name], from_here) for name, each in found.items()}
        return attended | {"bias": np.concatenate([np.zeros(positions, np.float32), bias])}


def _joined(name: str, found: Floats, tail: Floats, from_here: int) -> Floats:
    if name.startswith("keys"):
        return np.concatenate([found, tail[:, :, from_here:]], axis=2)
    return np.concatenate([found, tail[:, from_here:]], axis=1)


class Writer:
    """The decoder, with one vocabulary."""

    def __init__(self, session: Session, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._session = session
        shapes = {each.name: each.shape for each in session.get_inputs()}
        self._remembered = sorted((name for name in shapes if name.startswith("past")), key=_number)
        _, self._heads, _, self._per_head = shapes["past0"]
        self._tokens: int = shapes["banned"][1]
        self._outputs = [name.replace("past", "present") for name in self._remembered]

    def languages(self, heard: Heard) -> list[tuple[str, float]]:
        """Each language that the vocabulary knows, with its probability, likeliest first."""
        codes, tokens = self.vocabulary.language_marks()
        start = [self.vocabulary.start]
        ran = self._run(heard, [start], self._nothing(), [0], self._allowed(), 1, [tokens])
        chances = np.exp(ran.asked[0] - ran.asked[0].max())
        ranked = np.argsort(-chances)
        return [(codes[at], float(chances[at] / chances.sum())) for at in ranked]

    def write(self, heard: Heard, language: str, prompt: list[int], job: Job, *, no_loops: bool = False) -> Said:
        """The likeliest text of the job's clip behind `prompt`. Raises GivenUp when its caller goes."""
        beam = job.beam_size
        spoken = self.vocabulary.language(language)
        banned = self._banned(spoken.eot)
        at_start = banned.copy()
        at_start[[*spoken.encode(" "), spoken.eot]] = -np.inf
        rows = [prompt.index(spoken.sot), len(prompt) - 1]
        both = np.stack([np.zeros_like(banned), at_start])
        ran = begun = self._run(heard, [prompt], self._nothing(), rows, both, 2 * beam, [[spoken.no_speech]] * 2)
        room = token_room(job.samples.size)
        draft = self.vocabulary.draft(language, job.draft)[: room - 1] if beam == 1 else []
        known = self._known(heard, draft, begun.remembered, banned)
        attention = [begun.attention[:, len(prompt) - 1 :]]

        def step(texts: Sequence[Sequence[int]], parents: Sequence[int]) -> Choices:
            nonlocal ran
            if job.given_up():
                raise GivenUp
            length = len(texts[0])
            if length <= len(known) and list(texts[0]) == draft[:length]:
                ran = known[length - 1]
            else:
                bans = self._without_loops(texts, banned) if no_loops else banned[np.newaxis]
                newest, rows = [[text[-1]] for text in texts], list(range(len(texts)))
                ran = self._run(heard, newest, ran.remembered_by(parents), rows, bans, 2 * beam, [[]] * len(texts))
            attention.append(ran.attention)
            return ran.choices

        first = Choices(begun.choices.scores[1:], begun.choices.tokens[1:])
        ended = search(first, step, beam=beam, room=room, end=spoken.eot, within=HOPELESS)
        silent = float(np.exp(begun.asked[0, 0]))
        return Said(
            ended,
            silent / (silent + SILENT_ODDS * (1 - silent)) if heard.followed else silent,
            _attended(attention, ended)[:, :, : heard.positions],
        )

    def _known(self, heard: Heard, draft: list[int], before: list[Floats], banned: Floats) -> list["_Ran"]:
        """What a pass for each token of the draft would give, in one pass.

        Without the prompt, whose first tokens have activations so large that beside them in one tensor all others'
        integers are too coarse.
        """
        if not draft:
            return []
        rows = list(range(len(draft)))
        ran = self._run(heard, [draft], before, rows, banned[np.newaxis], 2, [[]] * len(draft))
        length = before[0].shape[2] + 1
        return [
            _Ran(
                Choices(ran.choices.scores[at : at + 1], ran.choices.tokens[at : at + 1]),
                ran.asked[at : at + 1],
                ran.attention[:, at : at + 1],
                [each[:, :, : length + at] for each in ran.remembered],
            )
            for at in rows
        ]

    def _run(
        self,
        heard: Heard,
        texts: Sequence[Sequence[int]],
        remembered: Sequence[Floats],
        rows: Sequence[int],
        banned: Floats,
        count: int,
        asked: Sequence[Sequence[int]],
    ) -> "_Ran":
        tokens = np.array(texts, np.int64)
        before, length = remembered[0].shape[2], tokens.shape[1]
        mask = np.zeros((length, before + length), np.float32)
        mask[:, before:] = np.triu(np.full((length, length), -np.inf, np.float32), 1)
        given = {
            "tokens": tokens,
            "places": np.arange(before, before + length),
            "mask": mask,
            **dict(zip(self._remembered, remembered, strict=True)),
            **heard.attended,
            "rows": np.array(rows, np.int64),
            "banned": banned,
            "count": np.array([count]),
            "asked": np.array(asked, np.int64).reshape(len(rows), -1),
        }
        names = ["scores", "likeliest", "asked_scores", "attention", *self._outputs]
        scores, likeliest, chances, attention, *present = self._session.run(names, given)
        return _Ran(Choices(scores, likeliest), chances, attention, present)

    def _nothing(self) -> list[Floats]:
        """What is remembered before anything was said."""
        return [np.zeros((1, self._heads, 0, self._per_head), np.float32)] * len(self._remembered)

    def _allowed(self) -> Floats:
        return np.zeros((1, self._tokens), np.float32)

    def _banned(self, end: int) -> Floats:
        """For each token 0, or minus infinity where no transcript has it."""
        banned = np.zeros(self._tokens, np.float32)
        banned[self.vocabulary.unspeakable] = -np.inf
        banned[end + 1 :] = -np.inf
        return banned

    @staticmethod
    def _without_loops(texts: Sequence[Sequence[int]], banned: Floats) -> Floats:
        bans = np.tile(banned, (len(texts), 1))
        for row, text in zip(bans, texts, strict=True):
            row[repeated(text, REPEATED_LENGTH)] = -np.inf
        return bans


@dataclass(frozen=True)
class _Ran:
    """What one pass of the decoder gave, for each of its texts."""

    choices: Choices
    asked: Floats
    attention: Floats
    remembered: list[Floats]

    def remembered_by(self, texts: Sequence[int]) -> list[Floats]:
        """What these texts remember, by their places here."""
        if list(texts) == list(range(len(self.remembered[0]))):
            return self.remembered
        return [each[list(texts)] for each in self.remembered]


def _attended(passes: list[Floats], ended: Ended) -> Floats:
    """What one text attended to, out of all that were written beside it. One that was cut off has no end: the last
    token's is taken for it."""
    steps = [each[:, [row]] for each, row in zip(passes, ended.trail, strict=False)]
    found = np.concatenate(steps, axis=1)
    return found if len(ended.scores) > len(ended.tokens) else np.concatenate([found, found[:, -1:]], axis=1)


def _number(name: str) -> int:
    return int(name.removeprefix("past"))


class Network:
    """A Session of ONNX Runtime whose failures are RuntimeErrors, as CTranslate2's are."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # each clip and each step has another shape
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.get_inputs = self._session.get_inputs
        self.get_outputs = self._session.get_outputs

    def run(self, names: list[str] | None, given: Mapping[str, Any]) -> list[Any]:
        """See Session."""
        try:
            return list(self._session.run(names, given))
        except (Fail, InvalidArgument, RuntimeException) as fault:
            raise RuntimeError(str(fault)) from fault


def load(folder: Path, threads: int) -> tuple[Ears, Writer, list[Writer]]:
    """The encoder, the decoder of the whole vocabulary, and those of its cuts."""
    about = json.loads((folder / "about.json").read_text())

    def writer(part: Path) -> Writer:
        pairs = Tokenizer.from_file(str(part / "tokenizer.json"))
        return Writer(Network(part / "decoder.onnx", threads), Vocabulary(pairs, multilingual=about["multilingual"]))

    with np.load(folder / "tail.npz") as file:
        tail = {name: file[name] for name in file.files}
    mel, pooled = FeatureExtractor(**about["mel"]), int(tail.pop("pooled"))
    ears = Ears(Network(folder / "encoder.onnx", threads), mel, tail, pooled)
    whole, *cuts = sorted((each.parent for each in folder.glob("*/decoder.onnx")), key=lambda part: part.name != WHOLE)
    return ears, writer(whole), [writer(cut) for cut in cuts]
