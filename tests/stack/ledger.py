"""What was committed when, written down outside the database by the client that committed it."""

import datetime
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import tenacity

from tests.deployment import Stack

TABLE = "maps.ledger"
# in one message, so that the clients are not moved to another cluster between the two
_COMMIT = f"""
BEGIN; INSERT INTO {TABLE} VALUES ({{number}}); COMMIT;
SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int, xmin::text::bigint,
  pg_xact_commit_timestamp(xmin), pg_current_wal_insert_lsn()
FROM {TABLE} WHERE number = {{number}}"""
_WITHIN = 60  # seconds


@dataclass(frozen=True)
class Entry:
    """One transaction that inserted `number`; `lsn` is a position after its end and before the next one's."""

    number: int
    timeline: int
    xid: int
    at: datetime.datetime
    lsn: str


@dataclass
class Ledger:
    """Transactions in the order of their commits, by one client, so that there is no doubt about it."""

    entries: list[Entry] = field(default_factory=list)
    bases: dict[int, list[int]] = field(default_factory=lambda: {1: []})  # what a timeline began with

    def expected(self, last: Entry) -> list[int]:
        """The numbers that are there when `last` is the last one kept."""
        upto = self.entries.index(last) + 1
        return [*self.bases[last.timeline], *(it.number for it in self.entries[:upto] if it.timeline == last.timeline)]

    def restored(self, last: Entry, timeline: int) -> None:
        """The timeline began as a copy of what there was at `last`."""
        self.bases[timeline] = self.expected(last)

    def of(self, timeline: int) -> Sequence[Entry]:
        """The entries that were committed on it."""
        return [it for it in self.entries if it.timeline == timeline]

    def wait_for(self, count: int, timeline: int) -> None:
        """Return when so many more were committed on that timeline."""
        until = len(self.of(timeline)) + count
        for attempt in tenacity.Retrying(
            stop=tenacity.stop_after_delay(_WITHIN), wait=tenacity.wait_fixed(0.05), reraise=True
        ):
            with attempt:
                assert len(self.of(timeline)) >= until, f"nothing is committed on timeline {timeline}"


@contextmanager
def kept(stack: Stack) -> Iterator[Ledger]:
    """A client that commits one number after the other, through the pooler, and fails the test if one fails."""
    stack.admin_sql(f"CREATE TABLE {TABLE} (number int); GRANT INSERT, SELECT ON {TABLE} TO maps_app", "maps")
    ledger, stop, failures = Ledger(), threading.Event(), list[psycopg.Error]()

    def work() -> None:
        try:
            with stack.connect("maps_pooled_url") as connection:
                connection.prepare_threshold = None
                for number in itertools.count():
                    if stop.is_set():
                        return
                    done = connection.execute(_COMMIT.format(number=number))
                    ledger.entries.append(Entry(number, *_last_row(done)))
                    stop.wait(0.05)  # the load, not a wait
        except psycopg.Error as error:
            failures.append(error)

    client = threading.Thread(target=work)
    client.start()
    try:
        yield ledger
    finally:
        stop.set()
        client.join()
    assert failures == []


def _last_row(cursor: psycopg.Cursor[Any]) -> tuple[Any, ...]:
    while cursor.nextset():
        pass
    row: tuple[Any, ...] | None = cursor.fetchone()
    assert row is not None
    return row
