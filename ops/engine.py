"""The Docker Engine as the verbs need it: what runs, and commands inside the containers that the outputs name."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.utils.socket import frames_iter

from infra.selfhosted.engine import lost, telling_its_end, up_to_its_end
from ops.errors import EngineError, UnknownError

LABEL = "pgstack.stack"
_TIMEOUT = 600  # seconds; a stopping server may write a long checkpoint
_TRIES = 3
_ONE_CHECK = 5  # seconds
_TELLING = re.compile(r"pgstack: |FATAL|PANIC|ERROR")


@dataclass(frozen=True)
class Engine:
    """A connected engine: `DOCKER_HOST`, else the default socket, as the deployment uses it."""

    client: docker.DockerClient

    @classmethod
    def connect(cls, environ: Mapping[str, str]) -> Engine:
        """Raises UnknownError when no engine answers."""
        try:
            return cls(docker.from_env(environment=dict(environ), timeout=_TIMEOUT, max_pool_size=20))
        except DockerException as error:
            raise UnknownError(
                f"no Docker Engine answers at {environ.get('DOCKER_HOST') or 'the default socket'}: "
                "start it (`make tools` does), or point DOCKER_HOST at one"
            ) from error

    def container(self, name: str) -> Container | None:
        """The container of that name, running or not."""
        try:
            return self.client.containers.get(name)
        except NotFound:
            return None

    def existing(self, name: str) -> Container:
        """The same; raises EngineError if there is none."""
        container = self.container(name)
        if container is None:
            raise EngineError(f"container {name} does not exist: `pulumi up` brings it back")
        return container

    def running(self, name: str) -> Container:
        """The same; raises EngineError if it does not run."""
        container = self.existing(name)
        if container.status != "running":
            raise EngineError(f"container {name} is {container.status}: `pgstack start` starts it")
        return container

    def run(self, name: str, command: Sequence[str]) -> str:
        """The standard output of `command` in a running container. Raises EngineError with its last line."""
        out = self._run(name, command)
        if out is None:
            raise EngineError(lost(name, command))
        return out

    def ask(self, name: str, command: Sequence[str]) -> str:
        """The same of a command that changes nothing, so that it is run again where its answer was lost."""
        answers = (self._run(name, command) for _ in range(_TRIES))
        found = next((it for it in answers if it is not None), None)
        if found is None:
            raise EngineError(lost(name, command))
        return found

    def _run(self, name: str, command: Sequence[str]) -> str | None:
        try:
            done = self.running(name).exec_run(telling_its_end(command), demux=True)
        except APIError as error:
            raise EngineError(f"`{command[0]}` in {name} could not start: {first_line(error)}") from error
        out, err = cast("tuple[bytes | None, bytes | None]", done.output)  # what demux=True makes of it
        if done.exit_code != 0:
            said = (err or out or b"").decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise EngineError(f"`{command[0]}` in {name} ended with {done.exit_code}: {said[-1]}")
        whole = up_to_its_end(out)
        return None if whole is None else whole.decode(errors="replace")

    def query(self, name: str, *statements: str, database: str = "postgres") -> str:
        """What the statements, each a transaction, give the superuser inside a Postgres container. Raises EngineError.

        After one that fails, none is tried.
        """
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "/run/postgresql", "-U", "postgres", "-d", database]
        return self.run(name, [*command, *(it for sql in statements for it in ("-c", sql))]).strip()

    def once(self, name: str, like: str, command: Sequence[str], volumes: Mapping[str, str], stack: str) -> str:
        """What `command` prints in a container of `like`'s image with these volumes (by path), gone afterwards.

        One of that name that is there was left by somebody who was killed, and goes. Raises EngineError with what it
        said last if it fails.
        """
        if leftover := self.container(name):
            leftover.remove(force=True)
        container = self.client.containers.run(
            str(self.existing(like).attrs["Image"]),
            list(command),
            name=name,
            labels={LABEL: stack, "pgstack.role": name.removeprefix(f"{stack}-")},
            volumes={volume: {"bind": path, "mode": "rw"} for path, volume in volumes.items()},
            network_mode="none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            detach=True,
        )
        try:
            code = container.wait()["StatusCode"]
            out = container.logs(stdout=True, stderr=False).decode(errors="replace")
            if code:
                said = container.logs().decode(errors="replace").strip().splitlines() or ["it said nothing"]
                raise EngineError(([it for it in said if _TELLING.search(it)] or said)[0])
            return out
        finally:
            container.remove(force=True)

    def socket_of(self, name: str) -> str:
        """The volume that holds the socket of a Postgres container."""
        mounts = self.existing(name).attrs["Mounts"]
        return next(str(it["Name"]) for it in mounts if it["Destination"] == "/run/postgresql")

    @contextmanager
    def conversation(self, name: str, command: Sequence[str]) -> Iterator[Conversation]:
        """A command in the running container that is talked to; it sees the end of its input when this ends."""
        created = self.client.api.exec_create(self.running(name).id, list(command), stdin=True)
        raw = self.client.api.exec_start(created["Id"], socket=True)
        try:
            yield Conversation(raw)
        finally:
            raw.close()

    def serves(self, name: str) -> bool:
        """Whether there is such a container and it passes its check."""
        container = self.container(name)
        return container is not None and container.status == "running" and self.passes_its_check(container)

    def remove_volume(self, name: str, stack: str) -> None:
        """Remove the volume of that name if there is one and it is labelled as `stack`'s."""
        for volume in self.client.volumes.list(filters={"label": f"pgstack.stack={stack}", "name": name}):
            if volume.name == name:
                volume.remove()

    def passes_its_check(self, container: Container) -> bool:
        """Whether the running container's own health check passes now; the engine asks only every ten seconds."""
        _, *check = container.attrs["Config"]["Healthcheck"]["Test"]  # CMD, then the command
        try:
            return bool(container.exec_run(["timeout", str(_ONE_CHECK), *check]).exit_code == 0)
        except APIError:  # it ended meanwhile, as the next look shows
            return False

    def last_words(self, name: str) -> str:
        """The last line of the container's log that names a failure, else its last line."""
        said = self.existing(name).logs(tail=20).decode(errors="replace")
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        telling = [line for line in lines if _TELLING.search(line)]
        return (telling or lines or ["it said nothing"])[-1].removeprefix("pgstack: ")

    def read(self, name: str, path: str) -> str:
        """A file of the container, which need not run. Raises EngineError if there is none."""
        try:
            stream, _ = self.existing(name).get_archive(path)
        except APIError as error:
            raise EngineError(f"{path} can't be read from container {name}: {first_line(error)}") from error
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
            file = tar.extractfile(tar.getmembers()[0])
            if file is None:
                raise EngineError(f"{path} in container {name} is no file")
            return file.read().decode()

    def follow(self, name: str, command: Sequence[str]) -> Iterator[str]:
        """The lines that `command` prints, empty ones left out. Raises EngineError with the last one if it fails."""
        container, api = self.running(name), self.client.api
        try:
            execution = api.exec_create(container.id, telling_its_end(command))["Id"]
            rest, last = "", "it said nothing"
            for chunk in api.exec_start(execution, stream=True):
                *lines, rest = (rest + chunk.decode(errors="replace")).split("\n")
                for line in filter(str.strip, lines):
                    last = line.strip()
                    yield line
            code = api.exec_inspect(execution)["ExitCode"]
        except APIError as error:
            raise EngineError(f"`{command[0]}` in {name} could not start: {first_line(error)}") from error
        if code != 0:
            raise EngineError(f"`{command[0]}` in {name} ended with {code}: {rest.strip() or last}")
        if up_to_its_end(f"\n{rest}".encode()) is None:
            raise EngineError(lost(name, command))


class Conversation:
    """Lines to and from a command; `raw` is what the Docker SDK gives for an attached exec."""

    def __init__(self, raw: Any) -> None:
        self._socket = getattr(raw, "_sock", raw)
        self._frames = frames_iter(self._socket, tty=False)  # type: ignore[no-untyped-call]

    def hear(self) -> str:
        """What it prints next, empty once it has ended."""
        _, said = next(self._frames, (0, b""))
        return said.decode(errors="replace").strip()

    def say(self, line: str) -> None:
        """Give it one line."""
        self._socket.sendall(f"{line}\n".encode())


def first_line(error: Exception) -> str:
    """The first line of what an exception says."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
