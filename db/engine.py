"""One SQLAlchemy engine a URL, shared by the whole process, that survives a restart of the server.

The driver is psycopg 3; connecting is retried (db.connections), a connection is tested before it is lent (pre-ping) and
retired before a sleeping provider would cut it. Numbers come from the environment (db.settings).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.pool import NullPool

from db.connections import CONNECT_TIMEOUT, PATIENCE, explain, with_retries, without_rows
from db.errors import DbError
from db.query_log import Metrics, metrics, watch
from db.settings import PoolSettings
from db.urls import DatabaseURL

_engines: dict[DatabaseURL, tuple[sqlalchemy.Engine, PoolSettings]] = {}
_lock = threading.Lock()


def engine(url: str | None = None, *, settings: PoolSettings | None = None) -> sqlalchemy.Engine:
    """The engine of `url` (default: DATABASE_URL), the same object for every caller and thread.

    The first call decides the pool's settings (default: from the environment). Nothing connects before the first use.
    Raises URLError, SettingsError, and DbError where a later call asks for other settings; connections of the engine
    raise LoginError and UnreachableError.
    """
    parsed = DatabaseURL.parse(default_url() if url is None else url)
    with _lock:
        if parsed in _engines:
            existing, used = _engines[parsed]
            if settings is not None and settings != used:
                raise DbError(f"the engine of {parsed} exists with other settings: {used}; dispose() it first")
            return existing
        chosen = settings or PoolSettings.load()
        created = sqlalchemy.create_engine(parsed.sqlalchemy(), **pool_arguments(chosen))
        explain_failures(created, parsed, chosen.patience)
        watch(created, chosen.slow_query)
        _engines[parsed] = (created, chosen)
        return created


def readonly_engine(url: str | None = None, *, settings: PoolSettings | None = None) -> sqlalchemy.Engine:
    """The engine for reading: of `url`, or of DATABASE_READONLY_URL, or, where that is not set, of DATABASE_URL.

    Its transactions are read-only whatever the login may do: a write fails with SQLSTATE 25006.
    """
    source = engine(url or os.environ.get("DATABASE_READONLY_URL") or None, settings=settings)
    return source.execution_options(postgresql_readonly=True)


def pool_metrics() -> list[Metrics]:
    """Numbers of every shared engine of this process."""
    with _lock:
        return [metrics(existing) for existing, _ in _engines.values()]


def pool_arguments(settings: PoolSettings) -> dict[str, Any]:
    """What `create_engine` and `create_async_engine` get alike."""
    return {
        "pool_size": settings.size,
        "max_overflow": settings.limit - settings.size,
        "pool_timeout": settings.timeout,
        "pool_recycle": settings.recycle,
        "pool_pre_ping": True,
        "pool_use_lifo": True,  # busy connections stay few, so that the others may be retired
        "hide_parameters": True,  # an error's text ends in logs
        "connect_args": _connect_args(
            prepared_statements=settings.prepared_statements, connect_timeout=settings.connect_timeout
        ),
    }


def unpooled(
    url: DatabaseURL, *, ca_file: str | Path | None = None, name: str = "pgstack", patience: float = PATIENCE
) -> sqlalchemy.Engine:
    """An engine of its own that keeps no connection, for a job that runs once: migrations and seeds."""
    arguments: dict[str, Any] = {**_connect_args(), "application_name": name}
    if ca_file is not None:
        arguments["sslrootcert"] = str(ca_file)
    created = sqlalchemy.create_engine(
        url.sqlalchemy(), poolclass=NullPool, hide_parameters=True, connect_args=arguments
    )
    explain_failures(created, url, patience)
    return created


def dispose() -> None:
    """Close all shared engines and forget them; for the end of a process and between tests."""
    with _lock:
        for existing, _ in _engines.values():
            existing.dispose()
        _engines.clear()


def default_url() -> str:
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        raise DbError('DATABASE_URL is not set: eval "$(pgstack env APP)" sets it')
    return url


def _connect_args(
    *, prepared_statements: bool = False, connect_timeout: int = CONNECT_TIMEOUT
) -> Mapping[str, int | None]:
    # psycopg prepares a statement at its fifth use; behind a transaction pooler that does not track prepared
    # statements the next server connection would not know it (psycopg manual, "Prepared statements")
    return {"prepare_threshold": 5 if prepared_statements else None, "connect_timeout": connect_timeout}


def explain_failures(
    target: sqlalchemy.Engine, url: DatabaseURL, patience: float, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Connect with retries, and fail with db.errors' one clear line; no later error's text shows a row."""

    @event.listens_for(target, "do_connect")
    def connect(dialect: Dialect, _record: object, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        def attempt() -> Any:
            try:
                return dialect.connect(*arguments, **keywords)
            except psycopg.OperationalError as error:
                raise explain(error, url) from None

        return with_retries(attempt, patience=patience, sleep=sleep)

    @event.listens_for(target, "handle_error")
    def failed(context: ExceptionContext) -> None:
        cause, shown = context.original_exception, context.sqlalchemy_exception
        if isinstance(cause, psycopg.Error) and shown is not None:
            kind = type(cause)
            shown.args = (f"({kind.__module__}.{kind.__name__}) {without_rows(cause)}",)


def _forget_parents_connections() -> None:
    """A forked child must neither talk on its parent's sockets nor close them (SQLAlchemy manual, pooling and fork)."""
    global _lock  # noqa: PLW0603  # the parent's lock may be held by a thread that the child does not have
    _lock = threading.Lock()
    for existing, _ in _engines.values():
        existing.dispose(close=False)


os.register_at_fork(after_in_child=_forget_parents_connections)
