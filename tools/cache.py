"""The cache of finished tools: built aside, checked, then moved into place in one step."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import progress
from tools.errors import ToolError


@dataclass(frozen=True)
class Artifact:
    """A folder in the cache; `inputs` is everything that decides its content besides the version."""

    name: str
    version: str
    inputs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return hashlib.sha256("\0".join((self.name, self.version, *self.inputs)).encode()).hexdigest()[:12]

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.version}-{self.key}"


@dataclass(frozen=True)
class Cache:
    """Finished artifacts under `root`. A folder that exists is whole: nothing is ever written in its final place."""

    root: Path

    def path(self, artifact: Artifact) -> Path:
        return self.root / "artifacts" / artifact.folder

    def have(self, artifact: Artifact) -> bool:
        return self.path(artifact).is_dir()

    def bring(self, artifact: Artifact, build: Callable[[Path], None]) -> Path:
        """Return the artifact's folder, calling `build(empty folder)` first if there is none yet.

        Whatever `build` raises is raised, and nothing is left behind. Two processes that want the same artifact build
        it once: the second waits for the first. What a killed process left aside is removed by the next build.
        """
        final = self.path(artifact)
        if final.is_dir():
            return final
        with self.lock(artifact.name):
            if final.is_dir():
                return final
            final.parent.mkdir(parents=True, exist_ok=True)
            for left_over in final.parent.glob(f".{artifact.name}.*"):
                shutil.rmtree(left_over, ignore_errors=True)
            aside = Path(tempfile.mkdtemp(prefix=f".{artifact.name}.", dir=final.parent))
            try:
                build(aside)
                aside.chmod(0o755)
                _flush(aside)
                aside.rename(final)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        return final

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the machine-wide lock `name`; the kernel releases it when the process dies."""
        path = self.root / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress.say(f"waiting for {name}, which is being brought already")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def verify(path: Path, expected: str, *, algorithm: str = "sha256") -> None:
    """Raise ToolError and remove the file if its checksum is not the `expected` hex digest."""
    with path.open("rb") as handle:
        actual = hashlib.file_digest(handle, algorithm).hexdigest()
    if actual != expected:
        path.unlink()
        raise ToolError(
            f"{path.name} has {algorithm} {actual}, expected {expected}: altered or cut short on its way; run it again"
        )


def write(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Write a whole file or none: aside, flushed, then renamed over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).chmod(mode)
        Path(aside).replace(path)
    finally:
        Path(aside).unlink(missing_ok=True)


def link(target: Path, name: Path) -> None:
    """Point the symbolic link `name` at `target`, replacing whatever link or file is there in one step."""
    if name.is_symlink() and name.readlink() == target:
        return
    name.parent.mkdir(parents=True, exist_ok=True)
    aside = name.with_name(f".{name.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.replace(name)


def place(program: Path, name: Path) -> None:
    """Make `name` a hard link to `program`: the language host looks for its scripts beside its own real path."""
    if name.exists() and not name.is_symlink() and name.samefile(program):
        return
    name.parent.mkdir(parents=True, exist_ok=True)
    aside = name.with_name(f".{name.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    aside.hardlink_to(program)
    aside.replace(name)


def require_space(folder: Path, gigabytes: float, purpose: str) -> None:
    """Raise ToolError unless the disk that will hold `folder` has this much free."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise ToolError(
            f"{folder} has {free:.1f} GB free and {purpose} needs {gigabytes:.0f}: free some space, then again"
        )


def _flush(folder: Path) -> None:
    """Put the content on disk before the rename, so that a power cut cannot leave a named but empty tool."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
