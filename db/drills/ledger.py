"""The ledger: what the whole cluster held at the commit of one heartbeat, noted outside of it, without a lock.

A snapshot and the state at a commit are two things: transactions that end meanwhile are in one and not in the other.
So a snapshot is taken in every database, a heartbeat is committed, and another snapshot shows what ended in between:
if that was the heartbeat alone, the first snapshots and the heartbeat are the state at its commit; else it is tried
again. Transactions that were about to end stand in the log before the heartbeat's commit and are seen by neither: the
entry names all that were running, and one that counts as committed in a copy that ends at the heartbeat is told there.
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
            seen = beating.execute("SELECT pg_current_snapshot()::text").fetchone()
            assert seen is not None  # noqa: S101 - a SELECT without FROM gives one
            after = Snapshot.parse(seen[0])
            if all(ended_between(it, after) == {xid} for it in before):
                return (number, lsn, xid), after
        for it in readers.values():
            it.execute("ROLLBACK")
        time.sleep(random.uniform(0, 0.02))  # noqa: S311 - no secret
    raise BusyError(
        f"in {_TRIES} tries other transactions ended beside the heartbeat each time: the cluster is too busy for an"
        " exact entry now"
    )


def _snapshot(reader: psycopg.Connection[Any]) -> Snapshot:
    cursor = reader.execute(_SNAPSHOT)
    cursor.nextset()
    row = cursor.fetchone()
    assert row is not None  # noqa: S101 - as above
    return Snapshot.parse(row[0])


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_suffix(".new")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
