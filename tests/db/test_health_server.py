"""The health endpoint under a real ASGI server, in a process of its own, asked over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tenacity
from psycopg import sql

from db import migrations
from tests.db.conftest import Prepare, Prepared

CHECKOUT = Path(__file__).parents[2]
Ask = Callable[[], tuple[int, Any]]


@pytest.fixture(scope="module")
def databases(prepare: Prepare) -> dict[str, Prepared]:
    made = {app: prepare(app) for app in ("maps", "dovvybuddy")}
    for app, prepared in made.items():
        migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    return made


@pytest.fixture(scope="module")
def ask(databases: dict[str, Prepared]) -> Iterator[Ask]:
    """`uvicorn db.health:app`, started as db/README.md says: GET it, for the status and the answer."""
    urls = {f"{app.upper()}_DATABASE_URL": prepared.app_url for app, prepared in databases.items()}
    environ = {name: value for name, value in os.environ.items() if not name.endswith("DATABASE_URL")} | urls
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, number = listening.getsockname()[1], listening.fileno()
        command = [sys.executable, "-m", "uvicorn", "db.health:app", "--fd", str(number), "--log-level", "warning"]
        server = subprocess.Popen(command, cwd=CHECKOUT, env=environ, pass_fds=[number])

    def get() -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:  # our own
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    yield get
    server.terminate()
    assert server.wait(timeout=20) in (0, -15)  # it also ends as it should


@tenacity.retry(stop=tenacity.stop_after_delay(20), wait=tenacity.wait_fixed(0.1), reraise=True)
def until(status: int, ask: Ask) -> Any:
    """An answer is good for a second, so a change shows a little later."""
    answered, body = ask()
    assert answered == status
    return body


def allow(prepared: Prepared, *, connections: bool) -> None:
    name = prepared.access.database
    with prepared.server.connect() as admin:
        admin.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), sql.Literal(connections))
        )


def test_it_answers_200_with_the_latency_and_revision_of_each_app(ask: Ask, databases: dict[str, Prepared]) -> None:
    body = until(200, ask)

    assert body["status"] == "ok"
    for app in databases:
        assert body["apps"][app]["status"] == "ok"
        assert 0 < body["apps"][app]["latency_ms"] < 3000
        assert body["apps"][app]["revision"] == migrations.revisions(app)[-1].revision


def test_it_answers_503_while_one_database_is_away_and_200_once_it_is_back(
    ask: Ask, databases: dict[str, Prepared]
) -> None:
    until(200, ask)
    allow(databases["maps"], connections=False)
    try:
        body = until(503, ask)
    finally:
        allow(databases["maps"], connections=True)

    assert body["status"] == "failing"
    assert body["apps"]["maps"] == {"status": "unreachable", "latency_ms": None, "revision": None}
    assert body["apps"]["dovvybuddy"]["status"] == "ok"
    assert until(200, ask)["status"] == "ok"


def test_it_answers_503_while_an_app_is_not_migrated(ask: Ask, databases: dict[str, Prepared]) -> None:
    prepared = databases["dovvybuddy"]
    migrations.downgrade("dovvybuddy", prepared.owner_url, target="base", report=lambda _: None)
    try:
        body = until(503, ask)
    finally:
        migrations.upgrade("dovvybuddy", prepared.owner_url, report=lambda _: None)

    assert body["apps"]["dovvybuddy"]["status"] == "not migrated"
    assert body["apps"]["dovvybuddy"]["revision"] is None
