"""A text while it is being refined: what it is now, and by which edits of the original it became that."""

import enum
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class Step(enum.Enum):
    """What can be done to a text, in the order in which it is done."""

    DIACRITICS = "diacritics"
    TONE_PLACEMENT = "tone placement"
    NUMBERS = "numbers"
    PUNCTUATION = "punctuation"
    CAPITALISATION = "capitalisation"


ORDER = tuple(Step)


@dataclass(frozen=True)
class Change:
    """One change of the text as it is now: what stands from `start` to `end`, in code points, becomes `replacement`."""

    start: int
    end: int
    replacement: str


@dataclass(frozen=True)
class Edit:
    """One change of the original, and the last step that had a part in it."""

    step: Step
    start: int
    end: int
    replacement: str


@dataclass(frozen=True)
class _Piece:
    """A stretch of the original, what stands there now, and who wrote that; nobody: it is as it was."""

    start: int
    end: int
    text: str
    step: Step | None = None
    tail: bool = False
    """Whether it was cut off the piece before it, which has the original of both."""

    def cut(self, at: int) -> "tuple[_Piece, _Piece]":
        """What is before a place in `text`, and what is behind it."""
        if self.step is None:
            middle = self.start + at
            return _Piece(self.start, middle, self.text[:at]), _Piece(middle, self.end, self.text[at:])
        head = _Piece(self.start, self.end, self.text[:at], self.step, self.tail)
        return head, _Piece(self.end, self.end, self.text[at:], self.step, tail=True)


class Draft:
    """Begins as the original; every step changes what the one before has left."""

    def __init__(self, original: str) -> None:
        self.original = original
        self._pieces = [_Piece(0, len(original), original)]

    @property
    def text(self) -> str:
        """The text as it is now."""
        return "".join(piece.text for piece in self._pieces)

    def change(self, step: Step, changes: Iterable[Change]) -> None:
        """Make changes of `text`, which are in order and do not overlap."""
        rest, made = _Rest(self._pieces), list[_Piece]()
        for change in changes:
            made += rest.until(change.start)
            at = rest.place(len(self.original))
            replaced = rest.until(change.end) if change.end > change.start else []
            start, end = (replaced[0].start, replaced[-1].end) if replaced else (at, at)
            made.append(_Piece(start, end, change.replacement, step, tail=bool(replaced) and replaced[0].tail))
        self._pieces = made + rest.all()

    def edits(self) -> list[Edit]:
        """What made `text` of the original: in order, not overlapping, each of them a difference."""
        joined: list[_Piece] = []
        for piece in self._pieces:
            if joined and _belong_together(joined[-1], piece):
                joined[-1] = _joined(joined[-1], piece)
            else:
                joined.append(piece)
        return [
            Edit(piece.step, piece.start, piece.end, piece.text)
            for piece in joined
            if piece.step is not None and piece.text != self.original[piece.start : piece.end]
        ]


class _Rest:
    """The pieces that a run of changes has not passed yet."""

    def __init__(self, pieces: Sequence[_Piece]) -> None:
        self._pieces = deque(pieces)
        self._begins = 0
        """Where the first of them begins in the text, before the changes."""

    def until(self, place: int) -> list[_Piece]:
        """Take what is before a place in the text; the piece around it is cut."""
        taken: list[_Piece] = []
        while self._pieces and self._begins + len(self._pieces[0].text) <= place:
            taken.append(self._pieces.popleft())
            self._begins += len(taken[-1].text)
        if self._pieces and self._begins < place:
            head, self._pieces[0] = self._pieces[0].cut(place - self._begins)
            self._begins = place
            taken.append(head)
        return taken

    def place(self, end: int) -> int:
        """Where the next piece begins in the original; `end` when there is none."""
        return self._pieces[0].start if self._pieces else end

    def all(self) -> list[_Piece]:
        """What is left."""
        return list(self._pieces)


def _belong_together(one: _Piece, other: _Piece) -> bool:
    """Two that are put in at one place would have no order, and a tail has no original."""
    if one.step is None or other.step is None:
        return False
    return other.tail or one.start == one.end == other.start == other.end


def _joined(one: _Piece, other: _Piece) -> _Piece:
    step = max((one.step, other.step), key=lambda step: ORDER.index(step) if step else -1)
    return _Piece(one.start, other.end, one.text + other.text, step, one.tail)


def applied(original: str, edits: Sequence[Edit]) -> str:
    """The text that edits make of the original."""
    text = original
    for edit in reversed(edits):
        text = text[: edit.start] + edit.replacement + text[edit.end :]
    return text
