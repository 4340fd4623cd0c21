"""How often search finds the right paragraph: in Vietnamese, in Vietnamese without accents, and across languages.

The 120 Vietnamese paragraphs of XQuAD go the way of every final (`transcript.finalized` over NATS, the embedder, the
index) under a tenant of their own; then 612 questions are asked three ways. The peers are the two rankings alone, BM25
over folded words and the vectors, as the same answers tell them. `make bench-relevance` runs it on the mesh of
`make up`.
"""

import argparse
import asyncio
import json
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

from bench import clips, report
from bench.search import texts
from mesh.home import Home
from mesh.ports import Ports
from servers.common import events
from servers.common.identity import Caller
from servers.search.words import fold

DEFAULT_FOLDER = clips.DEFAULT_FOLDER / "text" / "xquad_retrieval"
RUN = uuid.uuid4()
"""Everything that this run stores has a name of its own."""

SHELF = 60
"""How many paragraphs make a recording: few enough for one answer to hold them all."""

_NO_QUOTES = str.maketrans('"“”', "   ")
INDEXING_TIMEOUT_S = 300.0
WORDS_FOLLOW_S = 2.0
"""When the vectors are found, the words soon are, too."""
RERANKED, RERANKED_WAYS = 200, ("vi_vi", "en_vi")
"""Questions that are asked on sentences with and without re-ranking; Vietnamese without accents it leaves as it is."""

LEAST_CHARACTERS = 8

WAYS = {"vi_vi": "Vietnamese", "vi_unaccented": "without accents", "en_vi": "English question"}
PEERS = {"": "", "bm25_": "lexical_rank", "e5_": "semantic_rank"}
"""Prefix of the figures, and the rank of a hit that it stands for; none: the fused order."""


@dataclass(frozen=True)
class Question:
    """A text, and the segments that answer it."""

    text: str
    right: frozenset[str]


@dataclass(frozen=True)
class Answer:
    """The hits for a question, and how long they took, in milliseconds."""

    hits: Sequence[hit_pb2.Hit]
    took_ms: float


def lines(path: Path) -> list[dict[str, str]]:
    """The objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def segment_id(paragraph: str) -> str:
    """The segment that stands for a paragraph."""
    return str(uuid.uuid5(RUN, paragraph))


def unquoted(text: str) -> str:
    """Quotes in a question are those of its author, who did not know that they ask for a phrase."""
    return text.translate(_NO_QUOTES)


@dataclass(frozen=True)
class Passage:
    """What becomes a segment: a paragraph, or a sentence of it."""

    name: str
    paragraph: str
    text: str


def paragraphs(folder: Path) -> list[Passage]:
    """All of XQuAD's, in Vietnamese."""
    return [Passage(one["id"], one["id"], one["text"]) for one in lines(folder / "corpus.vi.jsonl")]


def sentences(folder: Path) -> list[Passage]:
    """The same in sentences, which are nearer to what people say at a time."""
    return [
        Passage(f"{whole.name}#{number}", whole.name, text)
        for whole in paragraphs(folder)
        for number, text in enumerate(texts.sentences(whole.text))
        if len(text) >= LEAST_CHARACTERS
    ]


def questions(folder: Path, passages: Sequence[Passage]) -> dict[str, list[Question]]:
    """Each question in every way; what belongs to the right paragraph is right."""
    named: dict[str, list[str]] = {}
    for passage in passages:
        named.setdefault(passage.paragraph, []).append(segment_id(passage.name))
    right: dict[str, set[str]] = {}
    for line in (folder / "qrels.vi.tsv").read_text(encoding="utf-8").splitlines():
        question, paragraph, _ = line.split("\t")
        right.setdefault(question, set()).update(named[paragraph])
    asked = {language: lines(folder / f"queries.{language}.jsonl") for language in ("vi", "en")}
    made = {
        language: [Question(unquoted(one["text"]), frozenset(right[one["id"]])) for one in asked[language]]
        for language in asked
    }
    plain = [Question(fold(question.text), question.right) for question in made["vi"]]
    return {"vi_vi": made["vi"], "vi_unaccented": plain, "en_vi": made["en"]}


async def feed(passages: Sequence[Passage], nats_url: str, tenant: str) -> Counter[str]:
    """Publish the passages as finals; returns the recordings and how many are in each."""
    fed = Counter[str]()
    async with events.connected(nats_url) as bus:
        for number, passage in enumerate(passages):
            recording_id = str(uuid.uuid5(RUN, f"{tenant} {number // SHELF}"))
            segment = transcript_events_pb2.SegmentContent(
                recording_id=recording_id,
                transcript_id=recording_id,
                segment_id=segment_id(passage.name),
                start_ms=number * 1000,
                end_ms=number * 1000 + 1000,
                text=passage.text,
                language_code="vi",
            )
            event_id = str(uuid.uuid4())
            event = transcript_events_pb2.TranscriptFinalized(event_id=event_id, tenant=tenant, segment=segment)
            await events.publish(bus, events.TRANSCRIPT_FINALIZED, event_id, event.SerializeToString())
            fed[recording_id] += 1
    return fed


class Client:
    """Asks one search server as one tenant."""

    def __init__(self, channel: grpc.aio.Channel, tenant: str) -> None:
        self._search = search_service_pb2_grpc.SearchServiceStub(channel)
        self._headers = Caller(tenant, "bench", frozenset({"search"})).metadata()

    async def ask(self, text: str, *recording_ids: str, rerank: bool = False) -> Answer:
        """The 100 best hits."""
        began = time.perf_counter()
        request = search_service_pb2.SearchRequest(query=text, limit=100, recording_ids=recording_ids, rerank=rerank)
        answer = await self._search.Search(request, metadata=self._headers, timeout=30)
        if hit_pb2.RANKING_SEMANTIC not in answer.rankings:
            raise SystemExit("the embedder does not answer: no comparison is possible")
        return Answer(answer.hits, (time.perf_counter() - began) * 1000)

    async def wait_for(self, fed: Counter[str]) -> None:
        """Until as many segments of each recording are found by their vectors as were fed."""
        deadline = time.monotonic() + INDEXING_TIMEOUT_S
        for recording_id, count in fed.items():
            while sum(hit.semantic_rank > 0 for hit in (await self.ask("là", recording_id)).hits) < count:
                if time.monotonic() > deadline:
                    raise SystemExit("the paragraphs were not indexed in time; see `make status`")
                await asyncio.sleep(0.5)
        await asyncio.sleep(WORDS_FOLLOW_S)


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


async def run(folder: Path, ports: Ports) -> dict[str, float | int | str]:
    """Feed, ask, count."""
    tenant = f"bench-relevance-{RUN}"
    figures: dict[str, float | int | str] = {}
    async with grpc.aio.insecure_channel(ports.address("search")) as channel:
        client = Client(channel, tenant)
        await client.ask("xin chào")
        began = time.perf_counter()
        whole = paragraphs(folder)
        await client.wait_for(await feed(whole, f"nats://{ports.address('nats')}", tenant))
        figures["indexing_120_paragraphs_s"] = round(time.perf_counter() - began, 2)
        for way, asked in questions(folder, whole).items():
            answers = [await client.ask(question.text) for question in asked]
            for peer, rank in PEERS.items():
                places = [first_place(a.hits, q.right, rank) for a, q in zip(answers, asked, strict=True)]
                figures[f"{peer}r1_{way}"] = round(recall(places, 1), 4)
                figures[f"{peer}r10_{way}"] = round(recall(places, 10), 4)
            for percent in (50, 95):
                took = float(np.percentile([answer.took_ms for answer in answers], percent))
                figures[f"search_p{percent}_{way}_ms"] = round(took, 1)
        shorter = sentences(folder)
        client = Client(channel, f"{tenant}-sentences")
        await client.wait_for(await feed(shorter, f"nats://{ports.address('nats')}", f"{tenant}-sentences"))
        ways = questions(folder, shorter)
        for way in RERANKED_WAYS:
            figures |= {f"{name}_{way}": value for name, value in (await reranked(client, ways[way])).items()}
    return figures


def table(figures: dict[str, float | int | str]) -> Table:
    """The figures for people."""
    shown = Table(
        "questions", "fused", "BM25 alone", "vectors alone", "p50, p95 ms", title=f"R@1 / R@10: {report.machine()}"
    )
    for way, name in WAYS.items():
        rates = [f"{figures[f'{peer}r1_{way}']:.3f} / {figures[f'{peer}r10_{way}']:.3f}" for peer in PEERS]
        shown.add_row(name, *rates, f"{figures[f'search_p50_{way}_ms']}, {figures[f'search_p95_{way}_ms']}")
    return shown


def reranking_table(figures: dict[str, float | int | str]) -> Table:
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
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="XQuAD retrieval (default: %(default)s)")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        print(
            f"bench-relevance needs XQuAD retrieval in {arguments.data}; --data names another folder", file=sys.stderr
        )
        return 2
    figures = asyncio.run(run(arguments.data, Ports.of(Home.from_env())))
    Console().print(table(figures), reranking_table(figures))
    print(f"figures: {report.write('relevance', figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
