"""Codes, centroids, and inverted lists, apart from any store."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from servers.search import clustering, columns
from servers.search.clustering import Matrix, Stopped
from servers.search.codes import Codec
from servers.search.distances import inner, nearest, nearest_in_runs
from servers.search.documents import Scope
from servers.search.indexing import Changes, Codes, Filter, Rows, language_number, recording_number
from servers.search.lists import ListIndex
from servers.search.rebuilding import Shape
from servers.search.segments import Segment
from servers.search.snapshots import SnapshotDamaged

DIMENSIONS = 32


def vectors(count: int, seed: int = 0) -> Matrix:
    """Unit vectors around 30 centres that lie in one direction, as those of texts do."""
    numbers = np.random.default_rng(seed)
    centres = numbers.standard_normal((30, DIMENSIONS)) + 2
    made = centres[numbers.integers(30, size=count)] + 0.4 * numbers.standard_normal((count, DIMENSIONS))
    units: Matrix = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    return units


class Kept:
    """An index, and all that was put into it."""

    def __init__(self, shape: Shape) -> None:
        self.stored = dict[int, np.ndarray[tuple[int], np.dtype[np.float16]]]()
        self.index = ListIndex(DIMENSIONS, shape)

    def put(self, first: int, made: Matrix) -> None:
        ids = np.arange(first, first + len(made))
        rows = Rows(ids, made.astype(np.float16), ids % 7, np.full(len(ids), language_number("vi"), np.uint16))
        self.stored |= dict(zip(ids.tolist(), rows.vectors, strict=True))
        self.index.apply(Changes(self.index.seq + len(ids), np.empty(0, np.int64), rows))

    def drop(self, ids: Sequence[int]) -> None:
        for id in ids:
            del self.stored[id]
        nothing = np.empty(0, np.int64)
        rows = Rows(nothing, np.empty((0, DIMENSIONS), np.float16), nothing, nothing.astype(np.uint16))
        self.index.apply(Changes(self.index.seq + len(ids), np.array(ids), rows))

    def rebuild(self, path: Path) -> Segment:
        frozen = self.index.freeze()
        frozen.write(path, lambda: False)
        segment = Segment(path)
        self.index.install(frozen, segment)
        return segment

    def recall(self, asked: Matrix, limit: int = 10) -> float:
        ids = np.array(list(self.stored))
        all_of_them = np.array([self.stored[id] for id in ids.tolist()]).astype(np.float32)
        hits = 0
        for vector in asked:
            nearest = ids[np.argsort(-(all_of_them @ vector))[:limit]]
            hits += len({*nearest.tolist()} & {*self.index.nearest(vector, Filter(), limit).ids})
        return hits / (limit * len(asked))


def test_distances_of_codes_are_exact_and_do_not_overflow() -> None:
    codes = np.random.default_rng(0).integers(-127, 128, (500, 4096)).astype(np.int8)
    codes[0], codes[1] = 127, -127
    wide = codes.astype(np.int64)
    for row in (0, 1, 2):
        places, distances = nearest(codes[row], codes, np.arange(500), 500)
        assert sorted(places.tolist()) == list(range(500))
        np.testing.assert_array_equal(distances, ((wide - wide[row]) ** 2).sum(axis=1)[places])
    assert nearest(codes[0], codes, np.arange(0), 5)[0].shape == (0,)


def test_of_many_rows_the_nearest_are_kept() -> None:
    numbers = np.random.default_rng(1)
    codes = numbers.integers(-127, 128, (500, DIMENSIONS)).astype(np.int8)
    recording, languages = (numbers.integers(0, 3, 500).astype(of) for of in (np.uint32, np.uint16))
    alive, everything = numbers.random(500) < 0.8, np.empty(0, np.bool_)
    allowed = np.array([True, False, True])
    far = ((codes.astype(np.int64) - codes[7]) ** 2).sum(axis=1)
    wanted = np.flatnonzero(numbers.random(500) < 0.4)
    starts, ends = np.array([0, 100, 100, 300]), np.array([50, 100, 280, 500])
    inside = np.concatenate([np.arange(*run) for run in zip(starts, ends, strict=True)])
    passing = inside[alive[inside] & allowed[recording[inside]] & (languages[inside] == 2)]
    no_filter = (everything, recording, everything, languages, -1)
    for limit in (1, 10, 1_000):
        for (places, distances, *compared), among in (
            (nearest(codes[7], codes, wanted, limit), wanted),
            (nearest_in_runs(codes[7], codes, starts, ends, *no_filter, limit), inside),
            (nearest_in_runs(codes[7], codes, starts, ends, alive, recording, allowed, languages, 2, limit), passing),
        ):
            assert {*places.tolist()} <= {*among.tolist()}
            np.testing.assert_array_equal(distances, far[places])
            np.testing.assert_array_equal(np.sort(distances), np.sort(far[among])[:limit])
            assert compared in ([], [len(among)])


def test_inner_products_are_those_of_numpy_to_half_precision() -> None:
    made = vectors(200)
    np.testing.assert_allclose(inner(made[0], made.astype(np.float16)), made @ made[0], atol=1e-3)
    assert inner(made[0], made[:0].astype(np.float16)).shape == (0,)


def decoded(codec: Codec, codes: Codes) -> Matrix:
    """The vectors in the middle of what has these codes."""
    return codes.astype(np.float32) / np.float32(codec.scale) + codec.mean


def test_codes_are_within_half_a_step() -> None:
    made = vectors(1_000)
    codec = Codec.fitting(made)
    codes = codec.encoded(made)
    off = np.abs(decoded(codec, codes) - made)
    cut = np.abs(codes) == 127
    assert cut.mean() < 0.001
    assert off[~cut].max() <= 0.5001 / codec.scale


def test_one_vector_has_a_code() -> None:
    made = vectors(1)
    codec = Codec.fitting(made)
    np.testing.assert_allclose(decoded(codec, codec.encoded(made)), made, atol=1e-6)


def test_every_centroid_has_vectors_near_it() -> None:
    made = np.concatenate([vectors(50), np.repeat(vectors(1, seed=1), 900, axis=0)])
    made[50:] += np.random.default_rng(0).standard_normal((900, DIMENSIONS)).astype(np.float32) * 1e-2
    centroids = clustering.centroids(made, 64)
    labels = clustering.nearest(made, centroids)
    assert np.bincount(labels, minlength=64).min() > 0
    assert np.isfinite(centroids).all()


def test_the_nearest_centroid_is_the_nearest_and_comes_out_again() -> None:
    made = vectors(700)
    centroids = clustering.centroids(made, 40)
    np.testing.assert_array_equal(centroids, clustering.centroids(made, 40))
    distances = ((made[:, None] - centroids[None].astype(np.float64)) ** 2).sum(axis=2)
    chosen = np.take_along_axis(distances, clustering.nearest(made, centroids)[:, None].astype(np.int64), axis=1)[:, 0]
    # Two may be equally near but for how this machine rounds.
    np.testing.assert_allclose(chosen, distances.min(axis=1), rtol=0, atol=1e-6)


def test_clustering_ends_when_told() -> None:
    with pytest.raises(Stopped):
        clustering.centroids(vectors(100), 10, stopped=lambda: True)


def test_languages_have_numbers_of_their_own() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    codes = [a + b for a in letters for b in letters] + [a + b + c for a in letters for b in letters for c in letters]
    numbers = {language_number(code) for code in codes}
    assert len(numbers) == len(codes)
    assert 0 < min(numbers) <= max(numbers) < 2**16
    assert {language_number(code) for code in ("", "v", "VI", "vi-VN", "việ", "v1")} == {0}


def test_a_filter_names_what_the_scope_names() -> None:
    assert Filter.of(Scope("acme")).everything
    narrowed = Filter.of(Scope("acme", ("r1", "r2", "r1"), "vi"))
    assert narrowed.recordings == tuple(sorted({recording_number("r1"), recording_number("r2")}))
    assert narrowed.language == language_number("vi")
    assert not narrowed.everything


def test_columns_come_back_as_they_were_and_cannot_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "columns"
    arrays = columns.create(path, {"a": (np.int8, (3, 2)), "none": (np.int64, (0,)), "b": (np.float32, (2,))}, {"x": 1})
    arrays["a"][:], arrays["b"][:] = [[1, 2], [3, 4], [5, 6]], [0.5, 0.25]
    facts, mapped = columns.mapped(path)
    assert facts == {"x": 1}
    assert mapped["a"].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert (mapped["none"].shape, mapped["b"].tolist()) == ((0,), [0.5, 0.25])
    with pytest.raises(ValueError, match="read-only"):
        mapped["a"][0] = 0
    columns.create(path, {"a": (np.int8, (1,))}, {})
    assert mapped["a"].tolist() == [[1, 2], [3, 4], [5, 6]]


def test_another_kind_of_file_is_no_segment(tmp_path: Path) -> None:
    path = tmp_path / "columns"
    path.write_bytes(b"usearch")
    with pytest.raises(SnapshotDamaged):
        columns.mapped(path)


def test_parts_of_an_index_together_find_nearly_all(tmp_path: Path) -> None:
    kept = Kept(Shape(most_loose=200, probes=16, least_rows=0))
    made = vectors(4_000)
    kept.put(0, made[:3_500])
    assert kept.index.due()
    assert len(kept.rebuild(tmp_path / "base").centroids) == 331
    kept.put(3_500, made[3_500:3_750])
    assert kept.index.due()
    later = kept.rebuild(tmp_path / "later")
    assert (len(later), len(later.centroids), later.facts["on"]) == (250, 0, 3_500)
    kept.put(3_750, made[3_750:])
    kept.drop([3_999, 3_600, 5])
    assert kept.recall(made[::50]) >= 0.98
    stats = kept.index.stats()
    assert (stats.vectors, stats.dead, stats.loose, stats.lists) == (3_997, 3, 250, 331)
    assert kept.index.nearest(made[9], Filter(), 10).compared < 1_200


@pytest.mark.parametrize("place", ["base", "later", "tail"])
def test_the_best_are_compared_again_in_half_precision(tmp_path: Path, place: str) -> None:
    kept = Kept(Shape(most_loose=200, probes=300))
    made = vectors(3_000)
    # They differ by far less than a step of the codes: by these alone their order would be any.
    close = made[:1] + np.linspace(0, 0.02, 30)[:, None] * vectors(1, seed=4)
    close = (close / np.linalg.norm(close, axis=1, keepdims=True)).astype(np.float32)
    kept.put(0, np.concatenate([close, made[1:]]) if place == "base" else made[1:])
    kept.rebuild(tmp_path / "base")
    if place != "base":
        kept.put(5_000, np.concatenate([close, vectors(171, seed=7)]))
    if place == "later":
        kept.rebuild(tmp_path / "later")
    first = 0 if place == "base" else 5_000
    scores = close.astype(np.float16).astype(np.float32) @ close[0]
    ids = kept.index.nearest(close[0], Filter(), 20).ids
    assert ids == (first + np.argsort(-scores, kind="stable")[:20]).tolist()


def test_an_index_dead_by_a_tenth_is_due_and_less_is_not(tmp_path: Path) -> None:
    kept = Kept(Shape(most_loose=200))
    kept.put(0, vectors(1_000))
    kept.rebuild(tmp_path / "base")
    kept.drop(range(100))
    assert not kept.index.due()
    kept.drop([100])
    assert kept.index.due()
    assert len(kept.rebuild(tmp_path / "again")) == 899
    assert not kept.index.due()


def test_codes_fit_those_that_come_when_few_came_first(tmp_path: Path) -> None:
    kept = Kept(Shape(most_loose=200, probes=16, least_rows=0))
    kept.put(0, vectors(201, seed=9))
    kept.drop(range(201))
    assert len(kept.rebuild(tmp_path / "none")) == 0
    made = vectors(3_000)
    kept.put(1_000, made[:100])
    kept.rebuild(tmp_path / "few")
    kept.put(1_100, made[100:])
    segment = kept.rebuild(tmp_path / "many")
    assert (np.abs(segment.codes) == 127).mean() < 0.001
    assert segment.lists > 1
    assert kept.recall(made[::50]) >= 0.98


def test_of_a_narrow_filter_every_row_is_compared_and_no_other(tmp_path: Path) -> None:
    kept = Kept(Shape(most_loose=200, probes=16, least_rows=0))
    made = vectors(3_000)
    kept.put(0, made)
    kept.rebuild(tmp_path / "base")
    ranked = kept.index.nearest(made[0], Filter(recordings=(3,)), 10)
    assert (ranked.lists, ranked.compared) == (0, len(range(3, 3_000, 7)))
    assert {id % 7 for id in ranked.ids} == {3}


def test_where_lists_are_short_more_of_them_are_looked_through(tmp_path: Path) -> None:
    made = vectors(3_000)
    looked = dict[int, int]()
    for least_rows in (0, 1_000, 100_000):
        kept = Kept(Shape(most_loose=200, probes=16, least_rows=least_rows))
        kept.put(0, made)
        kept.rebuild(tmp_path / "base")
        looked[least_rows] = kept.index.nearest(made[0], Filter(), 10).lists
    assert looked == {0: 27, 1_000: 103, 100_000: 307}
