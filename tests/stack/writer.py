"""Clients that write all the time and remember which rows the database acknowledged."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import tenacity

from tests.deployment import Stack

_TABLE = "dovvybuddy.acknowledged"
_SERVED_AGAIN_WITHIN = 60  # seconds


@dataclass
class Writer:
    """Inserts 0, 1, 2 ... through the pooler, one transaction each; a number that failed is never used again."""

    acknowledged: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def write_some(self, count: int = 20) -> None:
        """Returns when `count` more rows were acknowledged."""
        until = len(self.acknowledged) + count
        for attempt in tenacity.Retrying(
            stop=tenacity.stop_after_delay(_SERVED_AGAIN_WITHIN), wait=tenacity.wait_fixed(0.05), reraise=True
        ):
            with attempt:
                assert len(self.acknowledged) >= until, f"no rows are written: {self.failures[-1:]}"


@contextmanager
def writing(stack: Stack, *, clients: int = 1, prepare: Callable[[], None] = lambda: None) -> Iterator[Writer]:
    """Writers at work; on leaving, every row they were told is committed must be there.

    `prepare` runs first in each client's thread.
    """
    url, ca_file = stack.outputs["dovvybuddy_pooled_url"], str(stack.ca_file)
    stack.admin_sql(
        f"CREATE TABLE {_TABLE} (id bigint PRIMARY KEY); GRANT INSERT ON {_TABLE} TO dovvybuddy_app", "dovvybuddy"
    )
    writer, stop, numbers = Writer(), threading.Event(), itertools.count()

    def write() -> None:
        prepare()
        while not stop.is_set():
            try:
                with psycopg.connect(url, sslrootcert=ca_file, autocommit=True, connect_timeout=3) as connection:
                    while not stop.is_set():
                        number = next(numbers)
                        connection.execute(f"INSERT INTO {_TABLE} VALUES (%s)", [number], prepare=False)
                        writer.acknowledged.append(number)
                        time.sleep(0.002)  # the load, not a wait
            except psycopg.Error as error:
                writer.failures.append(str(error))
                stop.wait(0.1)

    threads = [threading.Thread(target=write) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield writer
    except BaseException:
        with contextlib.suppress(AssertionError):  # later tests of this stack are not to fail for it
            stack.admin_sql(f"DROP TABLE {_TABLE}", "dovvybuddy")
        raise
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    there = stack.admin_sql(f"SELECT id FROM {_TABLE}", "dovvybuddy").splitlines()
    lost = set(writer.acknowledged) - {int(it) for it in there}
    stack.admin_sql(f"DROP TABLE {_TABLE}", "dovvybuddy")
    assert not lost, f"{len(lost)} of {len(writer.acknowledged)} acknowledged rows are lost"
