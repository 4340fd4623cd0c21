"""Selections and places of lists of recordings, and labels."""

from datetime import UTC, datetime

import pytest

from servers.common.errors import FieldInvalid, PageTokenInvalid
from servers.metadata import labels, listings
from servers.metadata.labels import Wanted
from servers.metadata.listings import Order, Place, Selection
from servers.metadata.recordings import Change, NewRecording, Source

ID = "0b9ff9d4-6a3c-4b9e-9d0c-0c2d7f1f8a11"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("order", "value"),
    [(Order.NEWEST, NOON), (Order.OLDEST, NOON), (Order.TITLE, "a|b|| c"), (Order.LONGEST, 0), (Order.LONGEST, 9**18)],
)
def test_a_place_is_read_as_it_was_written(order: Order, value: listings.Sortable) -> None:
    place = Place(value, ID)
    assert Place.parse(order, str(place)) == place


@pytest.mark.parametrize(
    ("order", "text"),
    [
        (Order.NEWEST, ""),
        (Order.NEWEST, ID),
        (Order.NEWEST, f"yesterday|{ID}"),
        (Order.NEWEST, f"2026-11-25T12:00:00|{ID}"),
        (Order.NEWEST, "2026-11-25T12:00:00+00:00|x"),
        (Order.TITLE, f"|{ID}"),
        (Order.TITLE, f"a\x00|{ID}"),
        (Order.TITLE, f"{'a' * 201}|{ID}"),
        (Order.LONGEST, f"-1|{ID}"),
        (Order.LONGEST, f"{2**63}|{ID}"),
        (Order.LONGEST, f"٣|{ID}"),
        (Order.LONGEST, f"1|{ID}\n"),
    ],
)
def test_a_place_of_nobody_is_refused(order: Order, text: str) -> None:
    with pytest.raises(PageTokenInvalid):
        Place.parse(order, text)


def test_each_selection_has_a_name_of_its_own() -> None:
    selections = [
        Selection(),
        Selection(source=Source.LIVE),
        Selection(source=Source.FILE),
        Selection(language_code="vi"),
        Selection(title_contains="vi"),
        Selection(labels=(Wanted("vi", None),)),
        Selection(labels=(Wanted("vi", ""),)),
        Selection(labels=(Wanted("vi", "null"),)),
        Selection(labels=(Wanted("vi", ""), Wanted("en", ""))),
        Selection(created_after=NOON),
        Selection(created_before=NOON),
        *(Selection(order=order) for order in (Order.OLDEST, Order.TITLE, Order.LONGEST)),
    ]
    assert len({selection.name for selection in selections}) == len(selections)
    assert Selection(labels=(Wanted("a", "b"),)).name == Selection(labels=(Wanted("a", "b"),)).name


def test_folding_forgets_case_and_how_marks_are_written() -> None:
    assert listings.folded("BẢN") == listings.folded("ba" + "\u0309" + "n")
    assert listings.folded("Đ") == "đ"


def test_labels_are_kept_in_order_of_their_keys() -> None:
    assert list(labels.checked("labels", {"b": "1", "a-_9": "", "c" * 63: "ă" * 200})) == ["a-_9", "b", "c" * 63]


def test_wanted_labels_are_read_to_the_first_equals_sign() -> None:
    given = ["show", "show=", "show=a=b"]
    assert labels.wanted("labels", given) == (Wanted("show", None), Wanted("show", ""), Wanted("show", "a=b"))
    with pytest.raises(FieldInvalid, match=r"^labels\[1\] "):
        labels.wanted("labels", ["show", "no such key"])


def test_a_change_names_what_it_changes() -> None:
    new = NewRecording(ID, "t", Source.LIVE, "vi", None, {"show": "news"})
    assert new.changed(Change()) == new
    assert new.changed(Change(language_code="", labels={})) == NewRecording(ID, "t", Source.LIVE, "")


def test_the_digest_depends_on_every_part_and_on_nothing_else() -> None:
    new = NewRecording(ID, "t", Source.LIVE, "vi", None, {"a": "1", "b": "2"})
    others = [
        NewRecording(ID, "t", Source.FILE, "vi", None, {"a": "1", "b": "2"}),
        NewRecording(ID, "t", Source.LIVE, "", None, {"a": "1", "b": "2"}),
        NewRecording(ID, "t", Source.LIVE, "vi", None, {"a": "2", "b": "1"}),
        NewRecording(ID, "tv", Source.LIVE, "i", None, {"a": "1", "b": "2"}),
    ]
    assert new.digest() == NewRecording(ID, "t", Source.LIVE, "vi", None, {"b": "2", "a": "1"}).digest()
    assert len({one.digest() for one in (new, *others)}) == 5
