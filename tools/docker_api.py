"""The few calls of the Docker Engine's API that tools/ needs, from the standard library: over a socket, TCP or ssh."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from tools.errors import ToolError

PING_SECONDS = 5.0
SSH_SECONDS = 20.0  # a login may take seconds
LOAD_SECONDS = 600.0  # some 300 MB, perhaps to another host
PULL_SECONDS = 8.0  # without a line of progress: its registry is out of reach then
FAILURES = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Api:
    """A Docker Engine at `host`: unix:///path, tcp://host:port (TLS as DOCKER_TLS_VERIFY says) or ssh://user@host."""

    host: str
    environ: Mapping[str, str] = field(default_factory=dict)

    def ping(self) -> str | None:
        """None if the engine answers, else why it does not."""
        try:
            status, body = self._call(
                "GET", "/_ping", timeout=SSH_SECONDS if self.host.startswith("ssh:") else PING_SECONDS
            )
        except FAILURES as error:
            return getattr(error, "strerror", None) or str(error) or type(error).__name__
        return None if status == http.client.OK else f"it answered {status}: {_message(body)}"

    def version(self) -> tuple[int, ...]:
        """The newest API version that the engine speaks, such as (1, 41) for Docker 20.10.

        Raises ToolError if the engine does not answer.
        """
        said = json.loads(self._ask("GET", "/version"))
        return tuple(int(part) for part in said["ApiVersion"].split("."))

    def tags(self) -> set[str]:
        """The tags of the images that pgstack's tools brought.

        Raises ToolError if the engine does not answer.
        """
        query = urlencode({"filters": json.dumps({"reference": ["pgstack/*"]})})
        found = json.loads(self._ask("GET", f"/images/json?{query}"))
        return {tag for image in found for tag in image["RepoTags"] or ()}

    def load(self, archive: Path) -> None:
        """Give the engine an image from an archive.

        Raises ToolError if the engine refuses it.
        """
        with archive.open("rb") as body:
            headers = {"Content-Type": "application/x-tar", "Content-Length": str(archive.stat().st_size)}
            answer = self._ask("POST", "/images/load?quiet=1", body=body, headers=headers, timeout=LOAD_SECONDS)
        _raise_reported(answer, f"loading {archive.parent.name}")

    def pull(self, repository: str, digest: str, tag: str) -> None:
        """Let the engine pull `repository@digest` and name it `tag`.

        Raises ToolError if its registry does not have it or is out of the engine's reach.
        """
        query = urlencode({"fromImage": repository, "tag": digest})
        _raise_reported(self._ask("POST", f"/images/create?{query}", timeout=PULL_SECONDS), f"pulling {repository}")
        name, _, version = tag.partition(":")
        query = urlencode({"repo": name, "tag": version})
        self._ask("POST", f"/images/{quote(f'{repository}@{digest}', safe='@:')}/tag?{query}")

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> bytes:
        try:
            status, answer = self._call(method, path, body=body, headers=headers or {}, timeout=timeout)
        except FAILURES as error:
            raise ToolError(f"the Docker engine at {self.host} broke off: {error}") from error
        if status >= http.client.BAD_REQUEST:
            raise ToolError(f"the Docker engine at {self.host} refused {path.partition('?')[0]}: {_message(answer)}")
        return answer

    def _call(
        self, method: str, path: str, *, timeout: float, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        with contextlib.closing(self._connection(timeout)) as connection:
            connection.request(method, path, body=body, headers=dict(headers or {}))  # type: ignore[arg-type]
            response = connection.getresponse()
            return response.status, response.read()

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.host)
        if parts.scheme == "unix":
            return _SocketConnection(lambda: _unix(parts.path, timeout))
        if parts.scheme == "ssh":
            return _SocketConnection(lambda: _ssh(self.host, timeout))
        if parts.scheme not in ("tcp", "http", "https") or not parts.hostname:
            raise ToolError(f'DOCKER_HOST is "{self.host}": give unix:///path, tcp://host:port or ssh://user@host')
        if parts.scheme == "https" or self.environ.get("DOCKER_TLS_VERIFY"):
            context = _tls(Path(self.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker"))
            return http.client.HTTPSConnection(parts.hostname, parts.port or 2376, timeout=timeout, context=context)
        return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=timeout)


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        super().__init__("localhost")
        self._connect = connect

    def connect(self) -> None:
        self.sock = self._connect()


def _unix(path: str, timeout: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(timeout)
    try:
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made


def _ssh(host: str, timeout: float) -> socket.socket:
    """As the docker command does it: `docker system dial-stdio` on the other side, over the user's own ssh."""
    parts = urlsplit(host)
    target = [f"{parts.username}@{parts.hostname}" if parts.username else f"{parts.hostname}"]
    port = ["-p", str(parts.port)] if parts.port else []
    ours, theirs = socket.socketpair()
    ours.settimeout(timeout)
    with theirs:
        subprocess.Popen(
            ["ssh", "-o", "BatchMode=yes", *port, *target, "docker", "system", "dial-stdio"],
            stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL,
        )  # fmt: skip
    return ours


def _tls(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def _raise_reported(answer: bytes, what: str) -> None:
    """Load and pull answer 200 before they know: a failure is in the stream of JSON lines."""
    for line in answer.splitlines():
        try:
            reported = json.loads(line).get("error")
        except ValueError:
            continue
        if reported:
            raise ToolError(f"{what}: the Docker engine says: {reported}")


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip() or "nothing"
