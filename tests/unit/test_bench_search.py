"""The ground of the search benchmark: drawn vectors, exact answers, how vectors lie, sentences."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bench import report
from bench.search import build, figures, growth, truth
from bench.search import contents as contents_module
from bench.search import shape as shapes
from bench.search import texts as corpus
from bench.search.alone import Index, document_id
from bench.search.arriving import Arrived
from bench.search.asking import Asked
from bench.search.contents import SHARES, TENANT, Contents, number_of
from bench.search.figures import Row
from bench.search.sentences import LONGEST, SHORTEST, Sentences
from bench.search.vectors import Cloud, Real, nearest, recall
from servers.search.documents import Scope
from servers.search.query import parsed
from servers.search.store import Store
from servers.search.terms import Terms

RNG = np.random.default_rng(1)


def unit(vectors: npt.NDArray[np.float64]) -> shapes.Matrix:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


ANCHORS = unit(RNG.standard_normal((300, 16)) * np.linspace(2, 0.1, 16) + 2)


def test_a_block_is_the_same_whenever_it_is_made_and_no_other_is() -> None:
    block = Cloud(ANCHORS, block=100).block(3)
    assert np.array_equal(Cloud(ANCHORS, block=100).block(3), block)
    assert not np.allclose(Cloud(ANCHORS, block=100).block(2), block)
    assert not np.allclose(Cloud(ANCHORS, block=100, seed=6).block(3), block)


def test_vectors_have_length_one_and_spread_as_far_as_the_real_ones() -> None:
    drawn = Cloud(ANCHORS, block=5000).block(0)
    assert np.allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-5)
    assert np.linalg.norm(drawn.mean(axis=0)) == pytest.approx(np.linalg.norm(ANCHORS.mean(axis=0)), abs=0.03)


def test_without_noise_they_are_the_anchors_and_with_more_they_are_farther_from_them() -> None:
    def nearness(noise: float) -> float:
        return float((Cloud(ANCHORS, block=500, noise=noise).block(0) @ ANCHORS.T).max(axis=1).mean())

    assert nearness(0) == pytest.approx(1, abs=1e-5)
    assert nearness(0.3) > nearness(0.9)


def test_blocks_end_at_the_count() -> None:
    firsts = [(first, len(block)) for first, block in Cloud(ANCHORS, block=100).blocks(250)]
    assert firsts == [(0, 100), (100, 100), (200, 50)]


def test_exact_search_by_blocks_is_that_of_all_at_once() -> None:
    cloud, questions = Cloud(ANCHORS, block=64), ANCHORS[:7]
    found = nearest(questions, cloud.blocks(150), 20)
    products = questions @ np.vstack([cloud.block(0), cloud.block(1), cloud.block(2)])[:150].T
    assert np.array_equal(found.ids, np.argsort(-products, axis=1, kind="stable")[:, :20])
    assert np.allclose(found.cosines, -np.sort(-products, axis=1)[:, :20])


def test_recall_counts_the_nearest_only() -> None:
    exact = np.array([[1, 2, 3], [4, 5, 6]])
    assert recall([[2, 1], [9, 6]], exact, within=2) == 0.5
    assert recall([[], []], exact, within=2) == 0


@pytest.mark.parametrize("dimensions", [4, 12])
def test_both_estimates_tell_the_dimension_of_a_ball(dimensions: int) -> None:
    """A cap of a sphere, turned into more dimensions, so small that it is nearly flat."""
    flat = np.random.default_rng(2).standard_normal((2000, dimensions)) * 0.02
    turn = np.linalg.qr(RNG.standard_normal((40, 40)))[0]
    vectors = unit(np.hstack([np.ones((2000, 1)), flat, np.zeros((2000, 39 - dimensions))]) @ turn)
    seen = shapes.shape(vectors, vectors)
    assert seen.dimension == pytest.approx(dimensions, rel=0.25)
    assert seen.two_nn == pytest.approx(dimensions, rel=0.25)
    assert seen.first[1] > seen.tenth[1]


def test_a_vector_is_not_its_own_neighbour() -> None:
    vectors = np.eye(60, dtype=np.float32)
    assert shapes.cosines(vectors, vectors, 1).max() == 0
    assert shapes.cosines(vectors, vectors.copy(), 1).max() == 1


REAL = ["Hệ thống đã dừng.", "hệ thống của tôi", "tôi có một hệ thống"]


def test_sentences_are_the_same_whenever_they_are_made_and_pairs_of_words_are_real() -> None:
    block = Sentences(REAL, block=400).block(1)
    assert block == Sentences(REAL, block=400).block(1)
    assert block != Sentences(REAL, block=400).block(2)
    assert all(SHORTEST <= len(sentence.split()) <= LONGEST for sentence in block)
    text = "\n".join(block)
    assert "hệ thống đã dừng" in text
    assert "dừng hệ" in text, "where a sentence ends, another begins"
    assert " của một " not in text


def test_texts_are_each_there_once_and_no_question_is_among_the_passages(tmp_path: Path) -> None:
    xquad, tatoeba, sib = (tmp_path / name for name in ("xquad_retrieval", "tatoeba", "sib200"))
    for folder in (xquad, tatoeba, sib):
        folder.mkdir()
    for short, long in (("vi", "vie"), ("en", "eng")):
        (xquad / f"corpus.{short}.jsonl").write_text(f'{{"text": "First one {short}. Second one {short}!"}}\n')
        (xquad / f"queries.{short}.jsonl").write_text(f'{{"text": "Which one {short}?"}}\n' * 3)
        (tatoeba / f"dev.{long}").write_text("".join(f"said {number} {short}\n" for number in range(20)) + "short\n")
        for part in ("train", "dev"):
            (sib / f"{long}_{part}.tsv").write_text("index_id\tcategory\ttext\n1\tsports\tthe same in all\n")
    texts = corpus.load(tmp_path)
    assert {"Second one vi!", "the same in all"} <= {*texts.passages, *texts.questions}
    assert len({*texts.passages, *texts.questions} - {"Which one vi?", "Which one en?"}) == 2 * 2 + 2 * 20 + 1
    assert len(set(texts.passages)) == len(texts.passages)
    assert texts.questions[0].startswith("Which one")
    assert not set(texts.passages) & set(texts.questions)


# What the index of the benchmark holds.


QUESTIONS = unit(RNG.standard_normal((6, 16)) + 2)
SAID = ("Anh ấy đi chợ sáng nay.", "Trời hôm nay đẹp quá, ai cũng vui.", "Con mèo ngủ trên mái nhà.")


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> Contents:
    """Blocks of 250 segments."""
    monkeypatch.setattr(contents_module, "BLOCK", 250)
    texts = corpus.Texts(SAID, ("Ai đi chợ?",) * len(QUESTIONS))
    return Contents("e5", texts, Real(ANCHORS, QUESTIONS), Cloud(ANCHORS, block=250), Sentences(SAID, block=250))


def test_a_segment_is_the_same_wherever_the_building_goes_on(contents: Contents) -> None:
    whole = [entry for block in contents.entries(0, 600) for entry in block]
    rest = [entry for block in contents.entries(310, 600) for entry in block]
    assert len(whole) == 600
    assert [entry.document for entry in whole[310:]] == [entry.document for entry in rest]
    assert all(np.array_equal(a.embedding.vector, b.embedding.vector) for a, b in zip(whole[310:], rest, strict=True))
    assert len({entry.document.id for entry in whole}) == 600
    assert [number_of(entry.document.segment_id) for entry in whole] == list(range(600))
    assert document_id(37) == whole[37].document.id


def test_a_filter_by_a_share_keeps_that_share(contents: Contents) -> None:
    documents = [entry.document for block in contents.entries(0, 1_000) for entry in block]
    (one_percent, _) = SHARES
    held = [number for number, one in enumerate(documents) if one.recording_id == one_percent.recording_id]
    assert held == np.flatnonzero(one_percent.holds(np.arange(1_000))).tolist()
    assert len(held) == 10


def test_the_right_answers_are_those_of_comparing_everything(contents: Contents, tmp_path: Path) -> None:
    seen: list[int] = []
    found = truth.find(contents, 1_000, seen.append)
    vectors = np.vstack([contents.cloud.block(number) for number in range(4)])
    products = QUESTIONS @ vectors.T
    assert np.array_equal(found[truth.EVERYTHING], np.argsort(-products, axis=1)[:, :10])
    (one_percent, _) = SHARES
    assert (found[one_percent.name] % 100 == one_percent.rest).all()
    assert seen == [250, 500, 750, 1_000]
    truth.save(tmp_path / "truth.npz", found)
    assert np.array_equal(truth.known(tmp_path / "truth.npz")[truth.EVERYTHING], found[truth.EVERYTHING])
    assert truth.known(tmp_path / "other.npz") == {}


def test_building_that_is_broken_off_goes_on_where_it_was(contents: Contents, tmp_path: Path) -> None:
    def broken(done: int) -> None:
        if done >= 250:
            raise KeyboardInterrupt

    shelf = Store(tmp_path / "documents.sqlite")
    with pytest.raises(KeyboardInterrupt):
        build.store(contents, 600, shelf, broken)
    shelf.close()
    shelf = Store(tmp_path / "documents.sqlite")
    seen: list[int] = []
    build.store(contents, 600, shelf, seen.append)
    assert (seen[0], seen[-1], shelf.last_seq()) == (250, 600, 600)
    build.lists(contents, shelf, tmp_path / "vectors", seen.append)
    assert seen[-1] == 600
    shelf.close()


def test_words_are_indexed_beside_and_to_the_end(contents: Contents, tmp_path: Path) -> None:
    shelf = Store(tmp_path / "documents.sqlite")
    try:
        with build.words_beside(tmp_path) as read:
            build.store(contents, 600, shelf, lambda stored: None)
        assert read() == 600
        indexes = Terms(tmp_path / "words", shelf)
        (first, *_), *_ = contents.entries(0, 1)
        assert first.document.id in indexes.matching(Scope(TENANT), parsed(first.document.text), 10)
    finally:
        shelf.close()


def test_growth_has_a_line_for_each_way_of_asking_over_the_sizes_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    report.write("search-1000", {"vectors": 1000, "p95_ms": 3.0, "failed": 0, "index_p95_ms": 1.0})
    report.write("search", {"vectors": 9000, "p95_ms": 7.0, "failed": 2})
    report.write("search_kills", {"kills": 50})
    found = {line.name: line for line in growth.lines(growth.measured())}
    assert found["through the edge"].points == [(1000.0, 3.0), (9000.0, 7.0)]
    assert found["through the edge"].hollow == {9000.0}
    assert found["index alone"].points == [(1000.0, 1.0)]
    assert found["index alone"].hollow == frozenset()


def test_an_index_tells_from_how_many_threads_it_was_asked_and_how_long_it_took_to_build_if_it_was_built() -> None:
    found = figures.of_indexes(
        [Index("ours", 0.95, 1, 2, 9, 2, 100, 0.0, 8), Index("faiss", 0.95, 1, 2, 9, 2, 50, 4, 8)]
    )
    assert (found["index_qps_threads"], found["peer_faiss_qps_threads"]) == (2, 2)
    assert "index_built_s" not in found
    assert found["peer_faiss_built_s"] == 4


def test_what_was_written_beside_is_told_with_what_waits_of_it() -> None:
    found = figures.of_rows([Row("with_writes", Asked([3.0]), arrived=Arrived(published=300, waiting=20))])
    assert (found["segments_published_with_writes"], found["segments_waiting_with_writes"]) == (300, 20)
    assert "p50_ms" not in figures.of_rows([Row("all", Asked())]), "nothing was answered"


def test_the_largest_file_has_the_peers_of_the_largest_size_at_which_they_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    assert figures.of_peers() == {}
    report.write("search-1000", {"vectors": 1000, "machine": "a", "peer_faiss_qps": 5.0})
    report.write("search-2000", {"vectors": 2000, "machine": "b", "peer_faiss_qps": 4.0, "index_qps": 9.0})
    report.write("search-3000", {"vectors": 3000, "machine": "b", "index_qps": 8.0})
    report.write("search", {"vectors": 9000, "machine": "b", "peer_old_qps": 1.0, "peer_vectors": 500})
    found = figures.of_peers()
    assert found == {"peer_faiss_qps": 4.0, "peer_vectors": 2000, "peer_machine": "b"}
    report.merge("search", found, [figures.OF_PEERS])
    assert figures.of_peers() == found
    assert "peer_old_qps" not in report.read("search")


def test_what_is_missing_is_named_of_peers_only_when_they_never_ran() -> None:
    kept = dict.fromkeys((*figures.PROMISED, *figures.PROMISED_OF_PEERS), 1)
    assert figures.missing(kept, kept) == []
    assert "p95_ms" in figures.missing({}, kept)
    assert "peer_pgvector_qps" not in figures.missing({}, kept)
    assert "peer_pgvector_qps" in figures.missing(kept, {})
