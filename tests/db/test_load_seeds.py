"""The sets `load` of panamia, maps and dovvybuddy with a hundredth of their rows; that of bots runs whole elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType

import pytest

from db import migrations, seeds
from db.apps.dovvybuddy.models import Base as DovvybuddyBase
from db.apps.dovvybuddy.seeds import load as dovvybuddy
from db.apps.maps.models import Base as MapsBase
from db.apps.maps.seeds import load as maps
from db.apps.panamia.models import Base as PanamiaBase
from db.apps.panamia.seeds import load as panamia
from db.errors import SeedError
from db.migrations.revisions import HOME
from db.seeds.generated import Generated
from tests.db.conftest import Prepare, Prepared

MANY = 100_000
SETS: dict[str, ModuleType] = {"dovvybuddy": dovvybuddy, "maps": maps, "panamia": panamia}
FEWER = {
    "dovvybuddy": dovvybuddy.generated(1_000, chunks=20),
    "maps": maps.generated(1_000),
    "panamia": panamia.generated(1_000),
}
BASES = {"dovvybuddy": DovvybuddyBase, "maps": MapsBase, "panamia": PanamiaBase}
MAJOR = {
    "dovvybuddy": {"dive_sites", "leads", "sessions"},
    "maps": {"users", "accounts", "sessions", "verifications"},
    "panamia": {
        *("users", "accounts", "sessions", "profiles", "articles", "notifications", "interactions", "user_follows"),
        *("social_actors", "social_statuses", "social_follows", "social_likes", "social_tags", "social_recipients"),
    },
}
_DIGEST = """
import hashlib, importlib, sys
found = importlib.import_module(f"db.apps.{sys.argv[1]}.seeds.load").GENERATED
rows = [it.row(number) for it in found for number in (0, 1, it.count // 2, it.count - 1)]
print(hashlib.sha256(repr(rows).encode()).hexdigest())
"""


@pytest.fixture(scope="module", params=SETS)
def loaded(request: pytest.FixtureRequest, prepare: Prepare) -> tuple[str, Prepared]:
    """An app's database with its smaller set."""
    app = request.param
    prepared = prepare(app)
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    assert write(app, prepared) == sum(it.count for it in FEWER[app])
    return app, prepared


def write(app: str, prepared: Prepared) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SETS[app], "GENERATED", FEWER[app])
        return seeds.seed(app, prepared.owner_url, ["load"], environment="dev", report=lambda _: None)


def counts(generated: tuple[Generated, ...]) -> dict[str, int]:
    return {it.model.__tablename__: it.count for it in generated}


def test_every_row_is_written_and_a_second_run_writes_none(loaded: tuple[str, Prepared]) -> None:
    app, prepared = loaded
    expected = counts(FEWER[app])

    found = {table: prepared.rows(f"SELECT count(*) FROM {app}.{table}")[0][0] for table in expected}

    assert found == expected
    assert write(app, prepared) == 0


def test_the_demo_goes_beside_it(loaded: tuple[str, Prepared]) -> None:
    app, prepared = loaded

    assert seeds.seed(app, prepared.owner_url, ["base", "demo"], environment="dev", report=lambda _: None) > 0
    assert write(app, prepared) == 0


@pytest.mark.parametrize("app", SETS)
def test_the_whole_set_has_100_000_rows_in_each_major_table_and_some_in_every_other(app: str) -> None:
    found = counts(SETS[app].GENERATED)

    assert found.keys() == {table.name for table in BASES[app].metadata.tables.values()}
    assert {table for table, count in found.items() if count >= MANY} == MAJOR[app]
    assert min(found.values()) >= MANY // 100


@pytest.mark.parametrize("app", SETS)
def test_rows_are_the_same_in_every_process(app: str) -> None:
    def digest(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.check_output([sys.executable, "-c", _DIGEST, app], cwd=HOME, env=environment, text=True)

    assert digest("1") == digest("2")


@pytest.mark.parametrize("app", SETS)
def test_it_is_refused_in_production_unless_named(app: str) -> None:
    with pytest.raises(SeedError, match='seed set "load" holds example data and is refused in production'):
        seeds.seed(app, "postgresql://nobody:x@127.0.0.1:1/nothing", ["load"])


def test_a_chunk_is_nearer_to_those_of_its_topic_than_to_others() -> None:
    def similarity(one: int, other: int) -> float:
        return sum(a * b for a, b in zip(dovvybuddy.vector(one), dovvybuddy.vector(other), strict=True))

    same = [similarity(0, dovvybuddy.TOPICS * step) for step in range(1, 6)]
    others = [similarity(0, step) for step in range(1, 6)]

    assert min(same) > 2 * max(map(abs, others))
