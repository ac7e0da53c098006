"""One migration of an app at a time: an advisory lock that is polled, never waited for inside the server.

A session blocked in pg_advisory_lock holds a snapshot, CREATE INDEX CONCURRENTLY waits for all snapshots, and the two
deadlock; a lock of a transaction would end with the first autocommit_block. So: a session's lock, tried again and
again, on a connection that does nothing else.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import tenacity

from db.errors import LockError

PATIENCE = 600.0  # seconds: as long as a large index build before us may reasonably take
_PROGRESS_EVERY = 5.0  # seconds between two lines that say what we wait for

Connection = psycopg.Connection[tuple[Any, ...]]


def key(name: str) -> int:
    """The advisory lock's number for `name`: 64 bits, signed, the same in every process and version."""
    return int.from_bytes(hashlib.sha256(f"pgstack:{name}".encode()).digest()[:8], signed=True)


@contextmanager
def held(
    connection: Connection, name: str, report: Callable[[str], None], *, patience: float = PATIENCE
) -> Iterator[None]:
    """Hold the lock called `name` on `connection` (autocommit).

    Raises LockError naming the holder after `patience` seconds.
    """
    number = key(name)
    progress = _Progress(connection, name, number, report)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda taken: not taken),
        wait=tenacity.wait_random(0.1, 0.4),  # jitter: waiters that started together do not poll together
        stop=tenacity.stop_after_delay(patience),
        before_sleep=progress,
        retry_error_callback=lambda _: False,
    )
    if not retrying(lambda: _scalar(connection, "SELECT pg_try_advisory_lock(%s)", number)):
        raise LockError(
            f"{name} is still held by {progress.holder()} after {patience:.0f} s: wait for it, or end that session"
        )
    try:
        yield
    finally:
        if not connection.broken:  # the server frees the lock of a session that is gone
            connection.execute("SELECT pg_advisory_unlock(%s)", (number,))


class _Progress:
    """Says every few seconds who holds the lock, called by tenacity between two tries."""

    def __init__(self, connection: Connection, name: str, number: int, report: Callable[[str], None]) -> None:
        self._connection = connection
        self._name = name
        self._number = number
        self._report = report
        self._next = 0.0

    def __call__(self, state: tenacity.RetryCallState) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _PROGRESS_EVERY
            waited = state.seconds_since_start or 0.0
            self._report(f"waiting for {self._name}, held by {self.holder()} ({waited:.0f} s so far)")

    def holder(self) -> str:
        """The session that holds the lock, as the server shows it to us."""
        # a 64-bit key stands in pg_locks as two 32-bit halves with objsubid 1 (manual, 54.12)
        row = self._connection.execute(
            "SELECT a.pid, a.usename, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
            " AND l.classid = %s::bigint::oid AND l.objid = %s::bigint::oid"
            " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            ((self._number >> 32) & 0xFFFFFFFF, self._number & 0xFFFFFFFF),
        ).fetchone()
        return "a session that just ended" if row is None else f"{row[1]} (pid {row[0]}, {row[2] or 'unnamed'})"


def _scalar(connection: Connection, statement: str, *values: object) -> Any:
    row = connection.execute(statement, values).fetchone()
    assert row is not None  # noqa: S101  # a SELECT of functions has one row
    return row[0]
