"""What is asked for of an index of words."""

from collections.abc import Mapping, Sequence

import pytest

from servers.search import matching
from servers.search.matching import FEW, FOLDED, FOLDED_PAIRS, MOST_POSTINGS, SPELT, SPELT_PAIRS, Term
from servers.search.query import parsed


def test_without_accents_only_folded_terms_are_asked_for() -> None:
    assert matching.asked(parsed("dai hoc")) == [
        Term(FOLDED, "dai", 1.0, "dai"),
        Term(FOLDED, "hoc", 1.0, "hoc"),
        Term(FOLDED_PAIRS, "dai_hoc", 0.5, "dai_hoc"),
    ]


def test_with_accents_spelt_ones_too_and_they_count_twice() -> None:
    asked = matching.asked(parsed("Đại hoc"))
    assert [term for term in asked if term.field in (FOLDED, FOLDED_PAIRS)] == matching.asked(parsed("dai hoc"))
    assert [term for term in asked if term.field in (SPELT, SPELT_PAIRS)] == [
        Term(SPELT, "đại", 2.0, "dai"),
        Term(SPELT, "hoc", 2.0, "hoc"),
        Term(SPELT_PAIRS, "đại_hoc", 1.0, "dai_hoc"),
    ]


def test_each_term_once_and_of_long_queries_the_beginning() -> None:
    assert [(term.text, term.weight) for term in matching.asked(parsed("a a a"))] == [("a", 1.0), ("a_a", 0.5)]
    asked = matching.asked(parsed(" ".join(f"w{n}" for n in range(500))))
    assert len(asked) == 2 * matching.MOST_WORDS - 1


def test_a_prefix_with_accents_begins_folded_and_spelt_words() -> None:
    for query, begun in (
        ("nguye*", [Term(FOLDED, "nguye")]),
        ("Nguyễ*", [Term(FOLDED, "nguye"), Term(SPELT, "nguyễ", 2.0)]),
    ):
        prefix = parsed(query).prefix
        assert prefix
        assert matching.prefixes(prefix) == begun


def test_a_phrase_is_looked_for_as_it_is_spelt_when_it_has_accents() -> None:
    for query, field in (('"dai hoc"', FOLDED), ('"đai hoc"', SPELT)):
        (phrase,) = parsed(query).phrases
        assert matching.phrase(phrase)[0] == field


def counted(counts: Mapping[str, int], documents: int) -> list[tuple[int, Term]]:
    terms = [Term(FOLDED, text) for text in counts]
    return matching.counted(terms, lambda term: counts[term.text], documents)


def test_a_term_counts_the_less_the_more_documents_have_it() -> None:
    found = counted({"và": 600, "của": 400, "hà": 10, "không có": 0}, 1_000)
    assert [(count, term.text) for count, term in found] == [(10, "hà"), (400, "của"), (600, "và")]
    assert [term.weight for _, term in found] == pytest.approx([0.98, 0.2, matching.LEAST_WEIGHT])


@pytest.mark.parametrize(
    ("spelt", "folded", "asked"),
    [
        (50, 50, {SPELT: 3.0}),
        (50, 51, {SPELT: 2.0, FOLDED: 1.0}),
        (0, 50, {FOLDED: 1.0}),
        (4 * FEW, 5 * FEW, {SPELT: 3.0}),
        (4 * FEW, 5 * FEW + 1, {SPELT: 2.0, FOLDED: 1.0}),
    ],
)
def test_a_word_that_nearly_always_has_these_accents_is_looked_up_once(
    spelt: int, folded: int, asked: dict[str, float]
) -> None:
    counts = {"hà": spelt, "ha": folded}
    found = matching.counted(matching.asked(parsed("hà")), lambda term: counts[term.text], 1_000_000)
    rarity = {SPELT: 1 - 2 * spelt / 1_000_000, FOLDED: 1 - 2 * folded / 1_000_000}
    assert {term.field: term.weight for _, term in found} == pytest.approx(
        {field: weight * rarity[field] for field, weight in asked.items()}
    )


def test_pairs_are_looked_up_once_likewise() -> None:
    counts = {"đại": 9, "dai": 20, "học": 9, "hoc": 20, "đại_học": 5, "dai_hoc": 5}
    found = matching.counted(matching.asked(parsed("đại học")), lambda term: counts[term.text], 1_000_000)
    assert [(term.text, round(term.weight, 3)) for _, term in found if "_" in term.text] == [("đại_học", 1.5)]


def telling(counts: Mapping[str, int], documents: int, limit: int = 100) -> Sequence[str]:
    return [term.text for term in matching.telling(counted(counts, documents), limit)]


@pytest.mark.parametrize(
    ("counts", "documents", "told"),
    [
        ({"và": 590_000, "hà": 30_000, "nội": 20_000}, 1_000_000, ["nội", "hà"]),
        ({"và": 400_000, "hà": 50, "nội": 20}, 1_000_000, ["nội", "hà", "và"]),
        ({"và": 400_000, "của": 350_000}, 1_000_000, ["của"]),
        ({"và": 800_000, "của": 700_000, "và_của": 900}, 1_000_000, ["và_của"]),
        ({"và": 400_000, "không có": 0}, 1_000_000, ["và"]),
        ({"và": FEW, "của": FEW}, FEW, ["của", "và"]),
        ({"hà": 1_000, "nội": MOST_POSTINGS - 1_000}, 100_000_000, ["hà", "nội"]),
        ({"hà": 1_000, "nội": MOST_POSTINGS - 999}, 100_000_000, ["hà"]),
        ({"không có": 0}, 1_000, []),
    ],
)
def test_frequent_terms_are_left_out_where_others_find_enough(
    counts: dict[str, int], documents: int, told: list[str]
) -> None:
    assert telling(counts, documents) == told


def test_in_a_hurry_more_of_them_are_left_out() -> None:
    terms = counted({"hà": 1_000, "nội": MOST_POSTINGS // 2, "là": MOST_POSTINGS // 3}, 100_000_000)
    assert [[term.text for term in matching.telling(terms, 100, thrift)] for thrift in (1, 2, 3)] == [
        ["hà", "là", "nội"], ["hà", "là"], ["hà"],
    ]  # fmt: skip
    assert [term.text for term in matching.telling(terms[1:], 100, 6)] == ["là"]
