"""What engines log and count, route and refuse, on a real server, directly and through a transaction pooler."""

import asyncio
import logging
import time
import traceback
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, Insert, LargeBinary, bindparam, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from db.async_engine import async_engine, async_readonly_engine, dispose_async, pool_metrics_async
from db.engine import engine, pool_metrics, readonly_engine, unpooled
from db.errors import DbError, TextError, UnreachableError
from db.settings import PoolSettings
from db.urls import DatabaseURL
from tests.db.conftest import Prepared
from tests.db.library import Note

pytestmark = pytest.mark.usefixtures("clean")
SECRET = "a value that no log may show"
QUICK = PoolSettings(size=1, limit=2, timeout=0.2, patience=0.3, slow_query=0.05)


@pytest.fixture
def app(route: str) -> Engine:
    return engine(route, settings=QUICK)


@pytest.mark.requirement("bots.P1.query-logging", "bots.stories.monitoring")
def test_slow_statements_are_logged_with_their_text_and_without_values(
    app: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with app.connect() as connection:
        connection.execute(text("SELECT  pg_sleep(0.06),\n :value"), {"value": SECRET})
        connection.execute(text("SELECT 1"))

    [record] = [it for it in caplog.records if it.name == "db.queries"]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("slow: ")
    assert record.getMessage().endswith("ms, 1 rows: SELECT pg_sleep(0.06), %(value)s")


@pytest.mark.requirement("bots.P1.query-logging", "bots.client.logger")
def test_at_debug_every_statement_is_logged_and_still_no_value(app: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "db.queries")
    with Session(app) as session:
        session.execute(insert(Note), [{"body": SECRET}])
        session.scalars(select(Note).where(Note.body == SECRET)).all()
        session.execute(select(bindparam("x", SECRET.encode(), LargeBinary)))
        with pytest.raises(IntegrityError) as failure:
            session.execute(insert(Note), [{"body": SECRET}])

    assert "INSERT INTO maps.notes" in caplog.text
    assert SECRET not in caplog.text
    assert "[parameters: " not in str(failure.value).replace("[SQL parameters hidden", "")


def test_a_threshold_of_0_logs_nothing_as_slow(route: str, caplog: pytest.LogCaptureFixture) -> None:
    with engine(route, settings=PoolSettings(slow_query=0)).connect() as connection:
        connection.execute(text("SELECT pg_sleep(0.1)"))

    assert [it for it in caplog.records if it.name == "db.queries"] == []


INSERTS: dict[str, tuple[Insert, dict[str, Any]]] = {
    "a whole row": (insert(Note), {"body": SECRET, "rank": None}),
    "a key": (insert(Note), {"body": SECRET}),
}


@pytest.mark.parametrize("case", INSERTS)
def test_the_text_of_an_error_shows_no_value_of_the_row_that_failed(app: Engine, case: str) -> None:
    statement, values = INSERTS[case]
    with Session(app) as session:
        session.execute(insert(Note), [{"body": SECRET}])
        with pytest.raises(IntegrityError) as failure:
            session.execute(statement, [values])

    told = "".join(traceback.format_exception(failure.value))
    assert "violates " in told
    assert SECRET not in told
    assert isinstance(failure.value.orig, psycopg.Error)
    assert failure.value.orig.diag.message_detail is not None  # for a program that asks


def test_the_text_of_an_asynchronous_error_and_of_a_jobs_shows_none_either(
    route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", route)

    async def work() -> str:
        async with AsyncSession(async_engine(settings=QUICK)) as session:
            with pytest.raises(IntegrityError) as failure:
                await session.execute(insert(Note).values({Note.body: bindparam("body")}), [{"body": SECRET}] * 2)
        await dispose_async()
        return str(failure.value)

    with unpooled(DatabaseURL.parse(route)).connect() as connection, pytest.raises(IntegrityError) as failure:
        connection.execute(insert(Note), [{"body": SECRET}] * 2)

    for told in (asyncio.run(work()), str(failure.value)):
        assert 'unique constraint "one_living_body"' in told
        assert SECRET not in told


@pytest.mark.requirement("bots.P2.metrics")
def test_metrics_show_the_pool_and_what_it_did(app: Engine) -> None:
    with app.connect() as one, app.connect():
        one.execute(text("SELECT pg_sleep(0.06)"))
        with pytest.raises(DBAPIError):
            one.execute(text("SELECT 1/0"))
        [busy] = pool_metrics()
    [idle] = pool_metrics()

    assert (busy.in_use, busy.limit, busy.connects, busy.statements, busy.slow, busy.failed) == (2, 2, 2, 1, 1, 1)
    assert (idle.in_use, idle.idle) == (0, 1)
    assert busy.seconds >= 0.06
    assert "of a test" not in busy.url


def test_a_nul_byte_is_a_named_error_that_says_where(library: Prepared, app: Engine) -> None:
    with Session(app) as session:
        with pytest.raises(TextError, match=r'^the value of "body" holds a NUL byte, which PostgreSQL cannot store'):
            session.execute(insert(Note).values({Note.body: "se\0cret"}))
        session.rollback()
        with pytest.raises(TextError, match=r'^the value of "body(_1)?" holds a NUL byte'):
            session.scalars(select(Note).where(Note.body == "se\0cret"))
        session.rollback()
        session.add_all([Note(body="fine"), Note(body="\0")])
        with pytest.raises(TextError, match=r'the value of "body(__\d)?" holds a NUL byte'):
            session.flush()
        session.rollback()
        session.commit()
        with pytest.raises(TextError, match=r"a text value holds a NUL byte"):
            session.connection().exec_driver_sql("SELECT %s", ("\0",))

    assert library.rows("SELECT FROM maps.notes") == []


def test_half_of_a_surrogate_pair_is_a_named_error_that_says_where(app: Engine) -> None:
    with Session(app) as session, pytest.raises(TextError, match=r'^the value of "body" holds half of a surr') as told:
        session.execute(insert(Note).values({Note.body: f"{SECRET} \ud800"}))

    assert SECRET not in str(told.value)


@pytest.mark.requirement("bots.P2.read-replicas", "bots.scalability.replicas")
def test_the_readonly_engine_writes_nothing_whatever_its_login_may_do(
    library: Prepared, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", route)
    with Session(readonly_engine()) as session, pytest.raises(InternalError, match="read-only transaction"):
        session.execute(insert(Note), [{"body": "x"}])
    with Session(engine()) as session:  # the same pool
        session.execute(insert(Note), [{"body": "x"}])
        session.commit()

    monkeypatch.setenv("DATABASE_READONLY_URL", library.readonly_url)
    with Session(readonly_engine()) as session:
        assert session.scalar(text("SELECT session_user")) == "maps_readonly_1"
        assert session.scalars(select(Note.body)).all() == ["x"]


def test_async_engines_are_one_a_url_and_loop_under_the_same_rules(
    route: str, library: Prepared, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", route)
    monkeypatch.setenv("DATABASE_READONLY_URL", library.readonly_url)

    async def work() -> int:
        source = async_engine(settings=QUICK)
        assert source is async_engine(route)
        with pytest.raises(DbError, match=r"exists with other settings.*dispose_async\(\) it first"):
            async_engine(route, settings=PoolSettings())
        async with AsyncSession(source) as session:
            await session.execute(text("SELECT pg_sleep(0.06), :value"), {"value": SECRET})
            with pytest.raises(TextError, match='the value of "value" holds a NUL byte'):
                await session.execute(text("SELECT :value"), {"value": "\0"})
        async with AsyncSession(async_readonly_engine()) as session:
            with pytest.raises(DBAPIError, match=r"read-only transaction|permission denied"):
                await session.execute(insert(Note), [{"body": "x"}])
        numbers = pool_metrics_async()
        assert (len(numbers), numbers[0].failed, numbers[0].limit) == (2, 1, 2)
        assert numbers[0].slow >= 1  # on a busy machine others are slow, too
        await dispose_async()
        assert pool_metrics_async() == []
        return id(source)

    asyncio.run(work())
    asyncio.run(work())
    assert "slow: " in caplog.text
    assert SECRET not in caplog.text


def test_an_async_engine_retries_without_stopping_the_loop() -> None:
    async def work() -> tuple[float, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        began = time.monotonic()
        source = async_engine("postgresql://x@127.0.0.1:1/x", settings=PoolSettings(patience=0.5))
        with pytest.raises(UnreachableError, match="nothing listens at"):
            await source.connect()
        ticking.cancel()
        await dispose_async()
        return time.monotonic() - began, ticks

    seconds, ticks = asyncio.run(work())

    assert 0.3 < seconds < 5
    assert ticks > 10
