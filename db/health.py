"""`db.health:app`: an ASGI application, without a web framework, that says whether the databases answer.

    uvicorn db.health:app

Every GET is answered with 200, or 503 where a database does not answer or has no schema of its app, and

    {"status": "ok", "apps": {"maps": {"status": "ok", "latency_ms": 1.9, "revision": "0003_readers_see_no_tokens"}}}

It asks the databases of DATABASE_URL and of every <APP>_DATABASE_URL for the apps that live in them; <APP>'s has to be
among those of its own. Why one does not answer is logged by `db.health` and not told to the caller.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Literal, TypedDict

import psycopg
from psycopg import sql

from db import apps
from db.connections import explain
from db.errors import DbError
from db.urls import DatabaseURL

log = logging.getLogger("db.health")
PATIENCE = 3.0  # seconds for one answer: a load balancer gives up after about five
_KEPT = 1.0  # seconds an answer is good for, so that a burst of requests is one question
_MILLISECONDS = 1000

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AppHealth(TypedDict):
    """`latency_ms` is of one query, None where no answer came; `revision` None where nothing is migrated."""

    status: Literal["ok", "unreachable", "not migrated"]
    latency_ms: float | None
    revision: str | None


class Health(TypedDict):
    """Of all apps together and each by its name."""

    status: Literal["ok", "failing"]
    apps: dict[str, AppHealth]


async def check(environ: Mapping[str, str] | None = None) -> Health:
    """Ask every database once, all at the same time, each for at most 3 seconds."""
    values = os.environ if environ is None else environ
    wanted = {app: url for app in apps.names() if (url := values.get(f"{app.upper()}_DATABASE_URL"))}
    if shared := values.get("DATABASE_URL"):
        wanted["DATABASE_URL"] = shared
    answers = await asyncio.gather(*(_ask(name, url) for name, url in wanted.items()))
    found: dict[str, AppHealth] = {}
    for part in answers:
        for name, answer in part.items():  # of two answers about one app, the bad one
            if name not in found or found[name]["status"] == "ok":
                found[name] = answer
    fine = bool(found) and all(it["status"] == "ok" for it in found.values())
    return {"status": "ok" if fine else "failing", "apps": dict(sorted(found.items()))}


class _App:
    """The ASGI application; one answer serves the requests of a second."""

    def __init__(self) -> None:
        self._answer: Health | None = None
        self._at = 0.0
        self._asking: asyncio.Task[Health] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            if scope["method"] not in ("GET", "HEAD"):
                await _respond(send, 405, b"", [(b"allow", b"GET, HEAD")])
                return
            health = await self._current()
            body = json.dumps(health).encode()
            status = 200 if health["status"] == "ok" else 503
            await _respond(send, status, b"" if scope["method"] == "HEAD" else body, [])

    async def _current(self) -> Health:
        if self._answer is not None and time.monotonic() - self._at <= _KEPT:
            return self._answer
        asking = self._asking
        if asking is None or asking.done() or asking.get_loop() is not asyncio.get_running_loop():
            asking = self._asking = asyncio.create_task(check())
        answer = await asyncio.shield(asking)  # a client that hangs up takes nobody else's answer away
        self._answer, self._at = answer, time.monotonic()
        return answer


app = _App()


async def _ask(name: str, text: str) -> dict[str, AppHealth]:
    """The apps in one database and the one that its variable names, even where it is not there or does not answer."""
    down: dict[str, AppHealth] = {name: {"status": "unreachable", "latency_ms": None, "revision": None}}
    try:
        url = DatabaseURL.parse(text)
        return await asyncio.wait_for(_revisions(name, url), PATIENCE)
    except TimeoutError:
        log.warning("%s did not answer within %.0f s", name, PATIENCE)
    except (DbError, psycopg.Error) as error:
        log.warning("%s does not answer: %s", name, error)
    return down


async def _revisions(name: str, url: DatabaseURL) -> dict[str, AppHealth]:
    keywords: dict[str, Any] = {"connect_timeout": int(PATIENCE), "application_name": "db.health", **url.conninfo()}
    try:
        connection = await psycopg.AsyncConnection.connect(**keywords, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise explain(error, url) from None
    async with connection:
        began = time.perf_counter()
        await connection.execute("SELECT 1")
        latency = round((time.perf_counter() - began) * _MILLISECONDS, 2)
        rows = await connection.execute(
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relname = 'alembic_version' AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT')"
            " ORDER BY 1"
        )
        schemas = [schema for (schema,) in await rows.fetchall()]
        found: dict[str, AppHealth] = {}
        for schema in schemas:
            cursor = await connection.execute(
                sql.SQL("SELECT max(version_num) FROM {}").format(sql.Identifier(schema, "alembic_version"))
            )
            row = await cursor.fetchone()
            revision = row[0] if row else None
            found[schema] = {
                "status": "not migrated" if revision is None else "ok",
                "latency_ms": latency,
                "revision": revision,
            }
    if not found or (name in apps.names() and name not in found):
        log.warning("%s: its database has no schema that is migrated", name)
        found[name] = {"status": "not migrated", "latency_ms": latency, "revision": None}
    return found


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    headers = [*headers, (b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
