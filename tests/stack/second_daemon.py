"""A Docker daemon of a test's own, which it may stop or starve: nobody else's containers are on it.

It has a network namespace to itself, because two daemons would overwrite each other's firewall rules, and a mount
namespace, so that what it mounts goes with it. Only root can make these.
"""

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import docker
import tenacity
from docker.errors import DockerException

from tests.deployment import Stack

_CLONE_NEWNET = 0x40000000  # sched.h
_ANSWERS_WITHIN = 60  # seconds
_STOPS_WITHIN = 300  # seconds; it waits for its containers as long as their stop timeouts say


def missing() -> str | None:
    """What this machine or user lacks for a second daemon; None if one can be had."""
    if os.geteuid() != 0:
        return "only root can start a second Docker daemon"
    lacking = [program for program in ("dockerd", "unshare", "nsenter", "ip") if shutil.which(program) is None]
    return f"a second Docker daemon needs {', '.join(lacking)}" if lacking else None


@dataclass
class Daemon:
    """A daemon in `folder`, in the namespaces of the process `holder`."""

    folder: Path
    holder: subprocess.Popen[bytes]
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.folder}/docker.sock"

    @property
    def data(self) -> Path:
        """Its DockerRootDir."""
        return self.folder / "data"

    @property
    def inside(self) -> list[str]:
        """What to put before a command that is to reach its published ports and see its file systems."""
        namespaces = f"/proc/{self.holder.pid}/ns"
        return ["nsenter", f"--net={namespaces}/net", f"--mount={namespaces}/mnt", "--"]

    def enter(self) -> None:
        """Let the calling thread reach its published ports, for good."""
        with Path(f"/proc/{self.holder.pid}/ns/net").open() as namespace:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def client(self) -> docker.DockerClient:
        """A new connection to it."""
        return docker.DockerClient(base_url=self.address, timeout=600)

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.inside, "dockerd", "--data-root", str(self.data), "--exec-root", str(self.folder / "exec"),
                 "--pidfile", str(self.folder / "pid"), "--host", self.address,
                 # where a machine-wide containerd runs it is used: names must not meet
                 "--containerd-namespace", self.folder.name, "--containerd-plugins-namespace", f"{self.folder.name}-p"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
            )  # fmt: skip
        process = self.process
        for attempt in tenacity.Retrying(
            stop=tenacity.stop_after_delay(_ANSWERS_WITHIN),
            wait=tenacity.wait_fixed(0.2),
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, DockerException) and process.poll() is None
            ),
            reraise=True,
        ):
            with attempt:
                self.client().ping()

    def stop(self) -> None:
        """As `systemctl stop docker` does it; returns when it has ended."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=_STOPS_WITHIN)
            self.process = None

    def take_images(self, stack: Stack) -> dict[str, str]:
        """Bring over the images that `stack` runs on; role to tag."""
        tags = {role: str(stack.container(role).attrs["Config"]["Image"]) for role in ("postgres", "pooler", "drills")}
        for tag in tags.values():
            self.client().images.load(b"".join(stack.engine.images.get(tag).save(named=True)))
        return tags


@contextmanager
def second_daemon(size: str | None = None) -> Iterator[Daemon]:
    """A running daemon; with a `size`, such as 64m, its data is on a file system of that size."""
    folder = Path(tempfile.mkdtemp(prefix="pgstack-"))  # short: the path of a socket has 107 characters at most
    (folder / "data").mkdir()
    prepare = "ip link set lo up"
    if size:
        prepare += f" && mount -t tmpfs -o size={size} none {folder}/data"
    holder = subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", "-c", f"{prepare} && echo ready && exec sleep infinity"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    daemon = Daemon(folder, holder)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        holder.kill()
        holder.wait()
        shutil.rmtree(folder)


@dataclass
class StackOnSecondDaemon(Stack):
    """A stack whose commands run where the daemon's published ports are."""

    daemon: Daemon | None = None

    @classmethod
    def of(cls, stack: Stack, daemon: Daemon) -> "StackOnSecondDaemon":
        """`stack`, not deployed yet, on `daemon`."""
        moved = replace(stack, env=stack.env | {"DOCKER_HOST": daemon.address}, engine=daemon.client())
        return cls(moved.name, moved.home, moved.env, moved.engine, daemon=daemon)

    def run(self, *command: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        assert self.daemon is not None
        return super().run(*self.daemon.inside, "env", "-C", str(self.home), *command, check=check, **options)
