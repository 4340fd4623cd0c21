"""Finds the moment at which something was said. Knows neither gRPC nor where the documents are."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from opentelemetry import metrics

from servers.common.errors import DependencyUnavailable, Overloaded
from servers.common.tallies import Tally
from servers.search import explaining, paging, ranking
from servers.search.candidates import Candidates, Library, QueryEmbedder, Status
from servers.search.documents import Document, Embedding
from servers.search.explaining import Explanation, MatchedWords
from servers.search.finding import Finder
from servers.search.indexing import recording_number
from servers.search.question import Question
from servers.search.ranking import Place
from servers.search.reading import Reading
from servers.search.reranking import Reranked, Reranker
from servers.search.snippets import Marker, Snippet
from servers.search.timings import Watch
from servers.search.words import words

SEARCHES = Tally(
    metrics.get_meter("ai2text"),
    "ai2text.search.searches",
    "Searches answered, by whether the semantic ranking took part.",
    ("semantic",),
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found, and why."""

    document: Document
    snippet: Snippet
    place: Place
    matched: MatchedWords | None = None
    """Only when the question wants to know."""

    closeness: float | None = None
    """To the query, where the first hits were compared with it."""


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a question; `semantic` and `lexical` say which rankings took part."""

    groups: tuple[tuple[Hit, ...], ...]
    """The hits of each recording; each hit by itself when they are not wanted by recording. Best first."""

    semantic: bool
    lexical: bool
    status: Status
    weights: ranking.Weights
    """What each ranking counted."""

    next_token: str = ""
    explanation: Explanation | None = None
    reranked: bool = False
    complete: bool = False
    """Whether nothing was away, or done in a hurry, that might have brought more, or a better order."""

    @property
    def hits(self) -> tuple[Hit, ...]:
        """Of all groups."""
        return tuple(hit for group in self.groups for hit in group)


@dataclass(frozen=True, slots=True)
class Fusion:
    """Both rankings as one."""

    places: list[Place]
    weights: ranking.Weights
    coverage: float

    @classmethod
    def of(cls, question: Question, found: Candidates, best: str) -> "Fusion":
        """What comes of the candidates of a question; `best` is the text whose words match it best, or empty."""
        best_match = tuple(words(best))
        asked = question.query.completed(best_match)
        weights = ranking.weights(asked, best_match)
        places = ranking.fused(found.lexical, found.semantic, weights)
        return cls(places, weights, ranking.coverage(asked, best_match))


class Searches:
    """Answers at most `at_once` questions at a time, and refuses more."""

    def __init__(
        self,
        library: Library,
        embedder: QueryEmbedder,
        reranker: Reranker,
        at_once: int,
        behind: Callable[[], bool] = lambda: False,
    ) -> None:
        """`behind` says whether the index has much to take in that was said."""
        self._library = library
        self._embedder = embedder
        self._reranker = reranker
        self._at_once = at_once
        self._free = at_once
        self._behind = behind

    @property
    def behind(self) -> bool:
        """Whether much that was said is not in the index yet."""
        return self._behind()

    async def find(self, question: Question) -> Found:
        """The hits for a question, best first. Overloaded when too many are being answered."""
        watch = Watch()
        async with self._places(1):
            embed = partial(self._embedder.embed, question.query.text, question.scope.tenant, question.subject)
            return await self._found(question, watch, embed)

    async def find_all(self, questions: Sequence[Question]) -> list[Found]:
        """The hits for each question of one caller, embedded in one call. Overloaded as if they came one by one."""
        watches = [Watch() for _ in questions]
        async with self._places(len(questions)):
            first, watch = questions[0], watches[0]
            texts = [question.query.text for question in questions]
            with watch.stage("embed"):
                embeddings = await self._embeddings(texts, first.scope.tenant, first.subject)
            for other in watches[1:]:
                other.add("embed", watch.took_us()["embed"])
            return await _together(
                self._found(question, watch, partial(_given, embedding))
                for question, watch, embedding in zip(questions, watches, embeddings, strict=True)
            )

    async def _embeddings(self, texts: Sequence[str], tenant: str, subject: str) -> Sequence[Embedding | None]:
        try:
            return await self._embedder.embed_all(texts, tenant, subject)
        except DependencyUnavailable:
            return [None] * len(texts)

    async def _found(self, question: Question, watch: Watch, embed: Callable[[], Awaitable[Embedding]]) -> Found:
        reading = Reading(self._library, question.scope, question.query, watch, question.channels)
        finder = Finder(self._library, question, reading, watch, embed)
        await finder.narrow()
        for depth in _depths(question):
            candidates = await finder.candidates(depth)
            fusion = Fusion.of(question, candidates, await _best(candidates, reading))
            left = _left(question, reading, fusion.places)
            page = await reading.first(left, question.wanted, _first_id)
            deeper = candidates.deeper and depth < paging.DEPTHS[-1]
            if len(page) >= question.wanted or not deeper:
                break
        # Who embeds compares, too, and was waited for in vain.
        away = candidates.status is Status.WORDS_ONLY
        reranked, answered = (None, False) if away else await self._reranked(question, reading, fusion, watch)
        if reranked:
            left = _left(question, reading, reranked.places)
            page = await reading.first(left, question.wanted, _first_id)
        closeness = reranked.closeness if reranked else {}
        with watch.stage("snippets"):
            marker = Marker(question.query)
            groups = tuple(
                tuple(_hit(question, reading, marker, place, closeness.get(place.id)) for place in group)
                for group in page
            )
        SEARCHES.count(str(candidates.by_meaning))
        behind = self.behind
        found = Found(
            groups,
            semantic=candidates.by_meaning,
            lexical=candidates.by_words,
            status=Status.BUILDING if behind else candidates.status,
            next_token=_next_token(question, reading, page) if deeper or _more(left, page) else "",
            weights=fusion.weights,
            reranked=reranked is not None,
            complete=candidates.status is Status.READY
            and not behind
            and candidates.by_meaning
            and candidates.thorough
            and answered,
        )
        return replace(found, explanation=_explained(candidates, fusion, finder, watch)) if question.explain else found

    async def _reranked(
        self, question: Question, reading: Reading, fusion: Fusion, watch: Watch
    ) -> tuple[Reranked | None, bool]:
        """None when the order stays; and whether all who were asked have answered in time."""
        if not _reranks(question, fusion):
            return None, True
        scope, text = question.scope, question.query.text
        try:
            with watch.stage("rerank"):
                reranked = await self._reranker.rerank(text, fusion.places, reading, scope.tenant, question.subject)
        except DependencyUnavailable:
            return None, False
        return reranked, True

    @asynccontextmanager
    async def _places(self, wanted: int) -> AsyncIterator[None]:
        """Room for so many searches; more than there may ever be count as all."""
        taken = min(wanted, self._at_once)
        if self._free < taken:
            raise Overloaded("too many searches at a time")
        self._free -= taken
        try:
            yield
        finally:
            self._free += taken


async def _together(searches: Iterable[Coroutine[Any, Any, Found]]) -> list[Found]:
    """What comes of all; when one fails, the others end as well, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            found = [tasks.create_task(search) for search in searches]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [one.result() for one in found]


async def _given(embedding: Embedding | None) -> Embedding:
    if embedding is None:
        raise DependencyUnavailable("embeddings")
    return embedding


def _depths(question: Question) -> Sequence[int]:
    """How deep to look, first and then. By recording it takes more hits, and in fewer steps."""
    if question.hits_each:
        return paging.DEPTHS[1], paging.DEPTHS[-1]
    return tuple(paging.depths(len(question.given) + question.wanted))


async def _best(found: Candidates, reading: Reading) -> str:
    """The text of the first by words that is there; empty when there is none."""
    first = await reading.first(found.lexical, 1, int)
    return reading[first[0]].text if first else ""


def _left(question: Question, reading: Reading, places: Sequence[Place]) -> list[list[Place]]:
    """The hits that no earlier page had, by recording when that is wanted, else each by itself; best first."""
    before = frozenset(question.given)
    if not question.hits_each:
        return [[place] for place in places if not before or paging.mark(place.id) not in before]
    groups = dict[int, list[Place]]()
    for place in places:
        hits = groups.setdefault(_number(question, reading, place), [])
        if len(hits) < question.hits_each:
            hits.append(place)
    return [hits for number, hits in groups.items() if paging.mark(number) not in before]


def _first_id(group: Sequence[Place]) -> int:
    return group[0].id


def _more(left: Sequence[Sequence[Place]], page: Sequence[Sequence[Place]]) -> bool:
    """Whether something may be left after the page."""
    return bool(page) and left[-1] is not page[-1]


def _number(question: Question, reading: Reading, place: Place) -> int:
    """That of the hit, or of its recording when hits are wanted by recording."""
    return recording_number(reading[place.id].recording_id) if question.hits_each else place.id


def _next_token(question: Question, reading: Reading, page: Sequence[Sequence[Place]]) -> str:
    given = (*question.given, *(paging.mark(_number(question, reading, group[0])) for group in page))
    return paging.token(question.name, given) if page and len(given) < paging.MOST_GIVEN else ""


def _reranks(question: Question, fusion: Fusion) -> bool:
    """Whether the first hits are to be compared. What has no accents the model cannot read, and later pages go on as
    they would have."""
    return question.rerank and not question.given and fusion.weights.semantic == 1


def _hit(question: Question, reading: Reading, marker: Marker, place: Place, closeness: float | None) -> Hit:
    document = reading[place.id]
    matched = explaining.matched(question.query, document.text) if question.explain else None
    return Hit(document, marker.snippet(document.text), place, matched, closeness)


def _explained(found: Candidates, fusion: Fusion, finder: Finder, watch: Watch) -> Explanation:
    return Explanation(
        semantic_weight=fusion.weights.semantic if found.by_meaning else 0.0,
        lexical_weight=fusion.weights.lexical if found.by_words else 0.0,
        coverage=fusion.coverage,
        semantic_candidates=len(found.semantic),
        lexical_candidates=len(found.lexical),
        lists=found.lists,
        compared=found.compared,
        recordings_left=finder.recordings_left,
        hurried=not found.thorough,
        took_us=watch.took_us(),
    )
