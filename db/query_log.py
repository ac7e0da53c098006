"""What an engine's statements and connections do: a log without values, and numbers for monitoring.

Logger `db.queries` gets every statement at DEBUG and slow ones at WARNING: the statement's text with its placeholders,
how long it took and how many rows it touched. Values never reach it, whatever column they belong to; a literal that is
written into SQL text does, so pass values as parameters.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
import sqlalchemy
from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import QueuePool

from db.errors import TextError

log = logging.getLogger("db.queries")
NUL, SURROGATE = re.compile("\0"), re.compile("[\ud800-\udfff]")
_LONGEST = 2000  # characters of a statement in the log
_BEGAN = "db.query_log.began"  # in Connection.info
_counted: WeakKeyDictionary[sqlalchemy.Engine, _Counts] = WeakKeyDictionary()


@dataclass
class _Counts:
    """Of one engine since it was made. Threads may lose a count to each other now and then: it is for graphs."""

    statements: int = 0
    slow: int = 0
    failed: int = 0
    seconds: float = 0.0
    connects: int = 0


@dataclass(frozen=True)
class Metrics:
    """An engine's pool now, and its statements since it was made; `url` is redacted."""

    url: str
    in_use: int
    idle: int
    limit: int
    connects: int
    statements: int
    slow: int
    failed: int
    seconds: float


def watch(engine: sqlalchemy.Engine, slow: float) -> None:
    """Log and count `engine`'s statements; slow ones are those of `slow` seconds or more, none if it is 0."""
    counts = _counted[engine] = _Counts()

    @event.listens_for(engine, "before_cursor_execute")
    def before(connection: Connection, *_: object) -> None:
        connection.info[_BEGAN] = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def after(connection: Connection, cursor: Any, statement: str, *_: object) -> None:
        seconds = time.perf_counter() - connection.info[_BEGAN]
        counts.statements += 1
        counts.seconds += seconds
        is_slow = 0 < slow <= seconds
        counts.slow += is_slow
        level = logging.WARNING if is_slow else logging.DEBUG
        if log.isEnabledFor(level):
            text = " ".join(statement.split())[:_LONGEST]
            word = "slow: " if is_slow else ""
            log.log(level, "%s%.1f ms, %d rows: %s", word, seconds * 1000, cursor.rowcount, text)

    @event.listens_for(engine, "handle_error")
    def failed(context: ExceptionContext) -> None:
        counts.failed += 1
        error = context.original_exception
        if isinstance(error, psycopg.DataError) and error.sqlstate is None and "NUL" in str(error):
            raise TextError(
                f"{_place(context, NUL)} holds a NUL byte, which PostgreSQL cannot store: remove it"
            ) from None
        if isinstance(error, UnicodeEncodeError):
            raise TextError(f"{_place(context, SURROGATE)} holds half of a surrogate pair, which is no text") from None

    @event.listens_for(engine, "connect")
    def connected(*_: object) -> None:
        counts.connects += 1


def metrics(engine: sqlalchemy.Engine) -> Metrics:
    """Numbers of an engine that `watch` was called for."""
    counts, pool = _counted[engine], engine.pool
    queue = pool if isinstance(pool, QueuePool) else None
    return Metrics(
        url=engine.url.render_as_string(hide_password=True),
        in_use=queue.checkedout() if queue else 0,
        idle=queue.checkedin() if queue else 0,
        limit=queue.size() + queue._max_overflow if queue else 0,  # no public name
        connects=counts.connects,
        statements=counts.statements,
        slow=counts.slow,
        failed=counts.failed,
        seconds=counts.seconds,
    )


def _place(context: ExceptionContext, bad: re.Pattern[str]) -> str:
    """Which parameter of a statement has the bad character."""
    given = context.parameters if isinstance(context.parameters, list | tuple) else [context.parameters]
    for one in given:
        if isinstance(one, Mapping):
            for name, value in one.items():
                if isinstance(value, str) and bad.search(value):
                    return f'the value of "{name}"'
    return "a text value"
