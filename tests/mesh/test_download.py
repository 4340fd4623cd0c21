"""What was uploaded can be had again: found by search, heard from that second on, downloaded to the last byte."""

import json
from pathlib import Path
from typing import Any

import av
import httpx

from tests.mesh.running_mesh import RunningMesh, eventually
from tests.mesh.speaking import clips

TENANT = "dev"
"""That of the tokens which the command mints for itself."""


def ai2text(running: RunningMesh, *arguments: str) -> str:
    """What the command prints."""
    result = running.run("ai2text", *arguments, timeout_s=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_a_file_is_uploaded_found_heard_and_downloaded(
    running: RunningMesh, speech_folder: Path, tmp_path: Path
) -> None:
    clip, said = clips(speech_folder, "vi")[0]
    uploaded = json.loads(
        ai2text(running, "upload", str(clip), "--language", "vi", "--title", "Về: đi/lại", "--again", "--json")
    )
    recording_id, operation = uploaded["recording_id"], uploaded["operation"]
    ai2text(running, "jobs", "wait", operation.removeprefix("operations/"))

    def look() -> dict[str, Any]:
        """The last line that the search prints; none while nothing is found."""
        lines = ai2text(running, "search", said, "--recording", recording_id, "--play", "--json").splitlines()
        return json.loads(lines[-1]) if lines else {}

    moment = eventually(look, lambda last: "moment" in last)["moment"]
    assert moment["recording_id"] == recording_id
    with av.open(moment["url"]) as container:
        container.seek(moment["play_from_ms"] * 1000)
        assert next(container.decode(audio=0)).samples

    ai2text(running, "recordings", "download", recording_id[:8], "--to", str(tmp_path))
    assert (tmp_path / f"Về_ đi_lại{clip.suffix}").read_bytes() == clip.read_bytes()


def test_a_browser_gets_an_address_for_who_may_read_and_only_for_them(
    running: RunningMesh, speech_folder: Path
) -> None:
    clip, _ = clips(speech_folder, "vi")[0]
    recording_id = json.loads(ai2text(running, "upload", str(clip), "--again", "--json"))["recording_id"]
    path = f"{running.url}/v1/recordings/{recording_id}:download"

    def ask(**claims: object) -> httpx.Response:
        return httpx.post(path, headers={"authorization": f"Bearer {running.token(**claims)}"}, timeout=20)

    given = ask(tenant=TENANT, scopes=("recordings.read",)).json()
    part = httpx.get(given["url"], headers={"range": "bytes=100-199"}, timeout=20)
    assert (part.status_code, part.content) == (206, clip.read_bytes()[100:200])
    assert part.headers["content-type"] == given["contentType"]
    assert ask(tenant=TENANT, scopes=("recordings.write",)).status_code == 403
    assert ask(tenant="other").status_code == 404
    assert httpx.get(given["url"].partition("?")[0], timeout=20).status_code == 403
