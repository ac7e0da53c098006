"""The vendors' own downloads: asked once whether they answer, then checked against the sums that they publish."""

from __future__ import annotations

import http.client
import shutil
import ssl
import tarfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tools import cache, progress, versions
from tools.errors import ToolError

ANSWERS_WITHIN = 3.0  # seconds; a vendor that needs longer would make every later step crawl too
_FAILURES = (OSError, http.client.HTTPException, ssl.SSLError)


@dataclass
class Vendors:
    """Which of the vendors' hosts answer from here, found out once a run, all at the same time."""

    urls: tuple[str, ...] = (
        versions.PULUMI_SUMS_URL,
        versions.DOCKER_PLUGIN_URL,
        versions.POSTGRES_APT_URL,
    )
    _answering: frozenset[str] | None = field(default=None, init=False)
    _deciding: threading.Lock = field(default_factory=threading.Lock, init=False)

    def answers(self, url: str) -> bool:
        """Whether the host of `url` answered HTTP within a few seconds of this run's first question."""
        with self._deciding:
            if self._answering is None:
                origins = {_origin(u) for u in (*self.urls, url)}
                self._answering = _answering(origins)
                silent = sorted(urlsplit(origin).hostname or origin for origin in origins - self._answering)
                if silent:
                    progress.say(f"no answer from {', '.join(silent)}: taking published packages instead")
            return _origin(url) in self._answering

    def download(self, url: str, into: Path, *, checksum: str, algorithm: str = "sha256") -> Path:
        """Fetch `url` into the folder `into` and check it.

        Raises ToolError if the vendor does not answer, refuses, or serves something else than `checksum` says.
        """
        if not self.answers(url):
            raise ToolError(f"{urlsplit(url).hostname} does not answer from this machine")
        target = into / Path(urlsplit(url).path).name
        try:
            with urllib.request.urlopen(url, timeout=30) as response, target.open("wb") as file:  # noqa: S310 - https, from versions.py
                shutil.copyfileobj(response, file, 1 << 20)
        except _FAILURES as error:
            target.unlink(missing_ok=True)
            raise ToolError(f"{url} could not be downloaded: {error}") from error
        cache.verify(target, checksum, algorithm=algorithm)
        return target

    def published_sum(self, sums_url: str, file_name: str) -> str:
        """The SHA-256 of `file_name` in the vendor's list at `sums_url`.

        Raises ToolError if there is no such list or it does not name the file.
        """
        if not self.answers(sums_url):
            raise ToolError(f"{urlsplit(sums_url).hostname} does not answer from this machine")
        try:
            with urllib.request.urlopen(sums_url, timeout=30) as response:  # noqa: S310 - https, from versions.py
                text: str = response.read(1 << 20).decode(errors="replace")
        except _FAILURES as error:
            raise ToolError(f"{sums_url} could not be downloaded: {error}") from error
        for line in text.splitlines():
            checksum, _, name = line.partition(" ")
            if name.strip().removeprefix("*") == file_name:
                return checksum
        raise ToolError(f"{sums_url} does not list {file_name}")


def unpack(archive: Path, into: Path) -> None:
    """Unpack a gzipped tar and remove it. Raises ToolError, and unpacks nothing, where it reaches out of `into`."""
    inside = into.resolve()
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            target = (inside / member.name).resolve()
            # a symbolic link starts at its own folder, a hard link at the archive's
            to = (target.parent if member.issym() else inside) / member.linkname if member.linkname else target
            if member.isdev() or not all(it.resolve().is_relative_to(inside) for it in (target, to)):
                raise ToolError(f"{archive.name} holds {member.name}, which does not stay in its folder: not unpacked")
        if hasattr(tarfile, "data_filter"):  # not before Python 3.11.4; Debian 12 has 3.11.2
            tar.extractall(into, filter="data")
        else:
            tar.extractall(into)  # noqa: S202  # looked at above
    archive.unlink()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"


def _answering(origins: set[str]) -> frozenset[str]:
    """Those that answer in time; in daemon threads, because a silent name server outlasts any socket timeout."""
    found: set[str] = set()
    threads = [threading.Thread(target=_ask, args=(origin, found), daemon=True) for origin in origins]
    for thread in threads:
        thread.start()
    until = time.monotonic() + ANSWERS_WITHIN
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return frozenset(found)


def _ask(origin: str, found: set[str]) -> None:
    request = urllib.request.Request(origin, method="HEAD")  # noqa: S310 - https, from versions.py
    try:
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN):  # noqa: S310
            found.add(origin)
    except urllib.error.HTTPError:
        found.add(origin)  # it speaks; what the front page says does not matter
    except _FAILURES:
        return
