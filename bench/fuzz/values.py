"""Values of every kind that a field can have, and messages of every kind, for hypothesis to draw."""

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Hints = Mapping[str, Sequence[Any]]
"""By the name of a field: what is worth sending in it."""
Names = Mapping[str, str | Callable[[], str]]
"""What the strings stand for that name something which is there only when a case is sent, such as `<recording>`."""

DEPTH = 4
"""How deep messages lie in messages."""
MANY = (300, 1500)
"""How long a long list is: above and far above what any method takes at once."""

MOST_BYTES = 8 << 20
"""What the messages of a long list have together at most: a thousand with the longest texts would take gigabytes."""

ODD = (
    "",
    " ",
    "\0",
    "a\0b",
    "\r\n\t\x0b\x1b[31m",
    "\u202eאבג\u202c",
    "مرحبا بالعالم",
    "e\u0301\u0323" * 20,
    "\ufeff\u200b\u200d\ufffe\uffff",
    "👩\u200d👩\u200d👧\u200d👦🇻🇳",
    "\U0010ffff\U000e0001",
    "ßİıſKﬁ",
    "' OR 1=1; --",
    "%00%2e%2e%2f",
    "../../etc/passwd",
    "{}[]*?><.$",
    "-1",
    "NaN",
    "00000000-0000-0000-0000-000000000000",
    "operations/",
    "ầ" * 8192,
    "a" * 8193,
    "ộ" * 100_000,
)
"""Strings that programs stumble over."""

WIDTHS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SINT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_SFIXED64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_FIXED64: (0, 2**64 - 1),
}

SCALARS: Mapping[int, SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
    FieldDescriptor.TYPE_STRING: st.text(max_size=40) | st.sampled_from(ODD),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=200)
    | st.sampled_from((b"", b"\0" * 32, b"\xff" * (1 << 20) + b"!")),
    **{
        kind: st.integers(low, high) | st.sampled_from((0, 1, low, high, high // 1000, min(high, 10**10)))
        for kind, (low, high) in WIDTHS.items()
    },
}


def value(field: FieldDescriptor, hints: Hints, depth: int = DEPTH) -> SearchStrategy[Any]:
    """One value of a field, be the field repeated or not."""
    hinted = hints.get(field.name, ())
    if field.message_type is not None:
        return message(field.message_type, hints, depth=depth - 1) if depth > 0 else st.just(_empty(field.message_type))
    if field.enum_type is not None:
        return st.sampled_from([one.number for one in field.enum_type.values]) | st.integers(*WIDTHS[field.TYPE_INT32])
    return st.sampled_from(list(hinted)) | SCALARS[field.type] if hinted else SCALARS[field.type]


def _empty(kind: Descriptor) -> Message:
    return message_factory.GetMessageClass(kind)()


def _several(one: SearchStrategy[Any], many: bool) -> SearchStrategy[list[Any]]:
    few = st.lists(one, max_size=4)
    if not many:
        return few
    return few | st.builds(_copies, one, st.sampled_from(MANY))


def _copies(item: Any, count: int) -> list[Any]:
    size = item.ByteSize() if isinstance(item, Message) else 0
    return [item] * (min(count, max(1, MOST_BYTES // size)) if size else count)


def content(field: FieldDescriptor, hints: Hints, depth: int) -> SearchStrategy[Any]:
    """What to put into a field: a value, a list of them, or a dict."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        pair = field.message_type.fields_by_name
        return st.dictionaries(value(pair["key"], hints), value(pair["value"], hints, depth), max_size=4)
    one = value(field, hints, depth)
    return _several(one, many=depth == DEPTH) if field.is_repeated else one


@st.composite
def message(draw: DrawFn, kind: Descriptor, hints: Hints, like: Message | None = None, depth: int = DEPTH) -> Message:
    """A message; `like` another but for the fields that are drawn anew, so that it shrinks to that one."""
    made = _empty(kind)
    if like is not None:
        made.CopyFrom(like)
    spoilt = 3 if like is not None else 2
    for field in kind.fields:
        if draw(st.integers(0, 3)) < spoilt:  # a choice for each field, so that each can be taken back by itself
            continue
        if draw(st.booleans()) or field.is_repeated or field.message_type is None or not made.HasField(field.name):
            put(made, field, draw(content(field, hints, depth)))
        else:
            nested = getattr(made, field.name)
            nested.CopyFrom(draw(message(field.message_type, hints, nested, depth - 1)))
    return made


def put(made: Message, field: FieldDescriptor, filling: Any) -> None:
    """Give a field this content instead of its own."""
    made.ClearField(field.name)
    if isinstance(filling, dict):
        entries = getattr(made, field.name)
        for key, one in filling.items():
            if isinstance(one, Message):
                entries[key].CopyFrom(one)
            else:
                entries[key] = one
    elif isinstance(filling, list):
        getattr(made, field.name).extend(filling)
    elif isinstance(filling, Message):
        getattr(made, field.name).SetInParent()
        getattr(made, field.name).CopyFrom(filling)
    else:
        setattr(made, field.name, filling)


def replaced(made: Message, names: Names) -> Message:
    """A copy in which each string that is one of `names` is what that stands for."""
    copy = type(made)()
    copy.CopyFrom(made)
    _replace(copy, names)
    return copy


def _replace(made: Message, names: Names) -> None:
    for field, filling in made.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.message_type is not None:
            for one in filling if field.is_repeated else [filling]:
                _replace(one, names)
        elif field.type == field.TYPE_STRING:
            if field.is_repeated:
                filling[:] = [_meant(one, names) for one in filling]
            else:
                setattr(made, field.name, _meant(filling, names))


def _meant(text: str, names: Names) -> str:
    meant = names.get(text, text)
    return meant if isinstance(meant, str) else meant()


def wav(seconds: float, rate_hz: int = 16_000) -> bytes:
    """A RIFF file of silence."""
    samples = bytes(2 * int(seconds * rate_hz))
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(samples))
        + b"WAVE"
        + form
        + b"data"
        + struct.pack("<I", len(samples))
        + samples
    )
