"""Containers of the images on volumes of their own: as a stack runs them, without Pulumi."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import docker
import tenacity
from docker.models.containers import Container
from docker.types import Mount

LABEL = "pgstack.test.images"
UNPRIVILEGED = (
    "Uid: 999 999 999 999 Gid: 999 999 999 999 CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1"
)
PATHS = {
    "data": "/var/lib/postgresql",
    "identity": "/var/lib/pgstack",
    "socket": "/run/postgresql",
    "repository": "/var/lib/pgbackrest",
    "postgres": "/etc/pgstack",
    "backup": "/etc/pgstack",
    "pooler": "/etc/pgstack",
    "killer": "/killer",
}
POSTGRES_FILES = {
    "postgresql.conf": """
        listen_addresses = ''
        unix_socket_directories = '/run/postgresql'
        hba_file = '/etc/pgstack/pg_hba.conf'
        shared_buffers = 32MB
        include_if_exists = '/etc/pgstack/more.conf'
        """,
    "pg_hba.conf": "local all postgres peer\n",
}


@dataclass(frozen=True)
class Images:
    """The tags under test."""

    postgres: str
    pooler: str


@dataclass(frozen=True)
class Refusal:
    """How a container ended that would not start a server."""

    code: int
    line: str


@dataclass
class Place:
    """The volumes of one stack, and the containers a test starts on them; `close` removes both."""

    engine: docker.DockerClient
    images: Images
    name: str = field(default_factory=lambda: f"pgstack-test-{uuid.uuid4().hex[:8]}")
    stack: str = field(default_factory=lambda: str(uuid.uuid4()))
    hand: Container = field(init=False)

    def prepare(self) -> None:
        """The network, and a container that stays, to look at every volume and to write into it as root.

        It mounts all of them first, so that they take modes and owners from the image; files are at /files/<role>.
        """
        self.engine.networks.create(self.name, labels={LABEL: self.name})
        mounts = [self.mount(role) for role in ("data", "identity", "socket", "repository")]
        mounts += [self.mount(role, f"/files/{role}") for role in ("postgres", "backup", "pooler", "killer")]
        self.hand = self._start(
            self.images.postgres, ["sleep", "infinity"], mounts, user="root", read_only=False, cap_drop=[]
        )
        self.write("postgres", POSTGRES_FILES)

    def mount(self, role: str, path: str | None = None, *, read_only: bool = False) -> Mount:
        labels = {LABEL: self.name}
        return Mount(path or PATHS[role], f"{self.name}-{role}", type="volume", read_only=read_only, labels=labels)

    def postgres(self, *, data: Mount | None = None, identity: Mount | None = None, **options: Any) -> Container:
        """A started server container; `options` override those of docker-py's `create`."""
        mounts = [
            data or self.mount("data"),
            identity or self.mount("identity"),
            self.mount("socket"),
            self.mount("postgres", read_only=True),
            *options.pop("more_mounts", []),
        ]
        environment = {"PGSTACK_ID": self.stack, **options.pop("environment", {})}
        return self._start(self.images.postgres, ["postgres"], mounts, environment=environment, **options)

    def backup(self) -> Container:
        mounts = [self.mount("data", read_only=True), self.mount("socket"), self.mount("repository")]
        mounts.append(self.mount("backup", read_only=True))
        return self._start(self.images.postgres, ["backup"], mounts, name=f"{self.name}-backup")

    def pooler(self) -> Container:
        mounts = [self.mount("pooler", read_only=True)]
        return self._start(self.images.pooler, None, mounts, stop_signal="SIGINT")

    def refusal(self, **options: Any) -> Refusal:
        """The exit code and the only line on stderr of a server container that must not come up."""
        container = self.postgres(**options)
        code = int(container.wait(timeout=60)["StatusCode"])
        lines = container.logs(stdout=False).decode().splitlines()
        container.remove()
        assert len(lines) == 1, lines
        return Refusal(code, lines[0])

    def shell(self, script: str) -> str:
        """stdout of a script that root runs in the container that stays."""
        return run(self.hand, "bash", "-ceu", script)

    def write(self, role: str, files: Mapping[str, str], mode: int = 0o400) -> None:
        """Put files for a role's container into its volume, which may be in use."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.uid = member.gid = 999
                member.mode, member.size = mode, len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        self.hand.put_archive(f"/files/{role}", buffer.getvalue())

    def close(self) -> None:
        chosen: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={self.name}"}
        for container in self.engine.containers.list(all=True, filters=chosen):
            container.remove(force=True)
        for network in self.engine.networks.list(filters=chosen):
            network.remove()
        for volume in self.engine.volumes.list(filters=chosen):
            volume.remove()

    def _start(self, image: str, command: list[str] | None, mounts: list[Mount], **options: Any) -> Container:
        container = self._create(image, command, mounts, **options)
        container.start()
        return container

    def _create(self, image: str, command: list[str] | None, mounts: list[Mount], **options: Any) -> Container:
        hardened = {
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "tmpfs": {"/tmp": "mode=1777"},  # noqa: S108 - the container's own
            "labels": {LABEL: self.name},
            "network": self.name,
        }
        return self.engine.containers.create(image, command, mounts=mounts, **{**hardened, **options})


def log(container: Container) -> str:
    """stdout and stderr so far."""
    text = container.logs(stream=False)
    assert isinstance(text, bytes)
    return text.decode()


def run(container: Container, *command: str) -> str:
    """stdout of a command in a running container; fails the test when it fails."""
    code, output = container.exec_run(list(command))
    assert isinstance(output, bytes)
    assert code == 0, output.decode()
    return output.decode().strip()


def sql(container: Container, statement: str) -> str:
    """Rows of a statement run by the superuser, unaligned."""
    return run(container, "psql", "--host=/run/postgresql", "-XAtqc", statement)


def until_healthy(container: Container) -> Container:
    """Returns the container once its own health check passes; fails when it ended instead."""

    @tenacity.retry(
        retry=tenacity.retry_if_result(lambda healthy: not healthy),
        wait=tenacity.wait_fixed(0.1),
        stop=tenacity.stop_after_delay(60),
    )
    def healthy() -> bool:
        container.reload()
        assert container.status == "running", log(container)
        return bool(container.exec_run(["healthy"]).exit_code == 0)

    healthy()
    return container


def until_logged(container: Container, text: str) -> None:
    """Returns once the container's log holds the text."""

    @tenacity.retry(wait=tenacity.wait_fixed(0.1), stop=tenacity.stop_after_delay(30), reraise=True)
    def logged() -> None:
        written = log(container)
        assert text in written, written

    logged()


def until_answered(container: Container, statement: str, answer: str) -> None:
    """Returns once the statement's rows are `answer`."""

    @tenacity.retry(wait=tenacity.wait_fixed(0.1), stop=tenacity.stop_after_delay(30), reraise=True)
    def answered() -> None:
        assert sql(container, statement) == answer

    answered()


def stop(container: Container, grace: int = 60) -> int:
    """The exit code after the image's stop signal; 137 means that it had to be killed."""
    container.stop(timeout=grace)
    return int(container.wait()["StatusCode"])


def security(container: Container) -> set[str]:
    """What the kernel says about every process: user ids, capabilities, no_new_privs; one element when all agree."""
    fields = "Uid|Gid|CapEff|CapBnd|NoNewPrivs"
    script = f"for p in /proc/[0-9]*; do grep -hE '^({fields})' $p/status | tr '\\t\\n' ' '; echo; done 2>/dev/null"
    lines = run(container, "bash", "-c", script)
    return {line.strip() for line in lines.splitlines() if line.strip()}
