"""A server that crashes in the middle of the work, and comes back: a unit of work is written once all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from db.async_engine import async_engine, dispose_async
from db.bootstrap import bootstrap
from db.engine import dispose, engine, pool_metrics
from db.settings import PoolSettings
from db.transactions import run, run_async
from tests.db import library
from tests.db.conftest import Prepared, Server, access_for, start_server
from tests.db.library import Note
from tests.db.test_transaction_pooler import pooler

# what a crash leaves behind is refused for a moment: "the database system is in recovery mode"
SETTINGS = PoolSettings(size=2, limit=4, patience=30)


@pytest.fixture(scope="module")
def own() -> Iterator[Prepared]:
    """The tables of tests/db/library.py on a server of their own."""
    with start_server() as server:
        access = access_for("maps", "test_restart")
        yield library.create(Prepared(server, access, bootstrap(server.admin, [access], report=lambda _: None)))


@pytest.fixture(params=["direct", "pooled"])
def url(own: Prepared, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    library.empty(own)
    if request.param == "direct":
        yield own.app_url
    else:
        folder = tmp_path_factory.mktemp("pooler")
        with pooler(own, folder, size=2, login=own.access.application) as pooled:
            yield pooled
    dispose()


class Crash:
    """Ends a server process by SIGKILL, the first time; the postmaster then restarts all of them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.calls = 0

    def __call__(self, session: Session) -> None:
        self.calls += 1
        session.execute(insert(Note), [{"body": "written"}])
        if self.calls == 1:
            victim = session.scalar(text("SELECT pg_backend_pid()"))
            with self._server.connect() as admin:
                later = f'setsid sh -c "sleep 0.1; kill -9 {victim}" &'
                admin.execute(f"COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; {later}'")
            session.execute(text("SELECT pg_sleep(20)"))


def test_a_unit_of_work_survives_a_crash_of_the_server(own: Prepared, url: str) -> None:
    crash = Crash(own.server)
    source = engine(url, settings=SETTINGS)
    with source.connect(), source.connect():
        pass  # two idle connections that will be dead

    run(source, crash)

    assert crash.calls > 1
    assert own.rows("SELECT body FROM maps.notes") == [("written",)]
    [numbers] = pool_metrics()
    assert numbers.in_use == 0


def test_an_async_unit_of_work_survives_a_crash_of_the_server(own: Prepared, url: str) -> None:
    crash = Crash(own.server)

    async def work(session: AsyncSession) -> None:
        await session.run_sync(crash)

    async def main() -> None:
        await run_async(async_engine(url, settings=SETTINGS), work)
        await dispose_async()

    asyncio.run(main())

    assert crash.calls > 1
    assert own.rows("SELECT body FROM maps.notes") == [("written",)]
