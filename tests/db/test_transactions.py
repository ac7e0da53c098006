"""Units of work on a real server, as the application's login, directly and through a transaction pooler."""

import asyncio
import contextlib
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from db.engine import engine
from db.errors import AmbiguousCommitError, RetriesExhaustedError, TransactionError
from db.transactions import retryable, run, run_async, savepoint, savepoint_async
from db.urls import DatabaseURL
from tests.db.conftest import Prepared
from tests.db.library import ONE, Note, Organization

pytestmark = pytest.mark.usefixtures("clean")

RAISE = "DO $$ BEGIN RAISE EXCEPTION 'of a test' USING ERRCODE = '{}'; END $$"
# a transaction that dies while it commits: the deferred trigger runs inside COMMIT
DEFERRED = """
CREATE FUNCTION maps.at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.body = 'lost' THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
        PERFORM pg_sleep(5);
    ELSIF new.body = 'refused' THEN
        RAISE EXCEPTION 'of a test' USING ERRCODE = '23514';
    ELSIF new.body = 'rival' AND (SELECT last_value FROM maps.tries) < 3 THEN
        PERFORM nextval('maps.tries');
        RAISE EXCEPTION 'of a test' USING ERRCODE = '40001';
    END IF;
    RETURN NULL;
END $$;
CREATE SEQUENCE maps.tries;
GRANT ALL ON SEQUENCE maps.tries TO maps_app;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON maps.notes DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION maps.at_commit();
"""


@pytest.fixture(scope="module")
def deferred(library: Prepared) -> Prepared:
    with library.admin() as admin:
        admin.execute(DEFERRED)
    return library


class Work:
    """Writes a note, then fails with each of `failures` in turn until none is left."""

    def __init__(self, *failures: str) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self, session: Session) -> int:
        self.calls += 1
        note = Note(body="written")
        session.add(note)
        session.flush()
        if self.failures:
            session.execute(text(self.failures.pop(0)))
        return note.id

    async def in_async(self, session: AsyncSession) -> int:
        return await session.run_sync(self)


Runner = Callable[..., object]


def sync_runner(url: str, work: Work, attempts: int) -> int:
    return run(engine(url), work, attempts=attempts)


def async_runner(url: str, work: Work, attempts: int) -> int:
    async def main() -> int:
        source = create_async_engine(DatabaseURL.parse(url).sqlalchemy(), connect_args={"prepare_threshold": None})
        try:
            return await run_async(source, work.in_async, attempts=attempts)
        finally:
            await source.dispose()

    return asyncio.run(main())


BOTH = pytest.mark.parametrize("runner", [sync_runner, async_runner])


def notes(library: Prepared) -> list[str]:
    return [body for (body,) in library.rows("SELECT body FROM maps.notes ORDER BY id")]


@BOTH
def test_what_work_returns_is_returned_and_what_it_wrote_is_committed(
    library: Prepared, route: str, runner: Runner
) -> None:
    work = Work()

    assert isinstance(runner(route, work, 5), int)
    assert (work.calls, notes(library)) == (1, ["written"])


@BOTH
@pytest.mark.parametrize(
    "failure",
    [RAISE.format(state) for state in ("40001", "40P01", "55P03", "57P01", "57P02", "08006")]
    + ["SELECT pg_terminate_backend(pg_backend_pid())"],
)
@pytest.mark.requirement("bots.reliability.retry", "bots.layout.transactions")
def test_a_transient_failure_runs_the_whole_unit_again(
    library: Prepared, route: str, runner: Runner, failure: str
) -> None:
    work = Work(failure, failure)

    runner(route, work, 5)

    assert (work.calls, notes(library)) == (3, ["written"])


@BOTH
def test_the_last_attempts_failure_is_named_and_nothing_is_written(
    library: Prepared, route: str, runner: Runner
) -> None:
    work = Work(*[RAISE.format("40001")] * 9)

    with pytest.raises(RetriesExhaustedError, match="gave up after 3 attempts: SQLSTATE 40001, of a test") as failure:
        runner(route, work, 3)

    assert failure.value.sqlstate == "40001"
    assert "\n" not in str(failure.value)
    assert (work.calls, notes(library)) == (3, [])


@BOTH
@pytest.mark.parametrize("failure", ["SELECT 1/0", RAISE.format("23505")])
def test_another_failure_is_raised_as_it_is_after_one_attempt(
    library: Prepared, route: str, runner: Runner, failure: str
) -> None:
    work = Work(failure)

    with pytest.raises(DBAPIError, match=r"division by zero|of a test"):
        runner(route, work, 5)

    assert (work.calls, notes(library)) == (1, [])


@BOTH
@pytest.mark.requirement("bots.P0.transactions")
def test_an_exception_of_the_work_itself_rolls_back(library: Prepared, route: str, runner: Runner) -> None:
    class Failing(Work):
        def __call__(self, session: Session) -> int:
            super().__call__(session)
            raise LookupError("of a test")

    with pytest.raises(LookupError, match="of a test"):
        runner(route, Failing(), 5)

    assert notes(library) == []


@BOTH
def test_a_connection_lost_during_commit_is_ambiguous_and_is_not_repeated(
    deferred: Prepared, route: str, runner: Runner
) -> None:
    class Lost(Work):
        def __call__(self, session: Session) -> int:
            self.calls += 1
            session.add(Note(body="lost"))
            return 0

    work = Lost()
    with pytest.raises(AmbiguousCommitError, match="the connection was lost during COMMIT: look whether"):
        runner(route, work, 5)

    assert (work.calls, notes(deferred)) == (1, [])


@BOTH
def test_a_commit_that_the_server_refused_is_no_ambiguity(deferred: Prepared, route: str, runner: Runner) -> None:
    class Refused(Work):
        def __call__(self, session: Session) -> int:
            session.add(Note(body="refused"))
            return 0

    with pytest.raises(IntegrityError, match="of a test"):
        runner(route, Refused(), 5)

    assert notes(deferred) == []


@BOTH
def test_a_serialization_failure_at_commit_is_repeated(deferred: Prepared, route: str, runner: Runner) -> None:
    class Rival(Work):
        def __call__(self, session: Session) -> int:
            self.calls += 1
            session.add(Note(body="rival"))
            return 0

    with deferred.admin() as admin:
        admin.execute("ALTER SEQUENCE maps.tries RESTART")
    work = Rival()
    runner(route, work, 5)

    assert (work.calls, notes(deferred)) == (4, ["rival"])


@BOTH
@pytest.mark.parametrize("ending", ["commit", "rollback"])
def test_work_may_not_end_its_own_transaction(route: str, runner: Runner, ending: str) -> None:
    class Ending(Work):
        def __call__(self, session: Session) -> int:
            super().__call__(session)
            getattr(session, ending)()
            return 0

    with pytest.raises(TransactionError, match="ended its own transaction: leave commit and rollback to run"):
        runner(route, Ending(), 5)


@BOTH
def test_work_that_committed_a_part_is_not_repeated(library: Prepared, route: str, runner: Runner) -> None:
    class Ending(Work):
        def __call__(self, session: Session) -> int:
            super().__call__(session)
            session.commit()
            session.execute(text(RAISE.format("40001")))
            return 0

    work = Ending()
    with pytest.raises(TransactionError, match="ended its own transaction and then failed"):
        runner(route, work, 5)

    assert (work.calls, notes(library)) == (1, ["written"])


@BOTH
def test_a_hidden_failure_is_not_committed_as_nothing(library: Prepared, route: str, runner: Runner) -> None:
    """COMMIT of a failed transaction is answered with ROLLBACK and no error."""

    class Hiding(Work):
        def __call__(self, session: Session) -> int:
            super().__call__(session)
            with pytest.raises(DBAPIError):
                session.execute(text("SELECT 1/0"))
            return 0

    with pytest.raises(TransactionError, match=r"its error was hidden: use savepoint\(session\) around it"):
        runner(route, Hiding(), 5)

    assert notes(library) == []


def test_a_coroutine_function_is_refused_where_it_would_never_run(library: Prepared, route: str) -> None:
    calls = []

    async def work(session: Session) -> None:
        calls.append(session)

    with pytest.raises(TransactionError, match=r"is a coroutine function: it needs run_async\(\)"):
        run(engine(route), work)  # type: ignore[unused-coroutine]  # the mistake

    assert calls == []
    assert notes(library) == []


@BOTH
@pytest.mark.parametrize("attempts", [0, -1, 101])
def test_attempts_out_of_bounds_are_refused_before_anything_runs(route: str, runner: Runner, attempts: int) -> None:
    work = Work()

    with pytest.raises(TransactionError, match=f"attempts is {attempts}: give a number from 1 to 100"):
        runner(route, work, attempts)

    assert work.calls == 0


def test_serializable_units_that_collide_all_come_through(library: Prepared, route: str) -> None:
    """Each reads the sum of all and writes one more: without serialization two would write the same rank."""

    def add(session: Session) -> None:
        highest = session.scalar(select(func.max(Note.rank))) or 0
        # of its own: the server may tell a key's collision before the serialization failure (manual, 13.2.3)
        session.add(Note(body=uuid.uuid4().hex, rank=highest + 1))

    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            jobs = [pool.submit(run, engine(route), add, attempts=50, isolation="SERIALIZABLE") for _ in range(4)]
            [job.result() for job in jobs]

    assert library.rows("SELECT rank FROM maps.notes ORDER BY rank") == [(number,) for number in range(1, 13)]


def test_the_isolation_of_one_unit_does_not_stay_on_the_connection(route: str) -> None:
    level = text("SELECT current_setting('transaction_isolation')")

    assert run(engine(route), lambda it: it.scalar(level), isolation="SERIALIZABLE") == "serializable"
    assert run(engine(route), lambda it: it.scalar(level)) == "read committed"


def test_two_units_that_lock_each_other_out_both_finish(route: str) -> None:
    meet = threading.Barrier(2)
    names = {1: "One", 2: "Two"}

    def touch(session: Session, first: int, second: int) -> None:
        lock = text("UPDATE maps.organizations SET name = name WHERE name = :name")
        session.execute(lock, {"name": names[first]})
        if not meet.broken:
            with contextlib.suppress(threading.BrokenBarrierError):
                meet.wait(timeout=5)
            meet.abort()  # only the first time
        session.execute(lock, {"name": names[second]})

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(run, engine(route), lambda it, p=pair: touch(it, *p)) for pair in ((1, 2), (2, 1))]
        [job.result() for job in jobs]


def test_a_session_factory_keeps_its_own_settings(route: str) -> None:
    factory = sessionmaker(engine(route), info={"mine": 1})

    assert run(factory, lambda session: session.info["mine"]) == 1


def test_an_object_that_is_returned_can_be_read_afterwards(route: str) -> None:
    found = run(engine(route), lambda session: session.get_one(Organization, ONE))

    assert found.name == "One"


def test_a_savepoint_undoes_only_what_is_inside(library: Prepared, route: str) -> None:
    def work(session: Session) -> None:
        session.add(Note(body="outside"))
        with pytest.raises(IntegrityError), savepoint(session):
            session.add_all([Note(body="twice"), Note(body="twice")])
        with savepoint(session) as inner:
            session.add(Note(body="inside"))
            assert inner.nested

    run(engine(route), work)

    assert notes(library) == ["outside", "inside"]


def test_an_async_savepoint_undoes_only_what_is_inside(library: Prepared, route: str) -> None:
    async def work(session: AsyncSession) -> None:
        session.add(Note(body="outside"))
        with pytest.raises(IntegrityError):
            async with savepoint_async(session):
                session.add_all([Note(body="twice"), Note(body="twice")])

    async def main() -> None:
        source = create_async_engine(DatabaseURL.parse(route).sqlalchemy(), connect_args={"prepare_threshold": None})
        await run_async(async_sessionmaker(source), work)
        await source.dispose()

    asyncio.run(main())

    assert notes(library) == ["outside"]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), True),
        (psycopg.errors.SerializationFailure("x"), True),
        (psycopg.errors.ConnectionFailure("x"), True),
        (psycopg.errors.UniqueViolation("x"), False),
        (psycopg.DataError("a value the driver cannot send"), False),
        (LookupError("no database in it"), False),
    ],
)
def test_only_what_another_attempt_may_cure_is_retryable(error: Exception, verdict: bool) -> None:
    assert retryable(error) is verdict
    assert retryable(DBAPIError("SELECT 1", None, error)) is verdict
