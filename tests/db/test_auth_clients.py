"""Better Auth on maps and Auth.js's Drizzle adapter on panamia: the real packages, through a real PgBouncer."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from db import migrations
from db.ids import is_cuid, new_id, seeded_id
from tests.db import node
from tests.db.conftest import Prepare, Prepared
from tests.db.test_transaction_pooler import pooler


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node.workplace(tmp_path_factory.mktemp("clients"))


def migrated(prepare: Prepare, app: str) -> Prepared:
    prepared = prepare(app)
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    return prepared


@pytest.fixture(scope="module", params=["direct", "pooled"])
def maps(request: pytest.FixtureRequest, prepare: Prepare, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application's URL: straight to the server, and through a pooler of two server connections."""
    prepared = migrated(prepare, "maps")
    yield from reached(prepared, pooled=request.param == "pooled", folder=tmp_path_factory.mktemp("pooler"))


@pytest.fixture(scope="module", params=["direct", "pooled"])
def panamia(
    request: pytest.FixtureRequest, prepare: Prepare, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    prepared = migrated(prepare, "panamia")
    yield from reached(prepared, pooled=request.param == "pooled", folder=tmp_path_factory.mktemp("pooler"))


def reached(prepared: Prepared, *, pooled: bool, folder: Path) -> Iterator[str]:
    if not pooled:
        yield prepared.app_url
        return
    with pooler(prepared, folder, size=2, login=prepared.access.application) as url:
        yield url


@pytest.mark.requirement("maps.auth.better-auth", "maps.tables.users", "maps.tables.sessions", "maps.rules.cascade")
@pytest.mark.parametrize("adapter", ["pg", "drizzle"])
@pytest.mark.requirement("maps.corrections.better-auth", "maps.challenges.better-auth", "maps.stack.drizzle")
def test_better_auth_signs_up_and_in_links_unlinks_and_deletes_and_misses_nothing(
    maps: str, clients: Path, adapter: str
) -> None:
    seen = json.loads(node.run(clients, "node", "betterauth.mjs", adapter, environment={"DATABASE_URL": maps}))

    assert seen.pop("hoursLeft") == pytest.approx(7 * 24, abs=0.1)  # Better Auth's default, so no zone was mixed up
    assert seen == {
        "missing": {"tables": [], "columns": []},  # its own check of the schema
        "twice": "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL",
        "wrong": "INVALID_EMAIL_OR_PASSWORD",
        "session": True,
        "accounts": ["credential", "google"],
        "unlinked": ["credential"],
        "renamed": True,
        "verification": True,
        "afterSignOut": None,
        "stillIn": "Free Diver",
        "deleted": True,
        "left": {"users": 0, "sessions": 0, "accounts": 0},
    }


@pytest.mark.requirement(
    "panamia.stack.auth-adapter",
    "panamia.groups.auth",
    "panamia.keys.session-token",
    "panamia.corrections.composite-keys",
    "panamia.stack.drizzle",
    "panamia.connections.client",
)
def test_the_drizzle_adapter_does_all_that_auth_js_asks_of_it(panamia: str, clients: Path) -> None:
    seen = json.loads(node.run(clients, "node", "authjs.mjs", environment={"DATABASE_URL": panamia}))

    assert seen == {
        "cuid": True,
        "stamped": True,
        "byId": True,
        "byEmail": True,
        "nobody": None,
        "byAccount": True,
        "account": True,
        "linkedTwice": "23505",
        "session": True,
        "moved": True,
        "renamed": True,
        "touched": True,
        "verified": True,
        "verifiedTwice": None,
        "unlinked": None,
        "signedOut": None,
        "deleted": None,
        "left": {"accounts": 0, "sessions": 0},
    }


@pytest.mark.requirement("panamia.keys.cuid2")
def test_the_reference_implementation_takes_our_ids_and_we_take_its(clients: Path) -> None:
    ours = [new_id() for _ in range(500)] + [seeded_id(str(number)) for number in range(500)]

    seen = json.loads(node.run(clients, "node", "ids.mjs", given=json.dumps([*ours, "Not-an-id"])))

    assert seen["refused"] == ["Not-an-id"]
    assert all(is_cuid(it) and len(it) == len(ours[0]) for it in seen["own"])
