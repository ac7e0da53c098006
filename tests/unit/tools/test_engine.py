"""The engine here is a small web server on a real unix socket: starting real ones is what tests/stack is for."""

from __future__ import annotations

import http.server
import json
import os
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tools import base_image, engine, versions
from tools.docker_api import Api
from tools.errors import ToolError
from tools.places import Places


@dataclass
class Engine:
    host: str
    api_version: str = "1.41"
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    received: list[tuple[str, bytes]] = field(default_factory=list)


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Engine]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.received.append((f"{self.command} {self.path}", body))
            usual = {"/_ping": b"OK", "/version": json.dumps({"ApiVersion": found.api_version}).encode()}
            status, answer = found.answers.get(path, (200, usual.get(path, b"{}")))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def address_string(self) -> str:
            return "local"

        def log_message(self, *_: object) -> None:
            pass

    socket = tmp_path / "engine.sock"
    with Server(str(socket), Handler) as server:
        found = Engine(f"unix://{socket}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield found
        server.shutdown()


def with_host(places: Places, host: str) -> Places:
    return Places.of(places.repo, {**places.environ, "DOCKER_HOST": host})


def test_an_engine_that_answers_is_used(places: Places, running: Engine) -> None:
    assert engine.bring(with_host(places, running.host)).host == running.host


def test_an_engine_that_the_user_named_and_that_does_not_answer_is_not_replaced(places: Places, tmp_path: Path) -> None:
    with pytest.raises(ToolError) as raised:
        engine.bring(with_host(places, f"unix://{tmp_path}/none.sock"))
    assert str(raised.value) == (
        f"no Docker engine answers at unix://{tmp_path}/none.sock (No such file or directory): "
        "start it, or unset DOCKER_HOST or the docker context"
    )


def test_an_address_of_an_unknown_kind_is_named(places: Places) -> None:
    with pytest.raises(ToolError, match=r'DOCKER_HOST is "npipe:.*": give unix:///path, tcp://host:port or ssh:'):
        engine.bring(with_host(places, "npipe:////./docker"))


def test_an_engine_that_is_too_old_is_said(places: Places, running: Engine) -> None:
    running.api_version = "1.39"
    with pytest.raises(ToolError, match=r"speaks API 1\.39, 1\.41 \(Docker 20\.10\) is needed: upgrade it"):
        engine.bring(with_host(places, running.host))


def test_an_engine_over_tcp_is_reached(vendor_site: object) -> None:
    host = vendor_site.url.replace("http://", "tcp://")  # type: ignore[attr-defined]
    vendor_site.files["/_ping"] = b"OK"  # type: ignore[attr-defined]
    assert Api(host).ping() is None


def test_an_engine_behind_ssh_is_reached(running: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text(
        f"""#!{sys.executable}
import os, select, socket, sys
open({str(tmp_path / "asked")!r}, "w").write(" ".join(sys.argv[1:]))
engine = socket.socket(socket.AF_UNIX)
engine.connect({running.host.removeprefix("unix://")!r})
while True:
    for ready in select.select([0, engine], [], [])[0]:
        data = os.read(0, 65536) if ready == 0 else engine.recv(65536)
        if not data:
            sys.exit()
        (engine.sendall if ready == 0 else lambda d: os.write(1, d))(data)
"""
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    assert Api("ssh://db@far.example:2222").version() == (1, 41)
    assert (tmp_path / "asked").read_text() == "-o BatchMode=yes -p 2222 db@far.example docker system dial-stdio"


def test_only_the_tags_of_our_own_images_are_asked_for(running: Engine) -> None:
    images = [{"RepoTags": ["pgstack/base:1", "pgstack/base:2"]}, {"RepoTags": None}]
    running.answers["/images/json"] = (200, json.dumps(images).encode())
    assert Api(running.host).tags() == {"pgstack/base:1", "pgstack/base:2"}


def test_an_image_is_given_whole_to_the_engine(running: Engine, tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(b"layers")
    Api(running.host).load(tmp_path / "image.tar")
    assert running.received == [("POST /images/load?quiet=1", b"layers")]


def test_a_failure_that_the_engine_reports_after_its_200_is_seen(running: Engine, tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(b"layers")
    running.answers["/images/load"] = (200, b'{"stream":"Loading"}\n{"error":"no space left on device"}\n')
    with pytest.raises(ToolError, match="the Docker engine says: no space left on device"):
        Api(running.host).load(tmp_path / "image.tar")


def test_a_refusal_is_quoted(running: Engine, tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(b"layers")
    running.answers["/images/load"] = (500, b'{"message":"invalid archive"}')
    with pytest.raises(ToolError, match="refused /images/load: invalid archive"):
        Api(running.host).load(tmp_path / "image.tar")


def test_an_engine_that_stops_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ToolError, match=r"stopped right after its start: iptables not found \(all of it: the log\)"):
        engine.await_answer(Api(f"unix://{tmp_path}/none.sock"), lambda: "iptables not found", "the log")
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("environ", "host"),
    [
        ({}, "unix:///var/run/docker.sock"),
        ({"DOCKER_HOST": "tcp://far:2376"}, "tcp://far:2376"),
        ({"DOCKER_HOST": "tcp://far:2376", "DOCKER_CONTEXT": "other"}, "tcp://far:2376"),
        ({"DOCKER_CONTEXT": "default"}, "unix:///var/run/docker.sock"),
    ],
)
def test_where_the_engine_is(environ: dict[str, str], host: str, home: Path) -> None:
    assert engine.host(environ, home) == host


def test_a_base_image_that_the_engine_can_pull_is_pinned_and_named_as_ours(places: Places, running: Engine) -> None:
    tag = base_image.bring(places, Api(running.host), set())
    asked = [line for line, _ in running.received]
    assert tag == base_image.PULLED
    assert asked[0] == f"POST /images/create?fromImage=debian&tag={versions.BASE_IMAGE_DIGEST.replace(':', '%3A')}"
    assert asked[1].startswith(f"POST /images/debian@{versions.BASE_IMAGE_DIGEST}/tag?repo=pgstack%2Fbase&tag=trixie-")


def test_a_base_image_that_the_engine_has_is_not_pulled_again(places: Places, running: Engine) -> None:
    assert base_image.bring(places, Api(running.host), {base_image.BUILT.tag}) == base_image.BUILT.tag
    assert running.received == []
