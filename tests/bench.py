"""`make bench`: what db/ costs, each figure beside raw psycopg's in the same run, directly and through the pooler.

Machines differ and are noisy: the ratio is what to compare. Needs the images of a deployed stack, named by
PGSTACK_TEST_POSTGRES_IMAGE and PGSTACK_TEST_POOLER_IMAGE; everything it starts goes when it ends.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import ColumnElement, Engine, Select, func, select, text
from sqlalchemy.orm import DeclarativeBase, Session

from db.bootstrap import Login, bootstrap
from db.bulk import copy_rows
from db.engine import dispose, engine
from db.pagination import keyset, page
from db.settings import PoolSettings
from db.tenancy import tenant
from db.transactions import run
from tests.db import library
from tests.db.conftest import Prepared, access_for, start_server
from tests.db.test_transaction_pooler import pooler

ROWS = 100_000
_KEY = "the bench signs cursors with this"
_DEEP = 5_000  # the page that keyset must reach as fast as the first
_SIZE = 20
CHECKOUT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Subject:
    """What is measured: one table, its rows, and the queries that an application asks of it."""

    app: str
    create: Callable[[Prepared], object]
    model: type[DeclarativeBase]
    organization: uuid.UUID
    row: Callable[[int], Mapping[str, Any]]
    order: tuple[ColumnElement[Any], ...]
    search: Callable[[Session], object]  # the best 20

    @property
    def table(self) -> sql.Composable:
        return sql.Identifier(self.app, self.model.__tablename__)


_WORDS = ("whale", "reef", "diver", "boat", "anchor", "current", "lantern", "harbour")
BOOKS = Subject(
    app="maps",
    create=library.create,
    model=library.Book,
    organization=library.ONE,
    row=lambda n: {
        "id": uuid.UUID(int=random.Random(n).getrandbits(128)),  # noqa: S311  # spread like real ones
        "organization_id": library.ONE,
        "title": f"{_WORDS[n % 8]} {_WORDS[n // 8 % 8]} {n}",
        "pages": n % 500 + 1,
    },
    order=(library.Book.created_at.desc(), library.Book.id.desc()),
    search=lambda session: session.scalars(
        select(library.Book).where(
            library.Book.id.in_(select(func.maps.search_books('"whale reef" or 77', _SIZE).table_valued("id").c.id))
        )
    ).all(),
)


@dataclass
class Bench:
    """One way to one database, measured."""

    subject: Subject
    url: str
    superuser_url: str  # by the same way: only who bypasses row-level security may COPY into the table itself
    way: str
    seconds: float
    lines: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine: Engine = engine(self.url, settings=PoolSettings(slow_query=0))
        self.raw = psycopg.connect(self.url, prepare_threshold=None)

    def measure(self) -> None:
        """Everything, in the order of the issue's figures."""
        self.bulk()
        self.overhead()
        self.helpers()
        self.raw.close()

    def bulk(self) -> None:
        """copy_rows against a bare COPY of the same values into the same table by a superuser."""
        rows = [self.subject.row(n) for n in range(ROWS)]
        tuples = [tuple(row.values()) for row in rows]
        columns = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
        copy = sql.SQL("COPY {} ({}) FROM STDIN").format(self.subject.table, columns)
        times: dict[str, list[float]] = {"raw": [], "ours": []}
        with psycopg.connect(self.superuser_url, prepare_threshold=None, autocommit=True) as superuser:
            for _ in range(3):
                superuser.execute(sql.SQL("TRUNCATE {}").format(self.subject.table))
                began = time.perf_counter()
                with superuser.cursor() as cursor, cursor.copy(copy) as writer:
                    for values in tuples:
                        writer.write_row(values)
                times["raw"].append(time.perf_counter() - began)
                superuser.execute(sql.SQL("TRUNCATE {}").format(self.subject.table))
                with Session(self.engine) as session, tenant(session, self.subject.organization):
                    began = time.perf_counter()
                    copy_rows(session, self.subject.model, rows)
                    session.commit()
                    times["ours"].append(time.perf_counter() - began)
            superuser.execute(sql.SQL("VACUUM ANALYZE {}").format(self.subject.table))  # as autovacuum does, soon after
        raw, mine = min(times["raw"]), min(times["ours"])
        goal = f"{raw / mine:.2f} of bare COPY (goal 0.85), above 10,000 rows/s"
        self._line("bulk insert, rows/s", f"{ROWS / mine:,.0f}", f"{ROWS / raw:,.0f}", mine / raw, goal)
        self._expect(ROWS / mine > 10_000, "bulk insert is below 10,000 rows/s")
        self._expect(raw / mine >= 0.85, f"bulk insert is {raw / mine:.2f} of bare COPY, below 0.85")

    def overhead(self) -> None:
        """run() around one statement against the same statement and COMMIT on an open connection."""

        def bare() -> None:
            self.raw.execute("SELECT 1")
            self.raw.commit()

        statement = text("SELECT 1")
        raw = self._median(bare)
        mine = self._median(lambda: run(self.engine, lambda session: session.scalar(statement)))
        added = mine - raw
        self._line("transaction, ms", f"{mine:.2f}", f"{raw:.2f}", mine / raw, f"adds {added:.2f} (goal 1, limit 5)")
        self._expect(added < 5, f"a transaction adds {added:.2f} ms")

    def helpers(self) -> None:
        """Each query helper at 100,000 rows against its own SQL, sent by psycopg."""
        it = self.subject
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        everything: Select[Any] = select(it.model)
        with Session(self.engine) as session, tenant(session, it.organization):
            deep = self._cursor_at(session, _DEEP)
            named: dict[str, Callable[[], object]] = {
                "page 1 with total": lambda: page(session, everything.order_by(*it.order), 1, _SIZE),
                "page 50 with total": lambda: page(session, everything.order_by(*it.order), 50, _SIZE),
                "keyset page 1": lambda: keyset(session, everything, order=it.order, size=_SIZE, key=_KEY),
                f"keyset page {_DEEP}": lambda: keyset(
                    session, everything, order=it.order, size=_SIZE, key=_KEY, after=deep
                ),
                "search, best 20": lambda: it.search(session),
                "one by its id": lambda: session.get(it.model, it.row(7)["id"], populate_existing=True),
            }
            medians = {}
            for name, action in named.items():
                with self._captured() as sent:
                    action()
                mine = self._samples(action)
                raw = self._samples(lambda sent=sent: self._replay(sent))  # type: ignore[misc]
                medians[name] = statistics.median(mine)
                ours, theirs = _p95(mine), _p95(raw)
                self._line(f"{name}, p95 ms", f"{ours:.2f}", f"{theirs:.2f}", ours / theirs, "10 (limit 50)")
                self._expect(ours < 50, f"{name} takes {ours:.1f} ms")
            ratio = medians[f"keyset page {_DEEP}"] / medians["keyset page 1"]
            self._line(f"keyset page {_DEEP} / page 1", f"{ratio:.2f}", "", math.nan, "1")
            self._expect(ratio < 1.5, f"keyset page {_DEEP} takes {ratio:.2f} times as long as page 1")

    def _cursor_at(self, session: Session, number: int) -> str:
        cursor: str | None = None
        for _ in range((number - 1) * _SIZE // 1000):
            part = keyset(
                session, select(self.subject.model), order=self.subject.order, size=1000, key=_KEY, after=cursor
            )
            cursor = part.next_cursor
            session.expunge_all()
        assert cursor is not None
        return cursor

    @contextlib.contextmanager
    def _captured(self) -> Iterator[list[tuple[str, Any]]]:
        from sqlalchemy import event  # noqa: PLC0415  # only here

        sent: list[tuple[str, Any]] = []

        def keep(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
            sent.append((statement, parameters))

        event.listen(self.engine, "before_cursor_execute", keep)
        try:
            yield sent
        finally:
            event.remove(self.engine, "before_cursor_execute", keep)

    def _replay(self, sent: list[tuple[str, Any]]) -> None:
        if self.raw.info.transaction_status.name == "IDLE":
            self.raw.execute("SELECT set_config('app.organization_id', %s, true)", (str(self.subject.organization),))
        for statement, parameters in sent:
            self.raw.execute(statement.encode(), parameters).fetchall()

    def _samples(self, action: Callable[[], object]) -> list[float]:
        taken: list[float] = []
        end = time.monotonic() + self.seconds
        action()
        while time.monotonic() < end or len(taken) < 20:
            began = time.perf_counter()
            action()
            taken.append((time.perf_counter() - began) * 1000)
        return taken

    def _median(self, action: Callable[[], object]) -> float:
        return statistics.median(self._samples(action))

    def _line(self, what: str, ours: str, raw: str, ratio: float, goal: str) -> None:
        shown = "" if math.isnan(ratio) else f"{ratio:.2f}"
        self.lines.append((f"{what} ({self.way})", ours, raw, shown, goal))

    def _expect(self, held: bool, told: str) -> None:
        if not held:
            self.failed.append(f"{told} ({self.way})")


def _p95(samples: list[float]) -> float:
    return statistics.quantiles(samples, n=20)[18]


def _imports() -> tuple[str, str, str, str, str]:
    timed = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"

    def best(names: str) -> float:
        command = [sys.executable, "-c", timed.format(names)]
        done = (subprocess.run(command, cwd=CHECKOUT, text=True, capture_output=True, check=True) for _ in range(7))
        return min(float(it.stdout) for it in done) * 1000

    ours, raw = best("db.engine"), best("psycopg, sqlalchemy")
    return ("engine import, ms of processor", f"{ours:.0f}", f"{raw:.0f}", f"{ours / raw:.2f}", "300")


def measure(subject: Subject, seconds: float) -> int:
    """Print the table; returns 1 where a limit is not kept."""
    with start_server() as server, tempfile.TemporaryDirectory() as folder:
        access = access_for(subject.app, f"bench_{os.getpid()}")
        prepared = Prepared(server, access, bootstrap(server.admin, [access], report=lambda _: None))
        subject.create(prepared)
        lines, failed = [_imports()], list[str]()
        superuser = Login(server.admin["user"], server.admin["password"])
        with contextlib.ExitStack() as poolers:
            pooled, pooled_superuser = (
                poolers.enter_context(pooler(prepared, Path(folder), size=2, login=login))
                for login in (access.application, superuser)
            )
            for way, url, superuser_url in (
                ("direct", prepared.app_url, server.url(superuser, access.database)),
                ("pooled", pooled, pooled_superuser),
            ):
                it = Bench(subject, url, superuser_url, way, seconds)
                it.measure()
                lines += it.lines
                failed += it.failed
                dispose()
    print(f"| {'figure':<40} | {'db/':>9} | {'psycopg':>9} | {'ratio':>5} | goal |\n|---|--:|--:|--:|---|")
    for what, ours, raw, ratio, goal in lines:
        print(f"| {what:<40} | {ours:>9} | {raw:>9} | {ratio:>5} | {goal} |")
    for told in failed:
        print(f"missed: {told}")
    return 1 if failed else 0


def main() -> int:
    """Measure the subject."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of samples for each figure")
    return measure(BOOKS, parser.parse_args().seconds)


if __name__ == "__main__":
    sys.exit(main())
