"""The benchmark of words: what is asked, and that ours and the peer that needs no server answer alike."""

from collections import Counter
from pathlib import Path

import pytest

from bench.search import words as bench
from bench.search.sentences import Sentences
from servers.search.documents import Scope

REAL = (
    "Hôm nay trời nắng đẹp ở Hà Nội.",
    "Ngày mai trời có thể mưa ở Đà Nẵng và Huế.",
    "Chúng tôi không biết ngày mai của Hà Nội.",
    "Một người đẹp ở Huế và một người ở Đà Nẵng.",
)
COUNT = 400


@pytest.fixture
def sentences() -> Sentences:
    return Sentences(REAL, block=200)


def test_each_sentence_has_a_number_a_recording_and_a_language(sentences: Sentences) -> None:
    rows = list(bench.rows(sentences, COUNT))
    assert [number for number, *_ in rows] == list(range(1, COUNT + 1))
    assert Counter(language for *_, language in rows) == {bench.LANGUAGE: 380, bench.RARE_LANGUAGE: 20}
    assert sum(recording == bench.SCATTERED for _, _, recording, _ in rows) == 4


def test_what_is_asked_has_one_to_eight_words_and_is_the_same_every_time(sentences: Sentences) -> None:
    kinds = bench.kinds(sentences, COUNT, 40)
    assert kinds == bench.kinds(sentences, COUNT, 40)
    assert {len(text.split()) for text in kinds[0].texts} == {*range(1, 9)}
    assert all(kind.texts for kind in kinds)


@pytest.mark.parametrize("name", ["ours", "tantivy", "fts5"])
def test_every_index_finds_a_sentence_by_itself_and_keeps_to_the_scope(
    tmp_path: Path, sentences: Sentences, name: str
) -> None:
    rows = {number: (text, recording) for number, text, recording, _ in bench.rows(sentences, COUNT)}
    with bench.opened(name, tmp_path, sentences, COUNT) as ask:
        for number in (1, 123, COUNT):
            wanted = rows[number][0]
            assert {*wanted.split()} <= {*rows[ask(wanted, Scope(bench.TENANT), 1)[0]][0].split()}
        found = ask(rows[107][0], Scope(bench.TENANT, (bench.SCATTERED,)), 10)
        assert 107 in found
        assert {rows[one][1] for one in found} == {bench.SCATTERED}
        assert len(ask("trời", Scope(bench.TENANT, (), bench.RARE_LANGUAGE), COUNT)) <= 20


def test_the_spread_of_every_kind_becomes_a_figure(sentences: Sentences) -> None:
    built = [bench.Built("ours", COUNT, 10.0, 200.0)]
    spread = bench.asked(lambda *_: [], ["một", "hai"], Scope(bench.TENANT))
    spreads = {"ours": {"5 % by language": spread}, bench.CPU: {"folded": spread}}
    figures = bench.figures(built, spreads, 7.4)
    assert spread.count == 2
    assert {
        "p50_ms_5_pct_by_language",
        "p99_ms_5_pct_by_language",
        "cpu_p50_ms_folded",
        "built_per_s",
        "memory_mib",
    } <= {*figures}
