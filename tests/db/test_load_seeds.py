"""The sets `load` with a hundredth of their rows; that of bots runs whole in test_bots_seeds.py."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from types import ModuleType

import pytest
import tenacity
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase

from db import connections, migrations, seeds
from db.apps.bots.models import Base as BotsBase
from db.apps.bots.seeds import base as bots_base
from db.apps.bots.seeds import load as bots
from db.apps.dovvybuddy.models import Base as DovvybuddyBase
from db.apps.dovvybuddy.seeds import load as dovvybuddy
from db.apps.maps.models import Base as MapsBase
from db.apps.maps.seeds import load as maps
from db.apps.panamia.models import Base as PanamiaBase
from db.apps.panamia.seeds import load as panamia
from db.apps.petsitting.models import Base as PetsittingBase
from db.apps.petsitting.seeds import load as petsitting
from db.engine import unpooled
from db.errors import SeedError
from db.migrations import lock
from db.migrations.revisions import HOME
from db.seeds.generated import Generated
from db.urls import DatabaseURL
from tests.db.conftest import Prepare, Prepared, access_for

MANY = 100_000
SETS: dict[str, ModuleType] = {
    "bots": bots,
    "dovvybuddy": dovvybuddy,
    "maps": maps,
    "panamia": panamia,
    "petsitting": petsitting,
}
FEWER: dict[str, tuple[Generated, ...]] = {
    "bots": bots.generated(1_000),
    "dovvybuddy": dovvybuddy.generated(1_000, chunks=20),
    "maps": maps.generated(1_000),
    "panamia": panamia.generated(1_000),
    "petsitting": petsitting.generated(1_000),
}
BASES: dict[str, type[DeclarativeBase]] = {
    "bots": BotsBase,
    "dovvybuddy": DovvybuddyBase,
    "maps": MapsBase,
    "panamia": PanamiaBase,
    "petsitting": PetsittingBase,
}
MAJOR = {
    "bots": {
        *("users", "organization_members", "sessions", "bots", "bot_runs", "bot_logs", "credentials"),
        *("session_recordings", "workflows", "workflow_runs", "tasks", "notifications", "activity_logs"),
    },
    "dovvybuddy": {"dive_sites", "leads", "sessions", "content_embeddings"},
    "maps": {"users", "accounts", "sessions", "verifications"},
    "panamia": {
        *("users", "accounts", "sessions", "profiles", "articles", "notifications", "interactions", "user_follows"),
        *("social_actors", "social_statuses", "social_follows", "social_likes", "social_tags", "social_recipients"),
    },
    "petsitting": {"listings", "bookings"},
}
FROM_BASE = {"bots": {it.model.__tablename__ for it in bots_base.ROWS}}  # a product's choice: as many as it has
FEWEST = {"bots": 10}  # organizations; elsewhere 1,000
_SEED = """
import sys
from db import seeds
from db.apps.maps.seeds import load
load.GENERATED = load.generated(20_000)
print(seeds.seed("maps", sys.argv[1], ["load"], environment="dev", report=lambda line: print(line, file=sys.stderr)))
"""


def prepared_for(app: str, prepare: Prepare) -> Prepared:
    """A migrated database; that of a guest has its host's smaller set."""
    prepared = prepare(app)
    if app == "petsitting":
        host = access_for("panamia", prepared.access.database)
        write("panamia", prepared.server.url(host.owner, host.database))
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    return prepared


@pytest.fixture(scope="module", params=SETS)
def loaded(request: pytest.FixtureRequest, prepare: Prepare) -> tuple[str, Prepared]:
    """An app's database with its smaller set."""
    app = request.param
    prepared = prepared_for(app, prepare)
    assert write(app, prepared.owner_url) >= sum(it.count for it in FEWER[app])
    return app, prepared


@pytest.fixture
def migrated_maps(prepare: Prepare) -> Prepared:
    return prepared_for("maps", prepare)


def write(app: str, owner_url: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SETS[app], "GENERATED", FEWER[app])
        return seeds.seed(app, owner_url, ["load"], environment="dev", report=lambda _: None)


def counts(generated: tuple[Generated, ...]) -> dict[str, int]:
    return {it.model.__tablename__: it.count for it in generated}


def checksums(app: str, prepared: Prepared) -> dict[str, str]:
    """Of all rows of each table of the set, whatever order they stand in."""
    query = "SELECT md5(string_agg(md5(it::text), '' ORDER BY md5(it::text))) FROM {} AS it"
    return {table: prepared.rows(query.format(f"{app}.{table}"))[0][0] for table in counts(FEWER[app])}


def test_every_row_is_written_and_a_second_run_writes_none(loaded: tuple[str, Prepared]) -> None:
    app, prepared = loaded
    expected = counts(FEWER[app])

    found = {
        table: prepared.rows(f"SELECT count(*) FROM {app}.{table} WHERE created_at < '2026-02-01'")[0][0]
        for table in expected
    }

    assert found == expected
    assert write(app, prepared.owner_url) == 0


def test_rows_are_the_same_in_every_database_and_zone(
    loaded: tuple[str, Prepared], prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, first = loaded
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("PGTZ", "Asia/Tokyo")
        elsewhere.setenv("PGDATESTYLE", "German")
        second = prepared_for(app, prepare)
        write(app, second.owner_url)

    assert checksums(app, first) == checksums(app, second)


def test_every_document_can_be_read(loaded: tuple[str, Prepared]) -> None:
    """JSON that the server wrote fits the models that the application reads it with."""
    app, prepared = loaded
    with unpooled(DatabaseURL.parse(prepared.owner_url)).connect() as connection:
        for it in FEWER[app]:
            [row] = connection.execute(select(*it.model.__table__.columns).limit(1)).all()
            assert len(row) == len(it.model.__table__.columns)


def test_the_demo_goes_beside_it(loaded: tuple[str, Prepared]) -> None:
    app, prepared = loaded

    assert seeds.seed(app, prepared.owner_url, ["base", "demo"], environment="dev", report=lambda _: None) > 0
    assert write(app, prepared.owner_url) == 0


@pytest.mark.parametrize("app", SETS)
def test_the_whole_set_has_100_000_rows_in_each_major_table_and_some_in_every_other(app: str) -> None:
    found = counts(SETS[app].GENERATED)
    tables = {
        it.name for it in BASES[app].metadata.tables.values() if not it.name.endswith("_history") or app != "bots"
    }

    assert found.keys() == tables - FROM_BASE.get(app, set())
    assert {table for table, count in found.items() if count >= MANY} == MAJOR[app]
    assert min(found.values()) >= FEWEST.get(app, MANY // 100)


@pytest.mark.parametrize("app", SETS)
def test_it_is_refused_in_production_unless_named(app: str) -> None:
    with pytest.raises(SeedError, match='seed set "load" holds example data and is refused in production'):
        seeds.seed(app, "postgresql://nobody:x@127.0.0.1:1/nothing", ["load"])


def test_a_second_run_beside_the_first_waits_for_it_and_says_so(migrated_maps: Prepared, lines: list[str]) -> None:
    waits = threading.Event()

    def report(line: str) -> None:
        lines.append(line)
        waits.set()

    def second() -> None:
        seeds.seed("maps", migrated_maps.owner_url, ["demo"], environment="dev", report=report)

    running = threading.Thread(target=second)
    with (
        connections.connect(DatabaseURL.parse(migrated_maps.owner_url), name="the first") as first,
        lock.held(first, "the seeds of maps", lambda _: None),
    ):
        running.start()
        assert waits.wait(60)
        assert migrated_maps.rows("SELECT count(*) FROM maps.users") == [(0,)]
    running.join(60)

    assert lines[0].startswith("waiting for the seeds of maps, held by maps_owner_1 (pid")
    assert migrated_maps.rows("SELECT count(*) > 0 FROM maps.users") == [(True,)]


def test_after_a_killed_run_two_at_once_write_the_rest_and_each_row_once(migrated_maps: Prepared) -> None:
    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _SEED, migrated_maps.owner_url]
        return subprocess.Popen(command, cwd=HOME, env={**os.environ}, stdout=subprocess.PIPE, text=True)

    def count() -> int:
        tables = ("users", "accounts", "sessions", "verifications")
        return sum(migrated_maps.rows(f"SELECT count(*) FROM maps.{table}")[0][0] for table in tables)

    def sessions() -> int:
        name = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgstack seeds' AND datname = %s"
        return int(migrated_maps.rows(name, migrated_maps.access.database)[0][0])

    until = tenacity.retry(
        retry=tenacity.retry_if_result(lambda found: not found),
        stop=tenacity.stop_after_delay(120),
        wait=tenacity.wait_fixed(0.02),
    )
    killed = start()
    until(count)()
    killed.kill()
    killed.communicate()
    until(lambda: sessions() == 0)()  # the server ends a batch before it sees that nobody waits for it
    before = count()
    assert 0 < before < 80_000

    both = [start(), start()]
    written = [int(it.communicate(timeout=300)[0]) for it in both]

    assert sorted(written) == [0, 80_000 - before]
    assert count() == 80_000


def test_a_chunk_is_nearer_to_those_of_its_topic_than_to_others(prepare: Prepare) -> None:
    chunks = dovvybuddy.generated(1, chunks=1)[-1].columns["embedding"]
    numbers = [0, *range(1, 6), *(dovvybuddy.OF_ONE * it for it in range(1, 6))]
    query = f"SELECT ({chunks})::extensions.vector::real[] FROM unnest(%s::bigint[]) AS n".replace("% ", "%% ")
    vectors = [it for (it,) in prepare("dovvybuddy").rows(query, numbers)]

    def similarity(other: int) -> float:
        return float(sum(a * b for a, b in zip(vectors[0], vectors[other], strict=True)))

    assert min(similarity(it) for it in range(1, 6)) > 2 * max(abs(similarity(it)) for it in range(6, 11))
