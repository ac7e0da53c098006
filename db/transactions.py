"""Units of work that are retried as a whole, and savepoints inside them.

What is retried, and why nothing else: a serialization failure, a deadlock, a lock that was not granted in time and a
lost connection leave nothing behind until COMMIT was sent (PostgreSQL manual, 13.5 and appendix A). Once it was, a
lost connection says nothing about the outcome: that is an AmbiguousCommitError and only the caller can look.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import psycopg
import sqlalchemy
import tenacity
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, SessionTransaction, sessionmaker

from db.errors import AmbiguousCommitError, RetriesExhaustedError, TransactionError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

T = TypeVar("T")
Isolation = Literal["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]

# serialization_failure, deadlock_detected, lock_not_available, admin_shutdown, crash_shutdown; class 08 is added below
_TRANSIENT = frozenset({"40001", "40P01", "55P03", "57P01", "57P02"})
_UNKNOWN = frozenset({"40003", "57P01", "57P02", "57P03"})  # an answer to COMMIT that does not tell its outcome
_MOST_ATTEMPTS = 100  # beyond it a unit of work is not unlucky but wrong
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0  # seconds, random below a doubling bound, so that rivals do not meet again


def run(
    source: sqlalchemy.Engine | sessionmaker[Session],
    work: Callable[[Session], T],
    *,
    attempts: int = 5,
    isolation: Isolation | None = None,
) -> T:
    """Call `work` with a session of its own, commit, and return what it returned.

    After a transient failure everything `work` did is rolled back and it is called again, at most `attempts` times in
    all, so whatever it does outside the database happens again too. Any other exception rolls back and is raised.

    Raises RetriesExhaustedError after the last attempt, AmbiguousCommitError where a connection was lost during
    COMMIT, and TransactionError where `work` commits, rolls back or goes on after a failed statement.
    """
    new = _sessions(source)
    retrying = tenacity.Retrying(**_policy(attempts))

    def once() -> T:
        with new() as session:
            unit = _Unit(session, isolation)
            try:
                result = work(session)
                unit.check(result)
            except Exception as error:
                unit.refuse_retry(error)
                raise
            unit.commit()
            return result

    try:
        return retrying(once)
    except (DBAPIError, psycopg.Error) as error:
        raise _final(error, attempts) from error


async def run_async(
    source: AsyncEngine | async_sessionmaker[AsyncSession],
    work: Callable[[AsyncSession], Awaitable[T]],
    *,
    attempts: int = 5,
    isolation: Isolation | None = None,
) -> T:
    """`run` for a coroutine function and an async engine; the same rules and errors."""
    new = _async_sessions(source)
    retrying = tenacity.AsyncRetrying(**_policy(attempts))

    async def once() -> T:
        async with new() as session:
            unit = await session.run_sync(_Unit, isolation)
            try:
                result = await work(session)
                await session.run_sync(lambda _: unit.check())
            except Exception as error:
                unit.refuse_retry(error)
                raise
            await session.run_sync(lambda _: unit.commit())
            return result

    try:
        return await retrying(once)
    except (DBAPIError, psycopg.Error) as error:
        raise _final(error, attempts) from error


@contextmanager
def savepoint(session: Session) -> Iterator[SessionTransaction]:
    """What fails inside is undone alone, and the transaction around it can go on. The exception is raised all the same.

    A statement that fails outside of a savepoint spoils its whole transaction.
    """
    with session.begin_nested() as inner:
        yield inner


@asynccontextmanager
async def savepoint_async(session: AsyncSession) -> AsyncIterator[None]:
    """`savepoint` for an async session."""
    async with session.begin_nested():
        yield


def retryable(error: BaseException) -> bool:
    """Whether a unit of work that met `error` before COMMIT may succeed when it is run again."""
    cause = _driver_error(error)
    if cause is None:
        return False
    state = cause.sqlstate
    if state is None:  # the driver's own: the connection was cut without a word, or a value it cannot send
        return isinstance(cause, psycopg.OperationalError)
    return state in _TRANSIENT or state.startswith("08")


class _Unit:
    """One attempt: its session's outermost transaction, which nobody but us may end."""

    def __init__(self, session: Session, isolation: Isolation | None) -> None:
        self._session = session
        self._transaction = session.begin()
        if isolation is not None:  # psycopg says it in BEGIN, so that no pooled connection keeps it
            session.connection(execution_options={"isolation_level": isolation})

    def check(self, result: object = None) -> None:
        """Send what is pending and refuse what COMMIT would silently turn into a rollback, or into nothing."""
        if inspect.iscoroutine(result):
            result.close()
            raise TransactionError("the unit of work is a coroutine function: it needs run_async()")
        if self._ended():
            raise TransactionError("the unit of work ended its own transaction: leave commit and rollback to run()")
        self._session.flush()
        if self._status() is TransactionStatus.INERROR:
            raise TransactionError(
                "a statement of the unit of work failed and its error was hidden: use savepoint(session) around it"
            )

    def refuse_retry(self, error: Exception) -> None:
        """Where `work` committed a part, running it again would write that part twice."""
        if self._ended() and retryable(error):
            raise TransactionError(
                "the unit of work ended its own transaction and then failed: leave commit and rollback to run()"
            ) from error

    def commit(self) -> None:
        """Raises AmbiguousCommitError unless the server said that nothing was written."""
        try:
            self._session.commit()
        except (DBAPIError, psycopg.Error) as error:
            if _answered(error):
                raise
            raise AmbiguousCommitError(
                "the connection was lost during COMMIT: look whether the unit of work is written before you repeat it"
            ) from error

    def _ended(self) -> bool:
        return self._session.get_transaction() is not self._transaction

    def _status(self) -> TransactionStatus:
        connection: psycopg.Connection[Any] = self._session.connection().connection.driver_connection  # type: ignore[assignment]  # an Engine of psycopg
        return connection.info.transaction_status


def _driver_error(error: BaseException) -> psycopg.Error | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return cause if isinstance(cause, psycopg.Error) else None


def _answered(error: BaseException) -> bool:
    """Whether the server itself refused the COMMIT: then nothing was written."""
    cause = _driver_error(error)
    state = cause.sqlstate if cause is not None else None
    return state is not None and state not in _UNKNOWN and not state.startswith("08")


def _policy(attempts: int) -> dict[str, Any]:
    if not 1 <= attempts <= _MOST_ATTEMPTS:
        raise TransactionError(f"attempts is {attempts}: give a number from 1 to {_MOST_ATTEMPTS}")
    return {
        "retry": tenacity.retry_if_exception(retryable),
        "stop": tenacity.stop_after_attempt(attempts),
        "wait": tenacity.wait_random_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT),
        "reraise": True,
    }


def _final(error: DBAPIError | psycopg.Error, attempts: int) -> BaseException:
    if not retryable(error):
        return error
    cause = _driver_error(error)
    state = cause.sqlstate if cause is not None else None
    said = " ".join(str(cause).split())
    return RetriesExhaustedError(f"gave up after {attempts} attempts: SQLSTATE {state}, {said}", sqlstate=state)


def _sessions(source: sqlalchemy.Engine | sessionmaker[Session]) -> Callable[[], Session]:
    # what `work` returns stays readable after its session is gone
    return (lambda: Session(source, expire_on_commit=False)) if isinstance(source, sqlalchemy.Engine) else source


def _async_sessions(source: AsyncEngine | async_sessionmaker[AsyncSession]) -> Callable[[], AsyncSession]:
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession  # noqa: PLC0415  # greenlet, only where it is used

    return (lambda: AsyncSession(source, expire_on_commit=False)) if isinstance(source, AsyncEngine) else source
