"""Whatever steps change, the edits make the refined text of the original."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from servers.nlp.draft import ORDER, Change, Draft, Edit, Step, applied

LETTERS = st.text("aàbđ .,1", max_size=12)


@st.composite
def rounds(draw: st.DrawFn) -> tuple[Draft, list[str]]:
    """A draft after some rounds of changes, and its texts after each, made without a draft."""
    text = draw(LETTERS)
    draft, texts = Draft(text), [text]
    for step in ORDER:
        places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6, unique=True)))
        changes = [
            Change(start, draw(st.integers(start, end)), draw(st.text("xyz", max_size=3)))
            for start, end in zip(places, [*places[1:], len(text)], strict=False)
        ]
        draft.change(step, changes)
        for change in reversed(changes):
            text = text[: change.start] + change.replacement + text[change.end :]
        texts.append(text)
    return draft, texts


@given(rounds())
def test_a_draft_is_what_its_changes_make_of_it(made: tuple[Draft, list[str]]) -> None:
    draft, texts = made
    assert draft.text == texts[-1]


@given(rounds())
def test_the_edits_make_the_text_of_the_original_and_do_not_overlap(made: tuple[Draft, list[str]]) -> None:
    draft, _ = made
    edits = draft.edits()
    assert applied(draft.original, edits) == draft.text
    for one, other in itertools.pairwise(edits):
        assert one.end <= other.start
        assert (one.start, one.end) < (other.start, other.end)
    for edit in edits:
        assert edit.replacement != draft.original[edit.start : edit.end]


def test_a_letter_that_two_steps_changed_is_one_edit_of_the_later() -> None:
    draft = Draft("viet")
    draft.change(Step.DIACRITICS, [Change(0, 4, "việt")])
    draft.change(Step.CAPITALISATION, [Change(0, 1, "V")])
    assert draft.edits() == [Edit(Step.CAPITALISATION, 0, 4, "Việt")]


def test_what_is_put_in_behind_a_change_stays_an_edit_of_its_own() -> None:
    draft = Draft("hai mươi")
    draft.change(Step.NUMBERS, [Change(0, 8, "20")])
    draft.change(Step.PUNCTUATION, [Change(2, 2, ".")])
    assert draft.edits() == [Edit(Step.NUMBERS, 0, 8, "20"), Edit(Step.PUNCTUATION, 8, 8, ".")]


def test_a_change_that_is_taken_back_is_no_edit() -> None:
    draft = Draft("hoà")
    draft.change(Step.TONE_PLACEMENT, [Change(0, 3, "hòa")])
    draft.change(Step.NUMBERS, [Change(0, 3, "hoà")])
    assert draft.edits() == []
