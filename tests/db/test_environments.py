"""Every environment refuses what its provider refuses, and all of them end with the same schema and the same rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from db import migrations, seeds
from tests.db import catalogue, environments
from tests.db.conftest import Prepare, preparing
from tests.db.environments import ENVIRONMENTS, Environment


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    with environments.start(request.param) as started:
        yield started


@pytest.fixture
def prepare(environment: Environment) -> Iterator[Prepare]:
    with preparing(environment.server) as prepared:
        yield prepared


@pytest.mark.parametrize("app", ["bots", "dovvybuddy", "maps", "panamia", "petsitting"])
def test_up_seeds_down_and_up_again(environment: Environment, prepare: Prepare, app: str) -> None:
    environment.asleep()
    prepared = prepare(app)
    environment.asleep()
    assert migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    first = catalogue.read(prepared, app)
    assert seeds.seed(app, prepared.owner_url, ["base", "demo"], environment="dev", report=lambda _: None) > 0
    assert seeds.seed(app, prepared.owner_url, ["base", "demo"], environment="dev", report=lambda _: None) == 0
    migrations.downgrade(app, prepared.owner_url, target="base", report=lambda _: None)
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    assert catalogue.read(prepared, app) == first
