"""`make bench`: what db/ costs, each figure beside raw psycopg's in the same run, directly and through the pooler.

The table is `bots` with its indexes, triggers and policies: 100,000 rows of one organization. Ours and psycopg's are
taken by turns, so that what else the machine does meets both; machines differ, and the ratio (of medians, where there
are several samples) is what to compare. Needs the images of a deployed stack, named by PGSTACK_TEST_POSTGRES_IMAGE and
PGSTACK_TEST_POOLER_IMAGE, else the newest on this machine; everything it starts goes when it ends.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import docker
import psycopg
from psycopg import sql
from sqlalchemy import Engine, event, select, text
from sqlalchemy.orm import Session

from db import connections, migrations, seeds
from db.apps.bots.documents import BotConfig, Step
from db.apps.bots.models import Bot, Organization, OrganizationMember, User
from db.apps.bots.queries.bots import search_bots
from db.apps.bots.seeds import load
from db.apps.dovvybuddy.queries import nearest
from db.bootstrap import Login, bootstrap
from db.bulk import copy_rows
from db.documents import DocumentType
from db.engine import dispose, engine, unpooled
from db.pagination import keyset, page
from db.seeds import generated
from db.settings import PoolSettings
from db.tenancy import tenant
from db.transactions import run
from db.urls import DatabaseURL
from tests.db import test_embeddings as embeddings
from tests.db.conftest import Prepared, Server, access_for, start_server
from tests.db.test_transaction_pooler import pooler

CHECKOUT = Path(__file__).parents[1]
ROWS = 100_000
_SIZE, _DEEP = 20, 5_000  # rows a page, and the page that keyset must reach as fast as the first
_NEWEST = (Bot.created_at.desc(), Bot.id.desc())
_LOAD = {it.model: it for it in load.GENERATED}
_OWN = {"organization_id": load._ORGANIZATION[0], "created_by_id": load._USER[0]}
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_CONFIG = BotConfig(start_url="https://example.com", steps=[Step(action="open", target="https://example.com")])
_WORDS = '"price watch" department 77'


def bot(number: int) -> Mapping[str, Any]:
    """A bot like those of the load set, but all of one organization."""
    subject, verb = load.WORDS[number % len(load.WORDS)], load.VERBS[number % len(load.VERBS)]
    at = _BEGAN + timedelta(seconds=20 * number)
    return {
        "id": uuid.uuid5(uuid.NAMESPACE_URL, f"bench/{number}"),
        "name": f"Bot {number} to {subject} {verb}",
        "slug": f"bot-{number}",
        "description": f"Does the {subject} {verb} of department {number % 97}",
        "is_active": number % 20 != 0,
        "next_run_at": at + timedelta(days=27_000),
        "config": _CONFIG,
        "created_at": at,
        "updated_at": at,
        **_OWN,
    }


@dataclass
class Table:
    """The figures, and the limits that were not kept."""

    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def add(self, what: str, ours: str, raw: str, ratio: str, goal: str) -> None:
        self.rows.append((what, ours, raw, ratio, goal))
        print(f"{what}: {ours}, psycopg {raw or 'none'}", file=sys.stderr)

    def expect(self, held: bool, told: str) -> None:
        if not held:
            self.missed.append(told)

    def show(self) -> None:
        print("| figure | db/ | psycopg | ratio | goal (limit) |\n| --- | --: | --: | --: | --- |")
        for row in self.rows:
            print(f"| {' | '.join(row)} |")
        for told in self.missed:
            print(f"missed: {told}")


@dataclass
class Route:
    """One way to one database."""

    way: str
    url: str
    superuser_url: str  # by the same way: only who bypasses row-level security may COPY into the table itself
    seconds: float
    table: Table

    def __post_init__(self) -> None:
        self.engine: Engine = engine(self.url, settings=PoolSettings(slow_query=0))
        self.raw = psycopg.connect(self.url, prepare_threshold=None)

    def measure(self) -> None:
        """Everything, in the order of the goals."""
        self.bulk()
        self.overhead()
        self.helpers()
        self.raw.close()

    def bulk(self) -> None:
        """copy_rows against a bare COPY of the same rows, as text already, into the same table by a superuser."""
        rows = [bot(number) for number in range(ROWS)]
        config = DocumentType(BotConfig)
        ready = [
            tuple(
                psycopg.types.json.Json(config.process_bind_param(value, None)) if name == "config" else value  # type: ignore[arg-type]
                for name, value in row.items()
            )
            for row in rows
        ]
        target, columns = sql.Identifier("bots", "bots"), sql.SQL(", ").join(map(sql.Identifier, rows[0]))
        copy = sql.SQL("COPY {} ({}) FROM STDIN").format(target, columns)
        ours, raw = [], []
        with psycopg.connect(self.superuser_url, prepare_threshold=None, autocommit=True) as superuser:
            for _ in range(3):
                superuser.execute(sql.SQL("TRUNCATE {} CASCADE").format(target))
                began = time.perf_counter()
                with superuser.cursor() as cursor, cursor.copy(copy) as writer:
                    for values in ready:
                        writer.write_row(values)
                raw.append(time.perf_counter() - began)
                superuser.execute(sql.SQL("TRUNCATE {} CASCADE").format(target))
                with Session(self.engine) as session, tenant(session, _OWN["organization_id"]):
                    began = time.perf_counter()
                    copy_rows(session, Bot, rows)
                    session.commit()
                    ours.append(time.perf_counter() - began)
            superuser.execute(sql.SQL("VACUUM ANALYZE {}").format(target))  # as autovacuum does, soon after
        mine, bare = min(ours), min(raw)
        self._line("bulk insert into bots, rows/s", ROWS / mine, ROWS / bare, "10,000 rows/s, 0.85 of bare COPY", 0)
        self.table.expect(ROWS / mine > 10_000, f"bulk insert is below 10,000 rows/s ({self.way})")
        self.table.expect(bare / mine >= 0.85, f"bulk insert is {bare / mine:.2f} of bare COPY ({self.way})")

    def overhead(self) -> None:
        """run() around one statement against the same statement and COMMIT on an open connection."""

        def bare() -> None:
            self.raw.execute("SELECT 1").fetchone()
            self.raw.commit()

        statement = text("SELECT 1")
        ours, raw = self._samples(lambda: run(self.engine, lambda session: session.scalar(statement)), bare)
        mine, theirs = statistics.median(ours), statistics.median(raw)
        self._line("transaction, median ms", mine, theirs, f"adds {mine - theirs:.2f}, goal 1 (5)")
        self.table.expect(mine - theirs < 5, f"a transaction adds {mine - theirs:.2f} ms ({self.way})")

    def helpers(self) -> None:
        """Each query helper against its own SQL, sent by psycopg."""
        every = select(Bot)
        ids = itertools.cycle(bot(number)["id"] for number in range(0, ROWS, 997))
        with Session(self.engine) as session, tenant(session, _OWN["organization_id"]):
            deep = self._cursor_at(session, _DEEP)

            def sliced(after: str | None) -> Callable[[], object]:
                return lambda: keyset(session, every, order=_NEWEST, size=_SIZE, after=after)

            helpers: dict[str, Callable[[], object]] = {
                "page 1 with total": lambda: page(session, every.order_by(*_NEWEST), 1, _SIZE),
                "page 50 with total": lambda: page(session, every.order_by(*_NEWEST), 50, _SIZE),
                "keyset page 1": sliced(None),
                f"keyset page {_DEEP:,}": sliced(deep),
                "search, best 20": lambda: search_bots(session, _WORDS, most=_SIZE),
                "one by its id": lambda: session.get(Bot, next(ids), populate_existing=True),
            }
            for name, action in helpers.items():
                with self._captured() as sent:
                    action()
                ours, raw = self._samples(action, lambda sent=sent: self._replay(sent))  # type: ignore[misc]
                mine, theirs = (statistics.quantiles(it, n=20)[18] for it in (ours, raw))
                ratio = statistics.median(ours) / statistics.median(raw)
                self.table.add(f"{name}, p95 ms, {self.way}", f"{mine:.2f}", f"{theirs:.2f}", f"{ratio:.2f}", "10 (50)")
                self.table.expect(mine < 50, f"{name} takes {mine:.1f} ms ({self.way})")
            first, last = self._samples(sliced(None), sliced(deep))
            ratio = statistics.median(last) / statistics.median(first)
            self.table.add(f"keyset page {_DEEP:,} / page 1, {self.way}", f"{ratio:.2f}", "", "", "1")
            self.table.expect(
                ratio < 1.5, f"keyset page {_DEEP} takes {ratio:.2f} times as long as page 1 ({self.way})"
            )

    def _cursor_at(self, session: Session, number: int) -> str:
        cursor: str | None = None
        for _ in range((number - 1) * _SIZE // 1000):
            cursor = keyset(session, select(Bot), order=_NEWEST, size=1000, after=cursor).next_cursor
            session.expunge_all()
        assert cursor is not None
        return cursor

    @contextlib.contextmanager
    def _captured(self) -> Iterator[list[tuple[str, Any]]]:
        sent: list[tuple[str, Any]] = []

        def keep(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
            sent.append((statement, parameters))

        event.listen(self.engine, "before_cursor_execute", keep)
        try:
            yield sent
        finally:
            event.remove(self.engine, "before_cursor_execute", keep)

    def _replay(self, sent: list[tuple[str, Any]]) -> None:
        if self.raw.info.transaction_status is psycopg.pq.TransactionStatus.IDLE:
            organization = str(_OWN["organization_id"])
            self.raw.execute("SELECT set_config('app.organization_id', %s, true)", (organization,))
        for statement, parameters in sent:
            self.raw.execute(statement.encode(), parameters).fetchall()

    def _samples(self, *actions: Callable[[], object]) -> list[list[float]]:
        """Milliseconds of each action, by turns."""
        taken: list[list[float]] = [[] for _ in actions]
        for action in actions:
            action()
        end = time.monotonic() + self.seconds * len(actions)
        while time.monotonic() < end or len(taken[0]) < 40:
            for action, samples in zip(actions, taken, strict=True):
                began = time.perf_counter()
                action()
                samples.append((time.perf_counter() - began) * 1000)
        return taken

    def _line(self, what: str, ours: float, raw: float, goal: str, digits: int = 2) -> None:
        self.table.add(f"{what}, {self.way}", f"{ours:,.{digits}f}", f"{raw:,.{digits}f}", f"{ours / raw:.2f}", goal)


def imports(table: Table) -> None:
    """Of processor time, best of seven: the machine's other work does not count."""
    timed = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"

    def best(names: str) -> float:
        command = [sys.executable, "-c", timed.format(names)]
        done = (subprocess.run(command, cwd=CHECKOUT, text=True, capture_output=True, check=True) for _ in range(7))
        return min(float(it.stdout) for it in done) * 1000

    ours, raw = best("db.engine"), best("psycopg, sqlalchemy")
    table.add("import of db.engine, ms", f"{ours:.0f}", f"{raw:.0f} (with SQLAlchemy)", f"{ours / raw:.2f}", "300")


def vectors(server: Server, table: Table) -> None:
    """Recall of the filtered search, and its time against the exact one."""
    prepared = _prepared(server, "dovvybuddy")
    embeddings.write_chunks(prepared)
    hits, full, ours, raw = 0, 0, list[float](), list[float]()
    queries = embeddings.rare_queries()
    with Session(unpooled(DatabaseURL.parse(prepared.app_url))) as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))  # else so small a table is read whole, which is exact
        for query in queries:
            began = time.perf_counter()
            found = nearest(session, query, 10, metadata={"site": 7})
            between = time.perf_counter()
            true = embeddings.exact(session, query, 10)
            raw.append((time.perf_counter() - between) * 1000)
            ours.append((between - began) * 1000)
            hits += len({it.chunk.id for it in found} & set(true))
            full += len(found) == 10
    recall = hits / 10 / len(queries)
    told = f"vector search where 1 of {embeddings.RARE} passes"
    table.add(f"{told}, recall@10", f"{recall:.3f}", "1 (exact)", f"{recall:.2f}", "0.95")
    table.add(f"{told}, full results", f"{full} of {len(queries)}", "", "", "all")
    mine, exact = statistics.median(ours), statistics.median(raw)
    table.add(f"{told}, median ms", f"{mine:.1f}", f"{exact:.1f} (exact)", f"{mine / exact:.2f}", "")
    table.expect(recall >= 0.95 and full == len(queries), f"vector search: recall {recall:.3f}, {full} full results")


def _prepared(server: Server, app: str) -> Prepared:
    access = access_for(app, f"bench_{app}")
    prepared = Prepared(server, access, bootstrap(server.admin, [access], report=lambda _: None))
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    return prepared


def choose_images() -> None:
    """Name the newest images of this machine where the environment names none."""
    client = docker.from_env()
    for role, repository in (("POSTGRES", "pgstack/postgres"), ("POOLER", "pgstack/pgbouncer")):
        found = sorted(client.images.list(repository), key=lambda it: str(it.attrs["Created"]))
        if not found and f"PGSTACK_TEST_{role}_IMAGE" not in os.environ:
            sys.exit(f"make bench: there is no image {repository} on this machine: `make up` builds it")
        os.environ.setdefault(f"PGSTACK_TEST_{role}_IMAGE", str(found[-1].id) if found else "")
    client.close()


def measure(seconds: float) -> None:
    """Print the table, and what missed its goal."""
    choose_images()
    os.environ["DB_CURSOR_KEY"] = "the bench signs its cursors with this"
    table = Table()
    imports(table)
    with contextlib.ExitStack() as running:
        server = running.enter_context(start_server())
        with server.connect() as admin:  # as infra/selfhosted/postgres.py has it: else indexes seem dear
            admin.execute("ALTER SYSTEM SET random_page_cost = 1.1")
            admin.execute("SELECT pg_reload_conf()")
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        prepared = _prepared(server, "bots")
        seeds.seed("bots", prepared.owner_url, ["base"], report=lambda _: None)
        with connections.connect(DatabaseURL.parse(prepared.owner_url)) as owner:
            for model in (User, Organization, OrganizationMember):
                generated.write([owner], _LOAD[model])
        superuser = Login(server.admin["user"], server.admin["password"])
        pooled, pooled_superuser = (
            running.enter_context(pooler(prepared, folder, size=2, login=login))
            for login in (prepared.access.application, superuser)
        )
        for way, url, superuser_url in (
            ("direct", prepared.app_url, server.url(superuser, prepared.access.database)),
            ("pooled", pooled, pooled_superuser),
        ):
            Route(way, url, superuser_url, seconds, table).measure()
            dispose()
        vectors(server, table)
    table.show()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of samples for each figure")
    measure(parser.parse_args().seconds)


if __name__ == "__main__":
    main()
