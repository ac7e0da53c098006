"""The restored copy: filled from the repository, served on a socket of its own and nowhere else, and removed."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from db.drills.places import COPY, SCRATCH, connect
from db.drills.repository import PGBACKREST, Backup, DrillError, last_error

_LOG = SCRATCH / "log"
_SPARE = 1024**3  # bytes that stay free: the live cluster may lie on the same disk
_REPLAYED_WITHIN = 6 * 3600  # seconds; a day's WAL of a busy server
_ENDS_WITHIN = 30  # seconds
# over whatever the cluster that was backed up had configured; nothing of the copy outlives the drill, so no fsync
_SERVER = {
    "listen_addresses": "",
    "unix_socket_directories": str(SCRATCH),
    "hot_standby": "off",  # it answers once it is at the target, so a small server can replay a large one's WAL
    "archive_mode": "off",
    "max_connections": "20",
    "max_wal_senders": "0",
    "shared_preload_libraries": "",
    "shared_buffers": "64MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "track_commit_timestamp": "on",
    "autovacuum": "off",
    "ssl": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "restart_after_crash": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
}


@dataclass(frozen=True)
class Target:
    """The end of the copy: a transaction (kept), or a position in the WAL, in bytes from 0/0; and what leads there."""

    backup: Backup
    timeline: int
    lsn: int
    xid: int | None = None

    @property
    def options(self) -> Sequence[str]:
        """Of `pgbackrest restore` (https://pgbackrest.org/command.html#command-restore)."""
        kind, at = ("lsn", f"{self.lsn >> 32:X}/{self.lsn & 0xFFFFFFFF:X}")
        if self.xid is not None:
            kind, at = ("xid", str(self.xid % 2**32))
        return (
            f"--set={self.backup.label}",
            f"--type={kind}",
            f"--target={at}",
            f"--target-timeline={self.timeline}",
            "--target-action=promote",
            "--archive-mode=off",
        )


def restore(target: Target) -> float:
    """Make the copy and serve it; the seconds until it answered. Raises DrillError."""
    free = shutil.disk_usage(SCRATCH).free
    if free < target.backup.size + _SPARE:
        raise DrillError(
            f"the copy needs {target.backup.size / 1024**3:.1f} GB and 1 GB to spare, and"
            f" {free / 1024**3:.1f} are free: free some"
        )
    began = time.monotonic()
    COPY.mkdir(mode=0o700)
    _run(*PGBACKREST, f"--pg1-path={COPY}", "restore", *target.options)
    settings = [it for name, value in _SERVER.items() for it in ("-c", f"{name}={value}")]
    with _LOG.open("w") as log:
        server = subprocess.Popen(
            ["postgres", "-D", str(COPY), *settings], stdout=log, stderr=log, start_new_session=True
        )
    _insist_on_an_answer(server)
    return time.monotonic() - began


def clean() -> bool:
    """Remove the copy, its server first; whether there was one."""
    _stop()
    left = [*SCRATCH.iterdir()]
    for path in left:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return bool(left)


def corruption() -> list[str]:
    """What amcheck finds in the copy's tables and B-tree indexes, each a line; every row looked up in every index."""
    done = subprocess.run(
        ["pg_amcheck", f"--host={SCRATCH}", "--username=postgres", "--all", "--install-missing", "--heapallindexed"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.returncode == 0:
        return []
    # the object's name is a line, what is wrong with it the next ones
    found = [" ".join(it) for it in itertools.pairwise(said) if it[0].endswith(":")]
    return found or [f"pg_amcheck: {last_error(' / '.join(said))}"]


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise DrillError(f"{command[0]} ended with {done.returncode}: {last_error(done.stdout)}")


def _insist_on_an_answer(server: subprocess.Popen[bytes]) -> None:
    """Return once the server has replayed what it is to replay. Raises DrillError with its own words if it ends."""
    until = time.monotonic() + _REPLAYED_WITHIN
    while True:
        try:
            with connect(SCRATCH) as copy:
                copy.execute("SELECT 1")
                return
        except psycopg.OperationalError:
            if server.poll() is not None:
                raise DrillError(f"the copy's server ended: {last_error(_LOG.read_text(errors='replace'))}") from None
            if time.monotonic() > until:
                raise DrillError(f"the copy is not at its target after {_REPLAYED_WITHIN / 3600:.0f} h") from None
        time.sleep(0.05)


def _server() -> int | None:
    """The copy's server, if it runs; one that ended and was not waited for has no command line."""
    try:
        server = int((COPY / "postmaster.pid").read_text().split()[0])
        return server if str(COPY) in Path(f"/proc/{server}/cmdline").read_text() else None
    except (OSError, ValueError, IndexError):
        return None


def _stop() -> None:
    server = _server()
    if server is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(server, signal.SIGQUIT)  # at once: nothing of it is kept
    until = time.monotonic() + _ENDS_WITHIN
    while _server() is not None and time.monotonic() < until:
        time.sleep(0.05)


def committed(xids: Sequence[int], xmax: int) -> list[int]:
    """Those of the transactions, and of all from `xmax` on, that count as committed in the copy.

    Asked before anything is written to it: what is written later has a number too.
    """
    with connect(SCRATCH) as copy:
        row = copy.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM gives one
        suspects = [*xids, *range(xmax, int(row[0]))]
        return [it for it in suspects if _committed(copy, it)]


def _committed(copy: psycopg.Connection[object], xid: int) -> bool:
    return copy.execute("SELECT pg_xact_status(%s::text::xid8)", [str(xid)]).fetchone() == ("committed",)
