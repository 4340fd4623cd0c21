"""The page's own server: files of one folder, for this machine; an address that fills in the page's fields."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from clients.web import serve
from tests.free_ports import free_ports


def test_files_are_served_as_they_are_now(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>xin chào</p>", encoding="utf-8")
    with serve.served(tmp_path) as page:
        assert urlsplit(page).hostname == "127.0.0.1"
        answer = httpx.get(page)
        assert answer.text == "<p>xin chào</p>"
        assert answer.headers["cache-control"] == "no-store"
        assert httpx.get(f"{page}../../etc/passwd").status_code == 404
        assert httpx.get(f"{page}missing.js").status_code == 404


def test_the_token_stands_where_no_browser_sends_it() -> None:
    address = urlsplit(serve.address("http://127.0.0.1:8132/", "http://127.0.0.1:8080", "a+b/c="))
    assert address.query == ""
    assert parse_qs(address.fragment) == {"endpoint": ["http://127.0.0.1:8080"], "token": ["a+b/c="]}


def test_the_page_has_a_port_of_its_own_beside_a_mesh_of_any_size(tmp_path: Path) -> None:
    ports = free_ports()
    environ = {"AI2TEXT_PORT_BASE": str(ports.base), "AI2TEXT_HOME": str(tmp_path), "AI2TEXT_TOKEN": "a"}
    command = [sys.executable, "-m", "clients.web.serve"]
    with subprocess.Popen(command, env=os.environ | environ, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        told = [serving.stdout.readline() for _ in range(3)]
        serving.terminate()
    assert f"http://127.0.0.1:{ports.web}/#" in told[2]
    others = [port for name, port in ports.names().items() if name != "web"]
    assert ports.web not in others
