"""What `ai2text search` makes of its options and of answers, and the prompt of its interactive mode."""

import io
import os
import readline
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ai2text.ingestion.v1 import ingestion_service_pb2
from ai2text.metadata.v1 import media_pb2, recording_pb2, transcript_pb2
from ai2text.search.v1 import explanation_pb2, hit_pb2, search_service_pb2
from rich.console import Console

from clients.cli import answers, explanations, hits
from clients.cli.asking import Asking, remembered
from clients.cli.commands import values
from clients.cli.hits import Answer, Question
from clients.cli.moments import Moment
from clients.cli.playing import Playback
from clients.cli.problem import Problem, UsageProblem
from clients.cli.times import full

BOTH = (hit_pb2.RANKING_SEMANTIC, hit_pb2.RANKING_LEXICAL)


def hit(number: int = 1, recording_id: str = "0123456789", **fields: Any) -> hit_pb2.Hit:
    snippet = hit_pb2.Snippet(text=f"Xin chào {number}", highlights=[hit_pb2.Highlight(start=4, end=8)])
    given = {
        "start_ms": 3_723_000,
        "end_ms": 3_724_000,
        "snippet": snippet,
        "score": 0.0325,
        "segment_id": f"s{number}",
    }
    return hit_pb2.Hit(recording_id=recording_id, **(given | fields))


def explained() -> Answer:
    found = hit(semantic_rank=1, lexical_rank=12)
    found.explanation.semantic_share, found.explanation.lexical_share = 0.0164, 0.0139
    found.explanation.exact_words.append("chào")
    found.explanation.folded_words.append("xin")
    why = explanation_pb2.SearchExplanation(
        semantic_weight=1, lexical_weight=0.5, word_coverage=2 / 3, semantic_candidates=100, lexical_candidates=7,
        lists_searched=1, vectors_compared=12_345, recordings_left=2, cached=True, hurried=True,
        timings=explanation_pb2.SearchTimings(embed_us=7_040, total_us=12_600),
    )  # fmt: skip
    return Answer([found], {"0123456789": "Họp"}, BOTH, explanation=why)


def printed(show: Any, terminal: bool = False) -> str:
    out = io.StringIO()
    show(Console(file=out, width=160, force_terminal=terminal, color_system="standard" if terminal else None))
    return out.getvalue()


# Values of options


@pytest.mark.parametrize(
    ("given", "ms"),
    [("0", 0), ("90", 90_000), ("1:30", 90_000), ("1:02:03", 3_723_000), ("90.5", 90_500), ("0:00.25", 250)],
)
def test_moments(given: str, ms: int) -> None:
    assert values.moment_ms("--from", given) == ms


@pytest.mark.parametrize("given", ["", "x", "1:", ":1", "1:2:3:4", "-1", "1.2345", "1,5", "١"])
def test_what_is_no_moment_is_said(given: str) -> None:
    with pytest.raises(UsageProblem, match="--from"):
        values.moment_ms("--from", given)


def test_labels() -> None:
    assert values.labels(["team=a", "note=b=c", "empty="]) == {"team": "a", "note": "b=c", "empty": ""}
    for wrong in ("team", "=a", ""):
        with pytest.raises(UsageProblem, match="no label"):
            values.labels([wrong])


def test_times_are_local_unless_they_say_otherwise() -> None:
    assert values.time("--after", "2026-11-25T14:30+07:00") == datetime(2026, 11, 25, 7, 30, tzinfo=UTC)
    assert values.time("--after", "2026-11-25") == datetime(2026, 11, 25).astimezone(UTC)
    with pytest.raises(UsageProblem, match="--before"):
        values.time("--before", "yesterday")


def test_a_question_is_sent_whole_and_what_was_not_given_is_left_out() -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    question = Question("x", 5, ("r",), "vi", {"a": "b"}, when, when, 1, 2, True, True, "token", True, (1, 0))
    request = question.request()
    assert (request.query, request.limit, list(request.recording_ids), request.language_code) == ("x", 5, ["r"], "vi")
    assert dict(request.filter.labels) == {"a": "b"}
    assert request.filter.recorded_after.ToDatetime(UTC) == request.filter.recorded_before.ToDatetime(UTC) == when
    assert (request.filter.start_ms, request.filter.end_ms) == (1, 2)
    assert (request.group_by_recording, request.explain, request.page_token) == (True, True, "token")
    assert request.rerank
    assert list(request.filter.channels) == [1, 0]
    plain = Question("x").request()
    assert not plain.filter.HasField("recorded_after")
    assert plain.filter.ByteSize() == 0


# Answers


def test_times_have_hours() -> None:
    assert [full(0), full(62_999), full(3_723_000), full(360_000_000)] == ["0:00:00", "0:01:02", "1:02:03", "100:00:00"]


def test_hits_are_in_colour_on_a_terminal_only() -> None:
    answer = Answer([hit()], {"0123456789": "Họp [b]"}, BOTH)
    plain = printed(lambda console: console.print(hits.table(answer)))
    assert "\x1b" not in plain
    for part in ("1:02:03", "Họp [b]", "Xin chào 1", "01234567"):
        assert part in plain
    assert "\x1b[1;33mchào\x1b[0m" in printed(lambda console: console.print(hits.table(answer)), terminal=True)


def test_of_a_recording_the_name_stands_once() -> None:
    groups = [
        hit_pb2.RecordingGroup(recording_id="a" * 36, hits=[hit(1, "a" * 36), hit(2, "a" * 36)]),
        hit_pb2.RecordingGroup(recording_id="b" * 36, hits=[hit(3, "b" * 36)]),
    ]
    every = [hit for group in groups for hit in group.hits]
    answer = Answer(every, {"a" * 36: "Một", "b" * 36: "Hai"}, BOTH, groups)
    lines = printed(lambda console: console.print(hits.table(answer, numbered=True))).splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert [("Một" in line, "Hai" in line) for line in lines] == [(True, False), (False, False), (False, True)]
    assert [("aaaaaaaa" in line, "bbbbbbbb" in line) for line in lines] == [
        (True, False),
        (False, False),
        (False, True),
    ]


def test_an_explanation_is_readable() -> None:
    text = printed(lambda console: answers.show(explained(), console))
    row = next(line for line in text.splitlines() if "0.0325" in line)
    assert row.split() == ["1", "1:02:03", "0.0325", "0.0164", "(1st)", "0.0139", "(12th)", "chào", "(xin)"]
    assert "Meaning counted 1.00 and words 0.50" in text
    assert "67% of the query's words" in text
    assert "12,345 vectors compared, 1 list looked through." in text
    assert "The filter left 2 recordings." in text
    assert "would have come from the cache" in text
    timings = dict(line.rsplit(None, 1) for line in text.splitlines()[-8:])
    assert timings["vector of the query"] == "7.04"
    assert timings["in all"] == "12.60"


def test_closeness_is_shown_where_hits_were_compared() -> None:
    answer = explained()
    answer.hits[0].explanation.closeness = 0.8765
    text = printed(lambda console: answers.show(answer, console))
    assert "closeness" in text
    assert "0.876" in next(line for line in text.splitlines() if "0.0325" in line)
    assert hits.record(answer.hits[0], "")["explanation"]["closeness"] == 0.8765


def test_an_explanation_of_what_took_no_part() -> None:
    assert explanations.share(0.0, 0) == "-"
    assert explanations.record(explanation_pb2.SearchExplanation())["recordings_left"] is None
    facts = " ".join(explanations.facts(explanation_pb2.SearchExplanation()))
    assert "filter left" not in facts
    assert "cache" not in facts


def test_ordinals() -> None:
    found = [explanations.ordinal(number) for number in (1, 2, 3, 4, 10, 11, 12, 13, 21, 22, 101, 111)]
    assert found == ["1st", "2nd", "3rd", "4th", "10th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th"]


def test_what_is_missing_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    building = search_service_pb2.INDEX_STATUS_BUILDING
    printed(lambda console: answers.show(Answer([], {}, (hit_pb2.RANKING_LEXICAL,)), console))
    assert "found by words only" in capsys.readouterr().err
    printed(lambda console: answers.show(Answer([], {}, BOTH, status=building), console))
    assert "being built" in capsys.readouterr().err
    assert "Nothing was found." in printed(lambda console: answers.show(Answer([], {}, BOTH), console))
    assert capsys.readouterr().err == ""


# Moments


STORED = media_pb2.StoredObject(key="k")


def moment(**fields: Any) -> Moment:
    recording = recording_pb2.Recording(recording_id="0123456789", title="Họp [b]", **fields)
    segments = [transcript_pb2.Segment(segment_id=f"s{n}", text=f"câu [i]{n}", start_ms=n * 1000) for n in range(3)]
    return Moment(hit(), recording, segments)


def test_a_moment_shows_what_was_said_around_it() -> None:
    text = printed(lambda console: answers.show_moment(moment(), console), terminal=True)
    assert [f"câu [i]{n}" in text for n in range(3)] == [True] * 3
    assert "\x1b[1mcâu [i]1\x1b[0m" in text
    assert "\x1b[1mcâu [i]2" not in text


def test_a_moment_says_where_it_was_said() -> None:
    live = printed(lambda console: answers.show_moment(moment(), console))
    assert "It was said live at 1:02:03 of 'Họp [b]' (0123456789); live sound is not kept." in live
    uploaded = printed(lambda console: answers.show_moment(moment(object=STORED), console))
    assert "It was said at 1:02:03 of 'Họp [b]' (0123456789).\n" in uploaded
    assert "Listen" not in uploaded


@pytest.mark.parametrize(
    ("start_ms", "begins"), [(3_723_000, "3720"), (62_500, "59.5"), (2_000, "0"), (36_000_000, "35997")]
)
def test_a_moment_is_heard_from_a_little_before_it_on(start_ms: int, begins: str) -> None:
    file = ingestion_service_pb2.CreateDownloadResponse(url="https://files.example.org/a?b=c")
    said = Moment(hit(start_ms=start_ms), recording_pb2.Recording(), ())
    assert Playback(said, file).address == f"https://files.example.org/a?b=c#t={begins}"


# The prompt


class Service:
    """Answers questions in order, and shows moments."""

    def __init__(self) -> None:
        self.asked = list[Question]()
        self.opened = list[str]()
        self.heard = list[str]()
        self.live = False
        self.broken = False
        self.given_up = 0
        """How many questions the user gives up."""

    def ask(self, question: Question) -> Answer:
        if self.broken:
            raise Problem("The edge is away.")
        if self.given_up:
            self.given_up -= 1
            raise KeyboardInterrupt
        self.asked.append(question)
        more = "" if question.page_token else "t1"
        found = [hit(1), hit(2)] if question.query != "nothing" else []
        explanation = explanation_pb2.SearchExplanation() if question.explain else None
        return Answer(found, {}, BOTH, next_token=more, explanation=explanation)

    def look(self, found: hit_pb2.Hit) -> Moment:
        self.opened.append(found.segment_id)
        return moment() if self.live else moment(object=STORED)

    def hear(self, said: Moment) -> None:
        self.heard.append(said.recording.recording_id)


@pytest.fixture
def service() -> Service:
    return Service()


def conversation(service: Service, *lines: str | type[BaseException], common: Question | None = None) -> str:
    """What is printed when these lines are typed, and then no more."""
    typed: Iterator[Any] = iter((*lines, EOFError))

    def read(prompt: str) -> str:
        assert prompt == "search> "
        line = next(typed)
        if isinstance(line, str):
            return line
        raise line

    asking = common or Question("", 5, language_code="vi")
    return printed(lambda console: Asking(asking, service.ask, service.look, service.hear, console).run(read))


def test_each_line_is_a_query_with_the_options_in_common(service: Service) -> None:
    text = conversation(service, "xin chào", "", "  tạm biệt ")
    assert [(one.query, one.limit, one.language_code) for one in service.asked] == [
        ("xin chào", 5, "vi"),
        ("tạm biệt", 5, "vi"),
    ]
    assert text.count("Xin chào 2") == 2
    assert "There is more: :next" in text


def test_what_was_asked_on_the_command_line_comes_first(service: Service) -> None:
    conversation(service, "sau", common=Question("trước"))
    assert [one.query for one in service.asked] == ["trước", "sau"]


def test_a_question_that_is_given_up_is_followed_by_the_prompt_also_the_first(service: Service) -> None:
    service.given_up = 2
    try:
        conversation(service, "cũng", "sau", common=Question("trước"))
    except KeyboardInterrupt:
        pytest.fail("which would end the tests as well")
    assert [one.query for one in service.asked] == ["sau"]


def test_the_next_page(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    conversation(service, ":next", "x", ":next", ":next")
    assert [one.page_token for one in service.asked] == ["", "t1"]
    assert [part in capsys.readouterr().err for part in ("Nothing was asked yet",)] == [True]


def test_explain_asks_the_last_again_and_only_once(service: Service) -> None:
    text = conversation(service, "x", ":explain", ":next")
    assert [(one.query, one.explain) for one in service.asked] == [("x", False), ("x", True), ("x", False)]
    assert "Meaning counted" in text


def test_open_shows_the_hit_with_that_number(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    text = conversation(
        service, ":open 1", "x", ":open 2", ":open 0", ":open 3", ":open", ":open x", "nothing", ":open 1"
    )
    assert (service.opened, service.heard) == (["s2"], [])
    assert "It was said at" in text
    said = capsys.readouterr().err
    assert [said.count(part) for part in ("is no hit's number", "There are no hits yet", "There are 2 hits.")] == [
        6,
        2,
        4,
    ]


def test_play_shows_the_hit_and_lets_it_be_heard_unless_it_was_spoken_live(service: Service) -> None:
    assert "It was said at" in conversation(service, "x", ":play 2")
    assert (service.opened, service.heard) == (["s2"], ["0123456789"])
    service.live = True
    assert "It was said live" in conversation(service, "x", ":play 1")
    assert (service.opened, service.heard) == (["s2", "s1"], ["0123456789"])


def test_quit_ends_it_and_help_says_what_there_is(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    text = conversation(service, ":help", ":nonsense", ":quit", "never")
    assert ":open N" in text
    assert "no command :nonsense" in capsys.readouterr().err
    assert service.asked == []
    conversation(service, ":q", "never")
    assert service.asked == []


def test_what_goes_wrong_is_said_and_the_next_line_is_taken(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.broken = True
    conversation(service, "x", KeyboardInterrupt, ":help")
    assert "The edge is away." in capsys.readouterr().err
    service.broken = False
    conversation(service, KeyboardInterrupt, "x")
    assert [one.query for one in service.asked] == ["x"]


def test_what_was_typed_is_there_the_next_time_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history"
    readline.clear_history()
    with remembered(path):
        readline.add_history("xin chào")
    readline.clear_history()
    with remembered(path):
        assert readline.get_history_item(readline.get_current_history_length()) == "xin chào"
    assert os.stat(path).st_mode & 0o777 == 0o600
    readline.clear_history()


def test_a_history_that_cannot_be_kept_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with remembered(tmp_path / "file" / "history"):
        readline.add_history("x")
    readline.clear_history()
