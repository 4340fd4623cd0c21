"""What is declared of streams, and that nothing else is used."""

import ast
import fnmatch
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.common import streams

SERVERS = Path(streams.__file__).parents[1]


def test_every_subject_lies_in_its_stream_and_in_no_other_with_its_replays() -> None:
    for topic in streams.TOPICS:
        for subject in (topic.subject, streams.replay_subject("search-0a1b", topic.subject)):
            assert holders(subject) == [topic.stream]
        assert holders(f"{streams.DEAD_LETTERS}.{topic.subject}") == [streams.DLQ]


def holders(subject: str) -> list[str | None]:
    """The streams that take a subject, as NATS matches it."""
    return [stream.name for stream in streams.STREAMS for pattern in stream.subjects or () if takes(pattern, subject)]


def takes(pattern: str, subject: str) -> bool:
    wanted, given = pattern.split("."), subject.split(".")
    for place, token in enumerate(wanted):
        if token == ">":
            return len(given) > place
        if place >= len(given) or token not in ("*", given[place]):
            return False
    return len(wanted) == len(given)


@pytest.mark.parametrize("topic", streams.TOPICS, ids=lambda topic: topic.subject)
def test_a_replay_leads_back_to_its_subject(topic: streams.Topic) -> None:
    assert streams.original_subject(streams.replay_subject("search-0a1b", topic.subject)) == topic.subject
    assert streams.original_subject(topic.subject) == topic.subject
    assert streams.topic(topic.subject) is topic


def test_what_has_its_truth_elsewhere_is_bounded_and_what_nobody_would_tell_again_is_not() -> None:
    bounds = {stream.name: (stream.max_age, stream.max_bytes) for stream in streams.STREAMS}
    assert {name for name, bound in bounds.items() if bound == (0, -1)} == {
        "RECORDINGS",
        "EMBEDDINGS",
        "TRANSCRIPTIONS",
    }
    assert bounds[streams.DLQ][0] == 90 * 24 * 3600
    assert sum(size for _, size in bounds.values() if size and size > 0) < 2 << 30, "the mesh's NATS has 4 GiB"
    assert all((stream.max_age or 10**9) > stream.duplicate_window for stream in streams.STREAMS)


def consumers() -> Iterator[tuple[str, str, str]]:
    """Subject, stream and durable of each consumer that a server is composed with; `*` for what only runs know."""
    for path in SERVERS.glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Consumer", "events.Consumer"):
                given = dict(zip(("bus", "stream", "subject", "durable"), node.args, strict=False))
                given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
                subject = ast.unparse(given["subject"]).rpartition(".")[2]
                yield getattr(streams, subject), text(given["stream"]), text(given["durable"])


def text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    assert isinstance(node, ast.Constant), ast.unparse(node)
    return str(node.value)


def test_every_consumer_of_the_servers_is_declared() -> None:
    found = list(consumers())
    assert found
    for subject, stream, durable in found:
        topic = streams.topic(subject)
        assert topic is not None
        assert topic.stream == stream
        assert any(fnmatch.fnmatchcase(durable, reader) for reader in topic.readers), f"{durable} reads {subject}"
