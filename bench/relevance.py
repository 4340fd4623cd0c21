"""How often search finds what is right: in Vietnamese, in Vietnamese without accents, and across languages.

The passages of `bench.relevance_sets` go the way of every final (`transcript.finalized` over NATS, the embedder, the
index), each collection under a tenant of its own; then its questions are asked. The peers are the two rankings alone,
BM25 over folded words and the vectors, as the same answers tell them. `make bench-relevance` runs it on the mesh of
`make up`, and takes a quarter of an hour on two slow cores.
"""

import argparse
import asyncio
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from ai2text.events.v1 import transcript_events_pb2
from ai2text.search.v1 import hit_pb2, search_service_pb2, search_service_pb2_grpc
from rich.console import Console
from rich.table import Table

from bench import clips, relevance_sets, report
from bench.relevance_sets import RUN, Collection, Question
from mesh.home import Home
from mesh.ports import Ports
from servers.common import events
from servers.common.identity import Caller

DEFAULT_FOLDER = clips.DEFAULT_FOLDER / "text"

SHELF = 60
"""How many passages make a recording: few enough for one answer to hold them all."""

INDEXING_TIMEOUT_S = 300.0
WORDS_FOLLOW_S = 2.0
"""When the vectors are found, the words soon are, too."""
TRIES = 3
"""How often a question is asked until the embedder answers in time: a moment without it is no reason to begin anew."""
ALONE, AT_A_TIME = 200, 4
"""Questions of each way that are asked one after the other, which are timed; and how many of the others at a time."""
RERANKED, RERANKED_WAYS = 200, ("vi_vi", "en_vi")
"""Questions that are asked on sentences with and without re-ranking; Vietnamese without accents it leaves as it is."""

WAYS = {
    "vi_vi": "Vietnamese",
    "vi_unaccented": "without accents",
    "vi_en": "Vietnamese, on English",
    "en_vi": "English, on Vietnamese",
    "tatoeba_vi_en": "Tatoeba, Vietnamese, on English",
    "tatoeba_en_vi": "Tatoeba, English, on Vietnamese",
}
PEERS = {"": "", "bm25_": "lexical_rank", "e5_": "semantic_rank"}
"""Prefix of the figures, and the rank of a hit that it stands for; none: the fused order."""

Figures = dict[str, float | int | str]


@dataclass(frozen=True)
class Answer:
    """Hits for a question, how long they took, in milliseconds, and the token of the next page, if there is one."""

    hits: Sequence[hit_pb2.Hit]
    took_ms: float
    next_page_token: str


def finals(collection: Collection, tenant: str) -> list[transcript_events_pb2.TranscriptFinalized]:
    """The passages as what was said, `SHELF` of them in a recording, each in a second of its own."""
    made = []
    for number, passage in enumerate(collection.passages):
        recording_id = str(uuid.uuid5(RUN, f"{tenant} {number // SHELF}"))
        segment = transcript_events_pb2.SegmentContent(
            recording_id=recording_id,
            transcript_id=recording_id,
            segment_id=passage.segment_id,
            start_ms=number * 1000,
            end_ms=number * 1000 + 1000,
            text=passage.text,
            language_code=collection.language,
        )
        event_id = str(uuid.uuid4())
        made.append(transcript_events_pb2.TranscriptFinalized(event_id=event_id, tenant=tenant, segment=segment))
    return made


async def feed(collection: Collection, nats_url: str, tenant: str) -> Counter[str]:
    """Publish the passages; returns the recordings and how many are in each."""
    said = finals(collection, tenant)
    async with events.connected(nats_url) as bus:
        for final in said:
            await events.publish(bus, events.TRANSCRIPT_FINALIZED, final.event_id, final.SerializeToString())
    return Counter(final.segment.recording_id for final in said)


class Client:
    """Asks one search server as one tenant."""

    def __init__(self, channel: grpc.aio.Channel, tenant: str) -> None:
        self._search = search_service_pb2_grpc.SearchServiceStub(channel)
        self._headers = Caller(tenant, "bench", frozenset({"search"})).metadata()

    async def ask(self, text: str, *recording_ids: str, rerank: bool = False, page_token: str = "") -> Answer:
        """The 100 best hits, or the 100 after those of the page with this token; SystemExit without the embedder."""
        began = time.perf_counter()
        request = search_service_pb2.SearchRequest(
            query=text, limit=100, recording_ids=recording_ids, rerank=rerank, page_token=page_token
        )
        for _ in range(TRIES):
            answer = await self._search.Search(request, metadata=self._headers, timeout=30)
            if hit_pb2.RANKING_SEMANTIC in answer.rankings:
                return Answer(answer.hits, (time.perf_counter() - began) * 1000, answer.next_page_token)
        raise SystemExit("the embedder does not answer: no comparison is possible")

    async def answer(self, question: Question) -> Answer:
        """The best hits until a right one is among them, as a ranking may put first what both together put far behind.

        The time is that of the first hundred.
        """
        first = page = await self.ask(question.text)
        hits = list(first.hits)
        while page.next_page_token and not any(hit.segment_id in question.right for hit in page.hits):
            page = await self.ask(question.text, page_token=page.next_page_token)
            hits += page.hits
        return Answer(hits, first.took_ms, page.next_page_token)

    async def wait_for(self, fed: Counter[str]) -> None:
        """Until as many segments of each recording are found by their vectors as were fed."""
        deadline = time.monotonic() + INDEXING_TIMEOUT_S
        for recording_id, count in fed.items():
            while sum(hit.semantic_rank > 0 for hit in (await self.ask("là", recording_id)).hits) < count:
                if time.monotonic() > deadline:
                    raise SystemExit("the passages were not indexed in time; see `make status`")
                await asyncio.sleep(0.5)
        await asyncio.sleep(WORDS_FOLLOW_S)


async def answered(
    client: Client, asked: Sequence[Question], alone: int = ALONE, at_a_time: int = AT_A_TIME, seed: int = 1
) -> tuple[list[Answer], list[float]]:
    """The answer to each, and how many milliseconds those took that were asked one after the other: any `alone`.

    The others are asked `at_a_time` at once, for no more than where the right ones stand.
    """
    order = random.Random(seed).sample(range(len(asked)), len(asked))
    answers = {number: await client.answer(asked[number]) for number in order[:alone]}
    took_ms = [answer.took_ms for answer in answers.values()]
    others = iter(order[alone:])

    async def ask_others() -> None:
        for number in others:
            answers[number] = await client.answer(asked[number])

    async with asyncio.TaskGroup() as askers:
        for _ in range(at_a_time):
            askers.create_task(ask_others())
    return [answers[number] for number in range(len(asked))], took_ms


def first_place(hits: Sequence[hit_pb2.Hit], right: frozenset[str], rank: str = "") -> int:
    """The best place of a right segment among the hits, by their order or by one of their ranks; 0: there is none."""
    places = ((getattr(hit, rank) if rank else place) for place, hit in enumerate(hits, 1) if hit.segment_id in right)
    return min((place for place in places if place), default=0)


def recall(places: Sequence[int], within: int) -> float:
    """The share of places from 1 to `within`."""
    return sum(0 < place <= within for place in places) / len(places)


async def reranked(client: Client, asked: Sequence[Question], seed: int = 1) -> dict[str, float]:
    """How often the first is right, and how long a search takes, without and with re-ranking; of some questions."""
    some = random.Random(seed).sample(list(asked), min(RERANKED, len(asked)))
    figures = dict[str, float]()
    for name, rerank in (("plain", False), ("reranked", True)):
        answers = [await client.ask(question.text, rerank=rerank) for question in some]
        places = [first_place(answer.hits, question.right) for answer, question in zip(answers, some, strict=True)]
        figures[f"{name}_r1"] = round(recall(places, 1), 4)
        figures[f"{name}_p50_ms"] = round(float(np.percentile([answer.took_ms for answer in answers], 50)), 1)
    return figures


async def shelved(channel: grpc.aio.Channel, ports: Ports, collection: Collection) -> tuple[Client, float]:
    """Feed a collection; who asks for what is in it, and how many seconds it took to index."""
    tenant = f"bench-relevance-{RUN}-{collection.name}"
    client = Client(channel, tenant)
    await client.ask("xin chào")
    began = time.perf_counter()
    await client.wait_for(await feed(collection, f"nats://{ports.address('nats')}", tenant))
    return client, time.perf_counter() - began


def counted(way: str, asked: Sequence[Question], answers: Sequence[Answer], took_ms: Sequence[float]) -> Figures:
    """How often each ranking had what is right first, and among the first ten; and how long a search took."""
    figures: Figures = {}
    for peer, rank in PEERS.items():
        places = [first_place(a.hits, q.right, rank) for a, q in zip(answers, asked, strict=True)]
        figures[f"{peer}r1_{way}"] = round(recall(places, 1), 4)
        figures[f"{peer}r10_{way}"] = round(recall(places, 10), 4)
    for percent in (50, 95):
        figures[f"search_p{percent}_{way}_ms"] = round(float(np.percentile(took_ms, percent)), 1)
    return figures


async def run(folder: Path, ports: Ports) -> Figures:
    """Feed, ask, count."""
    began = time.perf_counter()
    figures: Figures = {}
    async with grpc.aio.insecure_channel(ports.address("search")) as channel:
        for collection in relevance_sets.collections(folder):
            client, took_s = await shelved(channel, ports, collection)
            figures[f"indexing_{len(collection.passages)}_{collection.name}_s"] = round(took_s, 2)
            for way, asked in collection.ways.items():
                figures |= counted(way, asked, *await answered(client, asked))
        shorter = relevance_sets.sentences(folder)
        client, _ = await shelved(channel, ports, shorter)
        for way in RERANKED_WAYS:
            compared = await reranked(client, shorter.ways[way])
            figures |= {f"{name}_{way}": value for name, value in compared.items()}
    return figures | {"took_s": round(time.perf_counter() - began, 1)}


def table(figures: Figures) -> Table:
    """The figures for people."""
    shown = Table(
        "questions", "fused", "BM25 alone", "vectors alone", "p50, p95 ms", title=f"R@1 / R@10: {report.machine()}"
    )
    for way, name in WAYS.items():
        rates = [f"{figures[f'{peer}r1_{way}']:.3f} / {figures[f'{peer}r10_{way}']:.3f}" for peer in PEERS]
        shown.add_row(name, *rates, f"{figures[f'search_p50_{way}_ms']}, {figures[f'search_p95_{way}_ms']}")
    return shown


def reranking_table(figures: Figures) -> Table:
    """What re-ranking gains and costs, for people."""
    shown = Table(
        "questions", "R@1 plain", "re-ranked", "p50 ms plain", "re-ranked", title=f"{RERANKED} of each, on sentences"
    )
    for way in RERANKED_WAYS:
        rates = [f"{figures[f'{name}_r1_{way}']:.3f}" for name in ("plain", "reranked")]
        times = [f"{figures[f'{name}_p50_ms_{way}']:.0f}" for name in ("plain", "reranked")]
        shown.add_row(WAYS[way], *rates, *times)
    return shown


def main() -> int:
    """Run, print a table, write build/bench/relevance.json."""
    parser = argparse.ArgumentParser(prog="python -m bench.relevance", description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="XQuAD and Tatoeba (default: %(default)s)")
    arguments = parser.parse_args()
    if missing := relevance_sets.missing(arguments.data):
        absent = " and ".join(map(str, missing))
        print(f"bench-relevance needs {absent}; --data names another folder that holds them", file=sys.stderr)
        return 2
    figures = asyncio.run(run(arguments.data, Ports.of(Home.from_env())))
    Console().print(table(figures), reranking_table(figures))
    print(f"figures: {report.write('relevance', figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
