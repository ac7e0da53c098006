"""Who holds a stack's lock in Pulumi's file backend, and whether that process still lives."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ops import PROJECT
from ops.errors import OpsError


@dataclass(frozen=True)
class Lock:
    """One lock file, as the CLI writes it: pkg/backend/diy/lock.go, lockContent."""

    path: Path
    pid: int
    user: str
    host: str
    since: str

    @property
    def dead(self) -> bool:
        """Whether its holder is a process of this machine that is gone."""
        return self.host == socket.gethostname() and not _is_pulumi(self.pid)


def locks(stack: str, environ: Mapping[str, str]) -> list[Lock]:
    """The locks on `stack`; none for a backend that is no folder of this machine."""
    backend = environ.get("PULUMI_BACKEND_URL", "")
    if not backend.startswith("file://"):
        return []
    root = Path(backend.removeprefix("file://").partition("?")[0]).expanduser()
    folder = root / ".pulumi" / "locks" / "organization" / PROJECT / stack
    return [lock for path in sorted(folder.glob("*.json")) if (lock := read(path))]


def check_unlocked(stack: str, environ: Mapping[str, str]) -> None:
    """Raises OpsError if a deployment of the stack is under way, or was killed and left its lock."""
    check_nobody_works(stack, environ)
    for lock in locks(stack, environ):
        raise OpsError(abandoned(stack, lock))


@contextmanager
def alone(stack: str, folder: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """While settings are changed and deployed: nobody else of this user does, nor deploys when it begins.

    `folder` is the stack's own. Raises OpsError before anything is changed.
    """
    check_unlocked(stack, environ)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "changing").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise OpsError(
                f"stack {stack} is being changed by process {file.read().strip()} of pgstack: wait for it, then try"
                " again; nothing was changed"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def check_nobody_works(stack: str, environ: Mapping[str, str]) -> None:
    """Raises OpsError naming who works on the stack now."""
    for lock in locks(stack, environ):
        if not lock.dead:
            raise OpsError(
                f"stack {stack} is worked on by process {lock.pid} of {lock.user}@{lock.host} since {lock.since}: "
                f"wait for it; if that is an error, `pulumi cancel -s {stack}`"
            )


def abandoned(stack: str, lock: Lock) -> str:
    """What to say of a lock whose holder is dead."""
    return (
        f"the deployment of process {lock.pid} was killed and left its lock: `pgstack recover -s {stack}`, then "
        "`pulumi up` to finish what it began"
    )


def read(path: Path) -> Lock | None:
    """A lock file; None if it is gone. One cut short by a crash has no holder: pid 0."""
    try:
        given = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return Lock(path, 0, "", socket.gethostname(), "")
    return Lock(
        path,
        int(given.get("pid", 0)),
        str(given.get("username", "")),
        str(given.get("hostname", "")),
        str(given.get("timestamp", ""))[:19],
    )


def _is_pulumi(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()  # pid (name) state ...
    except OSError:
        return True  # no /proc here: that it lives is all we can know
    name, _, rest = stat.rpartition(")")
    ended = rest.split()[0] == "Z"  # where nobody reaps orphans, as in a container, a killed process stays for ever
    return "pulumi" in name and not ended  # another name: the number was given to another process meanwhile
