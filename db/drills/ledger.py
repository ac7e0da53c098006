"""The ledger: what the whole cluster held at the commit of one heartbeat, noted outside of it, without a lock.

A snapshot and the state at a commit are two things: transactions that end meanwhile are in one and not in the other.
So a snapshot is taken in every database, a heartbeat is committed, and another snapshot shows what ended in between:
if that was the heartbeat alone, the first snapshots and the heartbeat are the state at its commit; else it is tried
again. A transaction that waits for the disk is seen by neither snapshot, and may stand in the log before the heartbeat
nevertheless: one whose commit has a time from before the second snapshot is a reason to try again as well. The entry
names all that were running, and a copy that ends at the heartbeat and holds one of them has the last word.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from db.drills import heartbeats, reading
from db.drills.heartbeats import Heartbeat
from db.drills.places import LIVE, connect, databases
from db.drills.reading import Database
from db.drills.snapshots import Snapshot, ended_between

FOLDER = "ledger"
_TRIES = 300  # at 500 commits a second the first few fail
_READ_WITHIN = 120  # seconds; so long, at most, dead rows of the live cluster must wait
_ENDED_WITHIN = 0.01  # seconds that a transaction needs to end once its commit is on the disk
_COMMITTED_BEFORE = """\
SELECT coalesce(bool_or(pg_xact_status(x) = 'committed' AND pg_xact_commit_timestamp(x::xid) < %s), false)
FROM unnest(%s::text[]::xid8[]) x"""
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_current_snapshot()::text"


@dataclass(frozen=True)
class Entry:
    """`running` are the transactions that had not ended when the heartbeat was seen; from `xmax` on, all had not."""

    heartbeat: Heartbeat
    running: tuple[int, ...]
    xmax: int
    databases: Mapping[str, Database]

    @classmethod
    def read(cls, text: str) -> Entry:
        """From a file of the ledger. Raises ValueError or KeyError for what is none."""
        given = json.loads(text)
        known = {name: Database.read(it) for name, it in given["databases"].items()}
        return cls(Heartbeat.read(given["heartbeat"]), tuple(given["running"]), given["xmax"], known)

    def described(self) -> dict[str, Any]:
        """As it stands in the ledger."""
        return {
            "heartbeat": self.heartbeat.described(),
            "running": list(self.running),
            "xmax": self.xmax,
            "databases": {name: it.described() for name, it in self.databases.items()},
        }


class BusyError(Exception):
    """The cluster commits too often for an exact entry."""


def take(folder: Path, *, within: float = _READ_WITHIN) -> Entry:
    """Make an entry of this moment. Raises BusyError, psycopg.Error."""
    with contextlib.ExitStack() as sessions:
        beating = sessions.enter_context(connect(LIVE, synchronous_commit="off"))
        heartbeats.prepare(beating)
        readers = {it: sessions.enter_context(connect(LIVE, it)) for it in databases(beating)}
        beaten, after = _moment(beating, readers)
        heartbeat = heartbeats.note(beating, folder, *beaten)
        deadline = time.monotonic() + within
        found = {name: reading.read(reader, deadline=deadline) for name, reader in readers.items()}
    entry = Entry(heartbeat, tuple(sorted(after.running)), after.xmax, found)
    _write(folder / FOLDER / f"{heartbeat.at:%Y%m%dT%H%M%S}-{heartbeat.xid}.json", json.dumps(entry.described()))
    return entry


def entries(folder: Path) -> dict[Path, Heartbeat]:
    """The heartbeats of all entries, oldest first."""
    paths = sorted((folder / FOLDER).glob("*.json"))
    return {path: Heartbeat.read(json.loads(path.read_text())["heartbeat"]) for path in paths}


def forget(folder: Path, until: datetime.datetime) -> None:
    """Remove the entries of before `until`."""
    for path, heartbeat in entries(folder).items():
        if heartbeat.at < until:
            path.unlink()


def _moment(
    beating: psycopg.Connection[Any], readers: Mapping[str, psycopg.Connection[Any]]
) -> tuple[tuple[int, int, int], Snapshot]:
    for _ in range(_TRIES):
        before = [_snapshot(it) for it in readers.values()]
        with contextlib.suppress(psycopg.errors.UniqueViolation):  # the minute's heartbeat came first
            number, lsn, xid = heartbeats.beat(beating)
            after, at = _now(beating)
            if all(ended_between(it, after) == {xid} for it in before) and not _overtaken(beating, after, at):
                return (number, lsn, xid), after
        for it in readers.values():
            it.execute("ROLLBACK")
        time.sleep(random.uniform(0, 0.02))  # noqa: S311 - no secret
    raise BusyError(
        f"in {_TRIES} tries other transactions ended beside the heartbeat each time: the cluster is too busy for an"
        " exact entry now"
    )


def _now(session: psycopg.Connection[Any]) -> tuple[Snapshot, datetime.datetime]:
    row = session.execute("SELECT pg_current_snapshot()::text, clock_timestamp()").fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM gives one
    return Snapshot.parse(row[0]), row[1]


def _overtaken(session: psycopg.Connection[Any], seen: Snapshot, at: datetime.datetime) -> bool:
    """Whether a transaction that had not ended when `seen` was taken, at `at`, wrote its commit before."""
    heartbeats.flush(session)  # the commits of those that wait for the disk are on it then
    time.sleep(_ENDED_WITHIN)
    suspects = [str(it) for it in (*seen.running, *range(seen.xmax, _now(session)[0].xmax))]
    row = session.execute(_COMMITTED_BEFORE, [at, suspects]).fetchone()
    return row == (True,)


def _snapshot(reader: psycopg.Connection[Any]) -> Snapshot:
    cursor = reader.execute(_SNAPSHOT)
    cursor.nextset()
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM gives one
    return Snapshot.parse(row[0])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_suffix(".new")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
