"""db.engine for asyncio: one engine a URL and event loop, under the same rules.

Needs greenlet (`sqlalchemy[asyncio]`), which db.engine does not load.
"""

from __future__ import annotations

import asyncio
import os
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from db.engine import default_url, explain_failures, pool_arguments
from db.errors import DbError
from db.query_log import Metrics, metrics, watch
from db.settings import PoolSettings
from db.urls import DatabaseURL

# connections belong to the loop that opened them
_engines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[DatabaseURL, tuple[AsyncEngine, PoolSettings]]] = (
    WeakKeyDictionary()
)


def async_engine(url: str | None = None, *, settings: PoolSettings | None = None) -> AsyncEngine:
    """The engine of `url` (default: DATABASE_URL) in the running event loop; see db.engine.engine.

    `await dispose_async()` before the loop ends. Raises also RuntimeError where no event loop runs.
    """
    known = _engines.setdefault(asyncio.get_running_loop(), {})
    parsed = DatabaseURL.parse(default_url() if url is None else url)
    if parsed in known:
        existing, used = known[parsed]
        if settings is not None and settings != used:
            raise DbError(f"the engine of {parsed} exists with other settings: {used}; dispose_async() it first")
        return existing
    chosen = settings or PoolSettings.load()
    created = create_async_engine(parsed.sqlalchemy(), **pool_arguments(chosen))
    # waiting for a server that starts must not stop the loop's other tasks
    explain_failures(created.sync_engine, parsed, chosen.patience, lambda it: await_only(asyncio.sleep(it)))
    watch(created.sync_engine, chosen.slow_query)
    known[parsed] = (created, chosen)
    return created


def async_readonly_engine(url: str | None = None, *, settings: PoolSettings | None = None) -> AsyncEngine:
    """See db.engine.readonly_engine."""
    source = async_engine(url or os.environ.get("DATABASE_READONLY_URL") or None, settings=settings)
    return source.execution_options(postgresql_readonly=True)


def pool_metrics_async() -> list[Metrics]:
    """Numbers of every engine of the running event loop."""
    return [metrics(it.sync_engine) for it, _ in _engines.get(asyncio.get_running_loop(), {}).values()]


async def dispose_async() -> None:
    """Close the running event loop's engines and forget them."""
    for existing, _ in _engines.pop(asyncio.get_running_loop(), {}).values():
        await existing.dispose()
