"""Makes a part of an index of words: of texts, or of other parts."""

from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from servers.common.compiled import compiled
from servers.search import columns, row_table, scoring
from servers.search.clustering import Stopped
from servers.search.columns import Arrays
from servers.search.indexing import Ids, Mask, Places
from servers.search.matching import FOLDED, FOLDED_PAIRS, SPELT, SPELT_PAIRS
from servers.search.postings import ABSENT, MOST_SPELLING, Bytes, Postings
from servers.search.row_table import Numbers
from servers.search.scoring import Scores, code
from servers.search.term_keys import SALTS, Keys, key, word_hash
from servers.search.word_index import WordRow
from servers.search.words import cut, forms_of

MOST_WORDS_KNOWN = 200_000
"""Of so many spellings at most what they are is remembered from one part to the next."""

_SALTS = np.array([SALTS[FOLDED], SALTS[SPELT], SALTS[FOLDED_PAIRS], SALTS[SPELT_PAIRS]], np.uint64)
_NOTHING = 0
"""The hash of what is no word: a lone mark."""


class Vocabulary(dict[str, int]):
    """The spellings that came up, by number. Who asks for one that is not there adds it."""

    def __init__(self) -> None:
        super().__init__()
        self.forms = list[tuple[str, str]]()
        """How each is spelt, and folded."""

        self.spelt, self.folded = array("Q"), array("Q")
        """The hashes of these."""

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self.forms)
        spelt, folded = forms_of(word)
        self.forms.append((spelt, folded))
        self.spelt.append(word_hash(spelt))
        self.folded.append(word_hash(folded) if folded else _NOTHING)
        return number


class Buffer:
    """Texts that are to become a part, each in place of its like."""

    def __init__(self) -> None:
        self._vocabulary = Vocabulary()
        self._rows = dict[int, tuple[int, int, list[int]]]()
        """By id: recording, language, words by number."""

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: WordRow) -> None:
        """Take a text in."""
        self.drop(row.id)
        self._rows[row.id] = (row.recording, row.language, list(map(self._vocabulary.__getitem__, cut(row.text))))

    def drop(self, id: int) -> None:
        """Give a text up, if it is here."""
        self._rows.pop(id, None)

    def ids(self) -> Ids:
        """Those of the texts."""
        return np.fromiter(self._rows, np.int64, len(self._rows))

    def part(self) -> Postings:
        """All of it."""
        held = self._rows.values()
        lengths = np.fromiter((len(row[2]) for row in held), np.int64, len(held))
        words = np.fromiter((word for row in held for word in row[2]), np.int64, int(lengths.sum()))
        forms = self._vocabulary.forms
        folded, spelt = (np.array(hashes, np.uint64) for hashes in (self._vocabulary.folded, self._vocabulary.spelt))
        lengths, keys, rows = _entries(words, lengths, folded, spelt, _SALTS)
        order = np.argsort(keys, kind="stable")
        languages = np.fromiter((row[1] for row in held), np.uint16, len(held))
        recordings = np.fromiter((row[0] for row in held), np.int64, len(held))
        arrays = row_table.arranged(self.ids(), recordings, languages)
        names = ("keys", "starts", "rows", "codes")
        arrays |= zip(names, _grouped(keys[order], rows[order], lengths, scoring.LENGTHS), strict=True)
        used = np.unique(words[folded[words] != _NOTHING])
        for field, form, hashes in ((FOLDED, 1, folded), (SPELT, 0, spelt)):
            there = [forms[number][form].encode("utf-8", "replace") for number in used.tolist()]
            arrays |= _spelt(field, there, hashes[used])
        return Postings({"words": int(lengths.sum()), "languages": row_table.spoken(languages)}, arrays)

    def clear(self) -> None:
        """Give all of it up."""
        self._rows.clear()
        if len(self._vocabulary) > MOST_WORDS_KNOWN:
            self._vocabulary = Vocabulary()


def merged(
    parts: Sequence[Postings],
    alive: Sequence[Mask],
    into: Path | None,
    stopped: Callable[[], bool] = lambda: False,
) -> Postings:
    """One part with the rows of all that are `alive`, in their order: in a file, or in memory. OSError when there is no
    room, clustering.Stopped when told so."""
    kept = [np.flatnonzero(mask) for mask in alive]
    languages = np.concatenate([part.table.languages[places] for part, places in zip(parts, kept, strict=True)])
    arrays = row_table.arranged(
        np.concatenate([part.table.ids[places] for part, places in zip(parts, kept, strict=True)]),
        np.concatenate([part.table.recordings()[places] for part, places in zip(parts, kept, strict=True)]),
        languages,
    )
    for field in (FOLDED, SPELT):
        spellings = [part.spellings[field] for part in parts]
        words, chosen = np.unique(np.concatenate([one.words for one in spellings]), return_index=True)
        arrays |= {f"{field}_words": words, f"{field}_keys": np.concatenate([one.keys for one in spellings])[chosen]}
    keys, group = np.unique(np.concatenate([part.keys for part in parts]), return_inverse=True)
    groups = np.split(group, np.cumsum([len(part.keys) for part in parts])[:-1])
    news, counts = _renumbered(kept, [len(part) for part in parts]), np.zeros(len(keys), np.int64)
    for part, new, of_key in zip(parts, news, groups, strict=True):
        _go_on(stopped)
        _count(part.starts, part.rows, new, of_key, counts)
    cursors = np.cumsum(counts) - counts
    there = counts > 0
    arrays |= {"keys": keys[there], "starts": np.append(cursors[there], counts.sum())}
    total = int(counts.sum())
    shapes = {name: (column.dtype, column.shape) for name, column in arrays.items()}
    shapes |= {"rows": (np.dtype(np.uint32), (total,)), "codes": (np.dtype(np.uint8), (total,))}
    share = sum(len(places) for places in kept) / max(1, sum(map(len, parts)))
    facts = {
        "words": round(share * sum(part.words for part in parts)),
        "languages": row_table.spoken(languages),
    }
    made = (
        columns.create(into, shapes, facts) if into else {n: np.empty(shape, of) for n, (of, shape) in shapes.items()}
    )
    for name, column in arrays.items():
        made[name][...] = column
    for part, new, of_key in zip(parts, news, groups, strict=True):
        _go_on(stopped)
        _copy(part.starts, part.rows, part.codes, new, of_key, cursors, made["rows"], made["codes"])
    return Postings(facts, made)


def _go_on(stopped: Callable[[], bool]) -> None:
    if stopped():
        raise Stopped


def _renumbered(kept: Sequence[Places], lengths: Sequence[int]) -> list[Numbers]:
    """The new number of each row of each part."""
    renumbered, first = list[Numbers](), 0
    for places, length in zip(kept, lengths, strict=True):
        new = np.full(length, ABSENT, np.uint32)
        new[places] = np.arange(first, first + len(places), dtype=np.uint32)
        renumbered.append(new)
        first += len(places)
    return renumbered


def _spelt(field: str, words: Sequence[bytes], hashes: Keys) -> Arrays:
    """The spellings of a field: these words, which have these hashes, in order and each once."""
    short = np.array([len(word) <= MOST_SPELLING for word in words], np.bool_)
    spellings, chosen = np.unique(np.array(words, f"S{MOST_SPELLING}")[short], return_index=True)
    return {f"{field}_words": spellings, f"{field}_keys": _keys(hashes[short][chosen], np.uint64(SALTS[field]))}


@compiled
def _keys(hashes: Keys, salt: np.uint64) -> Keys:
    """Of words by themselves."""
    keys = np.empty(len(hashes), np.uint64)
    for at in range(len(hashes)):
        keys[at] = key(salt, hashes[at], np.uint64(0))
    return keys


@compiled
def _entries(words: Places, lengths: Places, folded: Keys, spelt: Keys, salts: Keys) -> tuple[Places, Keys, Numbers]:
    """Of each text how many words it has, and the keys of all its terms with its row."""
    keys = np.empty(4 * len(words), np.uint64)
    rows = np.empty(4 * len(words), np.uint32)
    counted = np.zeros(len(lengths), np.int64)
    nothing = np.uint64(0)
    entry = at = 0
    for row in range(len(lengths)):
        before = -1
        for word in words[at : at + lengths[row]]:
            if folded[word] == nothing:
                continue
            counted[row] += 1
            keys[entry] = key(salts[0], folded[word], nothing)
            keys[entry + 1] = key(salts[1], spelt[word], nothing)
            rows[entry] = rows[entry + 1] = row
            entry += 2
            if before >= 0:
                keys[entry] = key(salts[2], folded[before], folded[word])
                keys[entry + 1] = key(salts[3], spelt[before], spelt[word])
                rows[entry] = rows[entry + 1] = row
                entry += 2
            before = word
        at += lengths[row]
    return counted, keys[:entry], rows[:entry]


@compiled
def _grouped(keys: Keys, rows: Numbers, lengths: Places, steps: Scores) -> tuple[Keys, Places, Numbers, Bytes]:
    """Entries in the order of keys and rows, as a part has them: each key once, and of each each row once."""
    different = np.empty(len(keys), np.uint64)
    starts = np.empty(len(keys) + 1, np.int64)
    there = np.empty(len(keys), np.uint32)
    codes = np.empty(len(keys), np.uint8)
    terms = count = at = 0
    while at < len(keys):
        if terms == 0 or different[terms - 1] != keys[at]:
            different[terms], starts[terms] = keys[at], count
            terms += 1
        end = at + 1
        while end < len(keys) and keys[end] == keys[at] and rows[end] == rows[at]:
            end += 1
        there[count], codes[count] = rows[at], code(end - at, lengths[rows[at]], steps)
        count += 1
        at = end
    starts[terms] = count
    return different[:terms].copy(), starts[: terms + 1].copy(), there[:count].copy(), codes[:count].copy()


@compiled
def _count(starts: Places, rows: Numbers, new: Numbers, group: Places, counts: Places) -> None:
    """Add to each group how many rows of its keys are kept."""
    for at in range(len(starts) - 1):
        kept = 0
        for entry in range(starts[at], starts[at + 1]):
            kept += new[rows[entry]] != ABSENT
        counts[group[at]] += kept


@compiled
def _copy(
    starts: Places,
    rows: Numbers,
    codes: Bytes,
    new: Numbers,
    group: Places,
    cursors: Places,
    into_rows: Numbers,
    into_codes: Bytes,
) -> None:
    """Write the entries of the rows that are kept behind those that were written before, each in its group."""
    for at in range(len(starts) - 1):
        to = cursors[group[at]]
        for entry in range(starts[at], starts[at + 1]):
            row = new[rows[entry]]
            if row != ABSENT:
                into_rows[to], into_codes[to] = row, codes[entry]
                to += 1
        cursors[group[at]] = to
