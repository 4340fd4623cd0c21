"""`python -m clients.web.serve`: the page for live captions, for this machine only.

It prints an address that brings the edge and a token along; what stands behind the `#` no browser sends anywhere.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

from clients.cli.problem import Problem
from clients.cli.setup import Setup
from mesh.ports import HOST

SITE = Path(__file__).parent / "dist" / "site"


class Page(SimpleHTTPRequestHandler):
    """Files as they are now, and nothing on the terminal."""

    def end_headers(self) -> None:
        self.send_header("cache-control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def served(site: Path = SITE, port: int = 0) -> Iterator[str]:
    """The address of a folder that is served within the block; on a free port unless one is given."""
    with ThreadingHTTPServer((HOST, port), partial(Page, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, name="page", daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def address(page: str, endpoint: str, token: str) -> str:
    """The page's address with its fields filled in."""
    return f"{page}#{urlencode({'endpoint': endpoint, 'token': token})}"


def main() -> None:
    try:
        setup = Setup.read(os.environ)
        token = setup.token()
        with served(port=setup.ports.web) as page:
            print("Live captions in your browser; Ctrl-C ends.\n")
            print(f"  {address(page, str(setup.endpoint), token)}", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        pass
    except Problem as problem:
        sys.exit(f"{problem.sentence} {problem.hint}".rstrip())
    except OSError as error:
        sys.exit(f"The page cannot be served: {error}.")


if __name__ == "__main__":
    main()
