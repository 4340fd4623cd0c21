"""Finds what may answer a question: both rankings at a time, in what the filters leave."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from servers.common.errors import DependencyUnavailable
from servers.search.candidates import Candidates, Library, Matching, Status, Within
from servers.search.documents import Embedding
from servers.search.indexing import Ranked, recording_number
from servers.search.question import Question
from servers.search.reading import Reading
from servers.search.timings import Watch

MOST_IN_SPAN = 20_000
"""Where only a part of some recordings is searched, each ranking brings so many segments of them at most, before those
that are not in the part are left out."""


class Finder:
    """For one question. First `narrow`, then `candidates`, as often and as deep as it takes."""

    def __init__(
        self,
        library: Library,
        question: Question,
        reading: Reading,
        watch: Watch,
        embed: Callable[[], Awaitable[Embedding]],
    ) -> None:
        """`embed` gives the vector of the query; DependencyUnavailable when there is none in time."""
        self._library = library
        self._question = question
        self._reading = reading
        self._watch = watch
        self._embed = embed
        self._scope = question.scope
        self._within: Within | None = None
        self._embedding: Embedding | None = None
        self._status: Status | None = None
        self.recordings_left: int | None = None
        """How many recordings the filters leave; None when they leave all."""

    async def narrow(self) -> None:
        """Find out what the filters leave."""
        question, scope = self._question, self._scope
        with self._watch.stage("filter"):
            if question.conditions.any:
                numbers = await self._library.recordings(scope.tenant, question.conditions)
                wanted = frozenset(map(recording_number, scope.recording_ids))
                left = tuple(number for number in numbers if number in wanted) if wanted else tuple(numbers)
                self._scope = replace(scope, recording_numbers=left)
                self.recordings_left = len(left)
            elif scope.recording_ids:
                self.recordings_left = len(scope.recording_ids)
            if question.span and self.recordings_left:
                self._within = await self._library.within(scope, question.span)

    async def candidates(self, depth: int) -> Candidates:
        """The best of both rankings, `depth` of each. DependencyUnavailable when neither can be asked."""
        has_words = not self._question.query.empty
        if self.recordings_left == 0 or (self._within and not self._within.ids):
            return Candidates(by_words=has_words, by_meaning=True)
        matching, nearest = await asyncio.gather(self._matching(depth), self._nearest(depth))
        if matching is None and nearest is None:
            raise DependencyUnavailable("search index")
        lexical, more_words = self._cut(matching.ids if matching else (), depth)
        semantic, more_meanings = self._cut(nearest.ids if nearest else (), depth)
        await self._reading.read(self._needed(lexical, semantic))
        return Candidates(
            self._reading.left(lexical),
            self._reading.left(semantic),
            by_words=matching is not None and has_words,
            by_meaning=nearest is not None,
            thorough=matching is None or matching.thorough,
            status=self._status or Status.READY,
            # What has the phrases is in the ranking by words.
            deeper=more_words or (more_meanings and not self._question.query.phrases),
            lists=nearest.lists if nearest else 0,
            compared=nearest.compared if nearest else 0,
        )

    async def _matching(self, depth: int) -> Matching | None:
        """None when there is no ranking by words at the moment: the meaning must then do."""
        if self._question.query.empty:
            return Matching()
        try:
            with self._watch.stage("words"):
                return await self._library.matching(self._scope, self._question.query, self._asked(depth))
        except DependencyUnavailable:
            self._status = Status.BUILDING
            return None

    async def _nearest(self, depth: int) -> Ranked | None:
        """None when there is no semantic ranking at the moment: the words must then do."""
        if self._embedding is None and not await self._embedded():
            return None
        assert self._embedding is not None
        try:
            with self._watch.stage("vectors"):
                return await self._library.nearest(self._scope, self._embedding, self._asked(depth))
        except DependencyUnavailable:
            self._status = Status.BUILDING
            return None

    async def _embedded(self) -> bool:
        """Whether there is a vector; asked for once."""
        if self._status is Status.WORDS_ONLY:
            return False
        try:
            with self._watch.stage("embed"):
                self._embedding = await self._embed()
        except DependencyUnavailable:
            self._status = self._status or Status.WORDS_ONLY
        return self._embedding is not None

    def _needed(self, lexical: Sequence[int], semantic: Sequence[int]) -> set[int]:
        """What must be read before the rankings are fused: the best of each, which are likely to be hits, and all where
        it counts what is in a document."""
        question = self._question
        if question.query.phrases or question.channels or question.hits_each:
            return {*lexical, *semantic}
        return {*lexical[: question.wanted], *semantic[: question.wanted]}

    def _asked(self, depth: int) -> int:
        """How many a ranking must bring, so that `depth` are left."""
        return depth if self._within is None else max(depth, min(self._within.of, MOST_IN_SPAN))

    def _cut(self, ranked: Sequence[int], depth: int) -> tuple[Sequence[int], bool]:
        """The first `depth` that the filters leave, and whether there may be more."""
        if self._within is None:
            return ranked, len(ranked) >= depth
        inside = [id for id in ranked if id in self._within.ids]
        return inside[:depth], len(inside) > depth
