"""A home, a checkout and a vendor for each test; nothing outside of the test's folder is read or written."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tools.places import Places


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "environments").mkdir(parents=True)
    (folder / "environments/dev.yaml").write_text("config:\n  pgstack:environment: dev\n")
    (folder / "environments/production.yaml").write_text("config:\n  pgstack:environment: production\n")
    return folder


@pytest.fixture
def places(home: Path, repo: Path) -> Places:
    return Places.of(repo, {"HOME": str(home), "PATH": "/usr/bin:/bin"})


@dataclass
class Vendor:
    """A web server on this machine that serves what a test puts into `files`."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def vendor_site() -> Iterator[Vendor]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            site.asked.append(f"{self.command} {self.path}")
            body = site.files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = Vendor(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield site
        server.shutdown()
