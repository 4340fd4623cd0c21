"""One trace for each way through the mesh, exported as JSON."""

import json
import secrets
from pathlib import Path
from typing import Any

import httpx

from tests.mesh.running_mesh import Client, RunningMesh, eventually
from tests.mesh.speaking import admitted, clips, found, requests


def services(spans: list[dict[str, Any]]) -> set[str]:
    return {str(span.get("service") or span.get("serviceName")) for span in spans}


def test_a_live_session_is_one_trace_from_the_client_to_triton_and_to_search(
    client: Client, running: RunningMesh, speech_folder: Path
) -> None:
    from bench.clips import pcm16

    trace_id = secrets.token_hex(16)
    parent = f"00-{trace_id}-{secrets.token_hex(8)}-01"
    clip, _ = clips(speech_folder, "vi")[0]
    metadata = [*running.bearer(), ("traceparent", parent)]
    responses = admitted(
        lambda: client.speech.StreamingRecognize(requests(pcm16(clip), "vi"), metadata=metadata, timeout=60)
    )
    final = next(response.final for response in responses if response.HasField("final"))
    found(client, running, final.text, responses[0].session_started.recording_id)

    def trace() -> list[dict[str, Any]]:
        printed = running.mesh("trace", trace_id)
        return list(json.loads(printed.stdout)) if printed.returncode == 0 else []

    wanted = {"envoy", "asr", "triton", "metadata", "embeddings", "search"}
    spans = eventually(trace, lambda spans: wanted <= services(spans), within_s=30)
    names = [span["name"] for span in spans]
    assert any("transcript.finalized" in name for name in names)
    assert any("embedding.created" in name for name in names)


def test_no_trace_says_what_people_look_for(running: RunningMesh) -> None:
    trace_id, secret = secrets.token_hex(16), secrets.token_hex(8)
    headers = dict(running.bearer()) | {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    answer = httpx.get(f"{running.url}/v1/search", params={"query": f"câu {secret}"}, headers=headers, timeout=20)
    assert answer.status_code == 200

    def printed() -> str:
        return running.mesh("trace", trace_id).stdout

    assert secret not in eventually(printed, lambda text: "/v1/search" in text and '"search"' in text, within_s=30)
