"""The mesh's object store: who may call it, and what it is told."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mesh import objects
from mesh.home import Home
from mesh.parts import addresses, named
from mesh.ports import Ports


def test_credentials_are_made_once_for_their_owner_only_however_many_ask(tmp_path: Path) -> None:
    assert objects.credentials(tmp_path) == objects.Credentials()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(objects.ensure_credentials, [tmp_path] * 8))
    first = objects.credentials(tmp_path)
    objects.ensure_credentials(tmp_path)
    assert objects.credentials(tmp_path) == first
    assert len(first.secret_key) >= 40
    assert first.secret_key not in repr(first)
    assert [path.name for path in tmp_path.iterdir()] == ["objects.json"]
    assert objects.config_file(tmp_path).stat().st_mode & 0o077 == 0
    assert json.loads(objects.config_file(tmp_path).read_text())["identities"][0]["name"] == "ai2text"


def test_the_servers_are_told_where_the_store_is_and_as_whom_to_call(tmp_path: Path) -> None:
    home, ports = Home.from_env({"AI2TEXT_HOME": str(tmp_path)}), Ports.from_base(9000)
    home.create()
    objects.ensure_credentials(home.keys)
    env = addresses(ports, home)
    pair = objects.credentials(home.keys)
    assert (env["AI2TEXT_S3_ENDPOINT"], env["AI2TEXT_S3_BUCKET"]) == ("http://127.0.0.1:9012", "ai2text")
    assert (env["AI2TEXT_S3_ACCESS_KEY"], env["AI2TEXT_S3_SECRET_KEY"]) == (pair.access_key, pair.secret_key)


def test_the_store_listens_on_this_machine_only_and_tells_nobody(tmp_path: Path) -> None:
    home, ports = Home.from_env({"AI2TEXT_HOME": str(tmp_path)}), Ports.from_base(9000)
    part = named("objects", ports, home)
    assert "-ip.bind=127.0.0.1" in part.command
    assert "-master.telemetry=false" in part.command
    told = {word for word in part.command if ".port" in word}
    assert {f"{getattr(ports, name)}" for name in part.ports} <= {word.partition("=")[2] for word in told}
