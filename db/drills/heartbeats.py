"""Each minute a row in the live cluster, and a line about it outside: what a restored copy must and must not hold.

A cluster in which nothing was committed since the last one gets none for a while: each makes a WAL segment, and an idle
day of them would take minutes to replay.
"""

from __future__ import annotations

import datetime
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

FOLDER = "heartbeats"
_UNCHANGED = "unchanged"  # in the folder; touched when nothing was committed since the last line
_KEPT = 10  # rows in the live cluster
_IDLE = 15 * 60  # seconds; so often an idle cluster shows that it archives
_PREPARE = """\
CREATE SCHEMA IF NOT EXISTS pgstack;
CREATE TABLE IF NOT EXISTS pgstack.heartbeat (
  number bigint PRIMARY KEY,
  before pg_lsn NOT NULL DEFAULT pg_current_wal_insert_lsn(),
  at timestamptz NOT NULL DEFAULT clock_timestamp()
)"""
_BEAT = """\
INSERT INTO pgstack.heartbeat (number) SELECT coalesce(max(number), 0) + 1 FROM pgstack.heartbeat
RETURNING number, before - '0/0', pg_current_xact_id()::text"""
_TIMELINE = "('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int"
_COMMITTED = f"SELECT pg_xact_commit_timestamp(%s::xid), pg_current_wal_insert_lsn() - '0/0', {_TIMELINE}"
_TRIM = "DELETE FROM pgstack.heartbeat WHERE number <= (SELECT max(number) - %s FROM pgstack.heartbeat)"
_LAST = "SELECT pg_logical_emit_message(true, 'pgstack', ''), pg_current_xact_id()::text"
_SINCE = f"""\
SELECT (pg_last_committed_xact()).xid = %s::xid AND {_TIMELINE} = %s AND clock_timestamp() - %s < %s * interval '1 s'"""
_ROWS = "SELECT number, before - '0/0' FROM pgstack.heartbeat ORDER BY number"


@dataclass(frozen=True)
class Heartbeat:
    """A committed one; its commit lies in the WAL after `before` and not after `after` (bytes from 0/0).

    `last` is the transaction with which the noting of it ended.
    """

    number: int
    xid: int
    at: datetime.datetime
    before: int
    after: int
    timeline: int
    last: int = 0

    @classmethod
    def read(cls, given: dict[str, Any]) -> Heartbeat:
        """From a line of the ledger."""
        named = {name: given[name] for name in cls.__dataclass_fields__ if name != "last"}
        named["last"] = given.get("last", 0)  # lines of before 2026-11-22 have none
        return cls(**{**named, "at": datetime.datetime.fromisoformat(given["at"])})

    def described(self) -> dict[str, Any]:
        """As a line of the ledger."""
        return asdict(self) | {"at": self.at.isoformat()}


def prepare(live: psycopg.Connection[Any]) -> None:
    """Make the table where there is none."""
    found = live.execute("SELECT to_regclass('pgstack.heartbeat')").fetchone()
    if found == (None,):
        live.execute(_PREPARE)


def beat(live: psycopg.Connection[Any]) -> tuple[int, int, int]:
    """Commit one; its number, where the WAL was before (bytes), and its transaction.

    Not waited for the disk: between the snapshots around it (ledger.py) as little as possible must happen.
    """
    row = live.execute(_BEAT).fetchone()
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives one
    number, before, xid = row
    return int(number), int(before), int(xid)


def note(live: psycopg.Connection[Any], folder: Path, number: int, before: int, xid: int) -> Heartbeat:
    """Once it is on the server's disk: a line about it, which is on disk when this returns. Old rows go."""
    row = live.execute(_COMMITTED, [str(xid % 2**32)]).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM gives one
    at, after, timeline = row
    live.execute(_TRIM, [_KEPT])
    beaten = Heartbeat(number, xid, at, before, int(after), timeline, flush(live))
    _append(folder / FOLDER / f"{at.astimezone(datetime.UTC):%Y-%m-%d}.jsonl", json.dumps(beaten.described()))
    return beaten


def flush(live: psycopg.Connection[Any]) -> int:
    """Return when all that was committed is on the server's disk; the transaction that shows it."""
    with live.transaction():
        live.execute("SET LOCAL synchronous_commit = on")
        row = live.execute(_LAST).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM gives one
    return int(row[1])


def needless(live: psycopg.Connection[Any], folder: Path) -> bool:
    """Whether the last one is younger than 15 minutes and nothing was committed since; that is noted too."""
    newest = max(_lines(folder), key=lambda it: it.at, default=None)
    if newest is None:
        return False
    began = time.time()
    row = live.execute(_SINCE, [str(newest.last % 2**32), newest.timeline, newest.at, _IDLE]).fetchone()
    if row != (True,):
        return False
    unchanged = folder / FOLDER / _UNCHANGED
    unchanged.touch()
    os.utime(unchanged, (began, began))
    return True


def known(folder: Path, archived: Heartbeat) -> datetime.datetime:
    """The last moment of which it is known that all that was committed before it is not after `archived`."""
    unchanged = folder / FOLDER / _UNCHANGED
    newest = max(_lines(folder), key=lambda it: it.at, default=archived)
    if newest.at > archived.at or not unchanged.exists():
        return archived.at
    return max(archived.at, datetime.datetime.fromtimestamp(unchanged.stat().st_mtime, datetime.UTC))


def lines(folder: Path) -> list[Heartbeat]:
    """All that are noted, in the order of their lines."""
    return list(_lines(folder))


def forget(folder: Path, until: datetime.datetime) -> None:
    """Remove the files of days before the day of `until`."""
    for path in (folder / FOLDER).glob("*.jsonl"):
        if path.stem < f"{until:%Y-%m-%d}":
            path.unlink()


def held(copy: psycopg.Connection[Any]) -> list[tuple[int, int]]:
    """Number, and where the WAL was before it, of each row in a copy."""
    return [(int(number), int(before)) for number, before in copy.execute(_ROWS)]


def judged(
    noted: Sequence[Heartbeat], rows: Sequence[tuple[int, int]], target: int, timeline: int, last: int | None = None
) -> list[str]:
    """What is wrong with the heartbeats of a copy that was to end at `target` (bytes from 0/0), each a line.

    Where it was to end with a heartbeat's own commit, `last` is its number.
    """
    ours = {it.number: it for it in noted if it.timeline == timeline}

    def after(number: int, before: int) -> bool:
        if last is not None:
            return number > last
        return before >= target or (number in ours and ours[number].before >= target)

    problems = [
        f"heartbeat {number} is in the copy, but was committed after the target"
        for number, before in rows
        if after(number, before)
    ]
    due = ours.get(last) if last is not None else None
    due = due or max((it for it in ours.values() if it.after <= target), key=lambda it: it.after, default=None)
    newest = max((number for number, _ in rows), default=0)
    if due is not None and newest < due.number:
        problems.append(
            f"heartbeat {due.number} was committed before the target, at {due.at:%Y-%m-%d %H:%M:%S} UTC, and is not in"
            f" the copy, whose newest is {newest or 'none'}"
        )
    return problems


def _lines(folder: Path) -> Iterator[Heartbeat]:
    for path in sorted((folder / FOLDER).glob("*.jsonl")):
        for line in path.read_text().splitlines():
            try:
                yield Heartbeat.read(json.loads(line))
            except ValueError:  # the host went down while it was written
                continue


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
