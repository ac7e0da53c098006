"""The health endpoint, called as an ASGI server calls it."""

import asyncio
import json
import socket
from collections.abc import MutableMapping
from typing import Any

import pytest

from db import health, migrations
from db.health import PATIENCE, app, check
from tests.db.conftest import Prepare, Prepared

Message = MutableMapping[str, Any]


@pytest.fixture(scope="module")
def maps(prepare: Prepare) -> Prepared:
    prepared = prepare("maps")
    migrations.upgrade("maps", prepared.owner_url, report=lambda _: None)
    return prepared


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is kept from the test before, and no URL comes from outside."""
    monkeypatch.setattr(app, "_answer", None)
    monkeypatch.delenv("DATABASE_URL", raising=False)


def get(*, method: str = "GET") -> tuple[int, dict[str, Any], dict[bytes, bytes]]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": method, "path": "/"}, receive, send))
    body = sent[1]["body"]
    return sent[0]["status"], json.loads(body) if body else {}, dict(sent[0]["headers"])


def test_a_database_that_answers_is_200_with_latency_and_revision(
    maps: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAPS_DATABASE_URL", maps.app_url)

    status, body, headers = get()

    assert status == 200
    latency = body["apps"]["maps"].pop("latency_ms")
    assert 0 < latency < 1000
    newest = migrations.revisions("maps")[-1].revision
    assert body == {"status": "ok", "apps": {"maps": {"status": "ok", "revision": newest}}}
    assert headers[b"content-type"] == b"application/json"
    assert get(method="HEAD")[:2] == (200, {})


def test_the_apps_of_a_shared_database_are_found_by_their_schemas(
    maps: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", maps.readonly_url)

    assert list(get()[1]["apps"]) == ["maps"]


def test_one_database_that_is_away_is_503_and_the_others_are_still_told(
    maps: Prepared, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MAPS_DATABASE_URL", maps.app_url)
    monkeypatch.setenv("DOVVYBUDDY_DATABASE_URL", "postgresql://someone:secret@127.0.0.1:1/away")

    status, body, _ = get()

    assert status == 503
    assert (body["status"], body["apps"]["maps"]["status"]) == ("failing", "ok")
    assert body["apps"]["dovvybuddy"] == {"status": "unreachable", "latency_ms": None, "revision": None}
    assert "someone" not in json.dumps(body)  # the log tells, the endpoint does not
    assert "nothing listens at 127.0.0.1:1" in caplog.text
    assert "secret" not in caplog.text


def test_a_server_that_accepts_and_says_nothing_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(health, "PATIENCE", 0.2)
        monkeypatch.setenv("MAPS_DATABASE_URL", f"postgresql://x@127.0.0.1:{silent.getsockname()[1]}/x")
        assert get()[0] == 503
    assert PATIENCE < 5


def test_a_database_without_a_schema_is_503(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOVVYBUDDY_DATABASE_URL", prepare("dovvybuddy").app_url)

    status, body, _ = get()

    assert (status, body["apps"]["dovvybuddy"]["status"]) == (503, "not migrated")


def test_an_app_whose_url_leads_into_another_apps_database_is_503(
    maps: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTS_DATABASE_URL", maps.app_url)

    status, body, _ = get()

    assert (status, body["status"], body["apps"]["maps"]["status"]) == (503, "failing", "ok")
    assert body["apps"]["bots"].pop("latency_ms") > 0
    assert body["apps"]["bots"] == {"status": "not migrated", "revision": None}


def test_a_bad_answer_about_an_app_is_not_covered_by_a_good_one(
    prepare: Prepare, maps: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", maps.app_url)
    monkeypatch.setenv("MAPS_DATABASE_URL", prepare("maps").app_url)

    assert get()[0] == 503


@pytest.mark.parametrize("url", ["", "no url", "postgresql://x:secret@[/x"])
def test_no_or_a_malformed_url_is_503(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MAPS_DATABASE_URL", url)

    assert get()[0] == 503
    assert "secret" not in caplog.text


def test_requests_of_one_second_are_one_question(maps: Prepared) -> None:
    calls = 0

    async def counted() -> health.Health:
        nonlocal calls
        calls += 1
        return await check({"MAPS_DATABASE_URL": maps.app_url})

    async def many() -> None:
        async def receive() -> Message:
            return {}

        async def send(_: Message) -> None:
            pass

        scope = {"type": "http", "method": "GET", "path": "/"}
        await asyncio.gather(*(app(scope, receive, send) for _ in range(20)))
        await app(scope, receive, send)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "check", counted)
        asyncio.run(many())
    assert calls == 1


def test_other_methods_are_405_and_a_servers_start_and_end_are_acknowledged() -> None:
    assert get(method="POST")[0] == 405
    inbox = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Message:
        return inbox.pop(0)

    async def send(message: Message) -> None:
        sent.append(message["type"])

    asyncio.run(app({"type": "lifespan"}, receive, send))
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
