"""The Docker Engine as hooks need it: files into volumes, signals, commands inside containers.

Resources are the Docker provider's business; this is what must happen between them. The engine is the one that the
provider uses: `DOCKER_HOST`, else the default socket.
"""

import io
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.utils.socket import frames_iter

from infra.errors import EngineError
from infra.threads import in_thread

POSTGRES_UID = 999  # fixed in both images, so that volumes can be shared and written from outside
_WRITER_TARGET = "/files"
_END = "that was all"
_TRIES = 3


@dataclass(frozen=True)
class Task:
    """A container that does one thing and ends; `mounts` are volume and mode (ro, rw) by path."""

    name: str
    image: str
    command: Sequence[str]
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    mounts: Mapping[str, tuple[str, str]]
    network: str = "none"


@dataclass(frozen=True)
class Engine:
    """A connected engine. Blocking; the async methods run in a thread, so that a deployment goes on meanwhile."""

    client: docker.DockerClient

    @classmethod
    def connect(cls) -> "Engine":
        """Raises EngineError when no engine answers."""
        try:
            client = docker.from_env(timeout=600)  # a full backup answers only when it is done
            client.ping()
        except DockerException as error:
            raise EngineError(
                f"no Docker Engine answers at {_host()} ({_reason(error)}): start it (`make tools` does), "
                "or point DOCKER_HOST at one"
            ) from error
        return cls(client)

    def volumes_of(self, stack: str) -> list[str]:
        """The names of the volumes that are called and labelled as `stack`'s."""
        found = self.client.volumes.list(filters={"label": f"pgstack.stack={stack}"})
        return sorted(str(volume.name) for volume in found)

    @property
    def local(self) -> bool:
        """Whether it runs on this machine, so that its folders can be looked at."""
        return _host().startswith("unix://")

    def container(self, name: str) -> Container | None:
        """The container of that name, running or not."""
        try:
            return self.client.containers.get(name)
        except NotFound:
            return None

    async def write(self, volume: str, image: str, labels: Mapping[str, str], files: Mapping[str, str]) -> None:
        """Put `files` (relative path to text) into `volume`, readable by the servers' user only."""
        await in_thread(self._write, volume, image, labels, files)

    def _write(self, volume: str, image: str, labels: Mapping[str, str], files: Mapping[str, str]) -> None:
        name = f"{volume}-writer"
        if leftover := self.container(name):  # an earlier deployment was killed here
            leftover.remove(force=True)
        # Never started: the engine writes into the volumes of a created container.
        writer = self.client.containers.create(
            image,
            name=name,
            labels=dict(labels),
            volumes={volume: {"bind": _WRITER_TARGET}},
            network_mode="none",
        )
        try:
            writer.put_archive(_WRITER_TARGET, archive(files))
        finally:
            writer.remove(force=True)

    async def run_once(self, task: Task) -> None:
        """Run a container to its end and remove it. Raises EngineError with what it said last if it failed."""
        await in_thread(self._run_once, task)

    def _run_once(self, task: Task) -> None:
        if leftover := self.container(task.name):  # an earlier deployment was killed here
            leftover.remove(force=True)
        container = self.client.containers.run(
            task.image,
            list(task.command),
            name=task.name,
            labels=dict(task.labels),
            environment=dict(task.environment),
            volumes={volume: {"bind": path, "mode": mode} for path, (volume, mode) in task.mounts.items()},
            user=f"{POSTGRES_UID}:{POSTGRES_UID}",
            network=task.network,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            detach=True,
        )
        try:
            code = container.wait()["StatusCode"]
            if code:
                said = container.logs().decode(errors="replace").strip().splitlines()
                telling = [line for line in said if "ERROR" in line or line.startswith("pgstack: ")] or said[-1:]
                raise EngineError(f"{task.name} ended with {code}: {' / '.join(telling) or 'it said nothing'}")
        finally:
            container.remove(force=True)

    async def signal(self, name: str, signal: str) -> None:
        """Send `signal` to the container if it runs."""
        container = await in_thread(self.container, name)
        if container is not None and container.status == "running":
            await in_thread(container.kill, signal)

    async def run(self, name: str, command: Sequence[str]) -> str:
        """The standard output of `command` in the running container. Raises EngineError with its last lines."""
        return await in_thread(self.run_now, name, command)

    @contextmanager
    def conversation(self, name: str, command: Sequence[str]) -> Iterator["Conversation"]:
        """A command in the running container that is talked to; it sees the end of its input when this ends."""
        created = self.client.api.exec_create(name, list(command), stdin=True)
        raw = self.client.api.exec_start(created["Id"], socket=True)
        try:
            yield Conversation(raw)
        finally:
            raw.close()

    def run_now(self, name: str, command: Sequence[str]) -> str:
        """The same for a caller that has a thread of its own."""
        container = self.container(name)
        if container is None or container.status != "running":
            raise EngineError(f"container {name} is not running: `docker logs {name}` says why")
        for _ in range(_TRIES):  # what a deployment runs can be run again
            try:
                answer = container.exec_run(telling_its_end(command), demux=True)
            except APIError as error:
                raise EngineError(f"{' '.join(command[:3])} in {name} could not start: {_first_line(error)}") from error
            out, err = cast("tuple[bytes | None, bytes | None]", answer.output)  # what demux gives
            if answer.exit_code != 0:
                said = (err or out or b"").decode(errors="replace").strip().splitlines()
                raise EngineError(
                    f"`{' '.join(command[:4])}` in {name} ended with {answer.exit_code}: {' / '.join(said[-3:])}"
                )
            if (whole := up_to_its_end(out)) is not None:
                return whole.decode(errors="replace")
        raise EngineError(lost(name, command))


def telling_its_end(command: Sequence[str]) -> list[str]:
    """The command, which then says that it ended well.

    A busy engine now and then loses the end of what a command prints, or all of it, and reports success (seen at loads
    of 5 and 20): half an answer would be taken for the whole.
    """
    return ["sh", "-c", f'"$@" && printf "\\n{_END}"', "sh", *command]


def up_to_its_end(out: bytes | None) -> bytes | None:
    """What a command printed that said so; None if that, or a part of it, was lost."""
    mark = f"\n{_END}".encode()
    return out.removesuffix(mark) if out and out.endswith(mark) else None


def lost(name: str, command: Sequence[str]) -> str:
    """What to say then."""
    return f"the Docker Engine lost what `{command[0]}` in {name} printed, though it ended well: try again"


class Conversation:
    """Lines to and from a command; `raw` is what the Docker SDK gives for an attached exec."""

    def __init__(self, raw: Any) -> None:
        self._socket = getattr(raw, "_sock", raw)
        self._frames = frames_iter(self._socket, tty=False)  # type: ignore[no-untyped-call]
        self._lines: list[str] = []

    def hear(self) -> str | None:
        """The next line it prints, None once it has ended."""
        while not self._lines:
            frame = next(self._frames, None)
            if frame is None:
                return None
            self._lines = frame[1].decode(errors="replace").splitlines()
        return self._lines.pop(0)

    def say(self, line: str) -> None:
        """Give it one line."""
        self._socket.sendall(f"{line}\n".encode())


def archive(files: Mapping[str, str]) -> bytes:
    """A tar of `files` and their folders, owned by the servers' user, closed to everybody else."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in sorted({path.rpartition("/")[0] for path in files} - {""}):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, 0o500))
        for path, text in sorted(files.items()):
            entry, data = _entry(path, tarfile.REGTYPE, 0o400), text.encode()
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.uid, entry.gid = kind, mode, POSTGRES_UID, POSTGRES_UID
    return entry


def _host() -> str:
    """Where docker.from_env looks for the engine."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def _reason(error: BaseException) -> str:
    """What the operating system said, below the layers of the HTTP client; else the error's first line."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
