"""The migrations on PostgreSQL 15, 17 and 18 too: Supabase has 15 and 17, Neon all of them, and this project 16.

Their servers come from the package registry and lack pgvector, so each is compared with a 16 that lacks it too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from db import apps, migrations, seeds
from tests.db import catalogue
from tests.db.catalogue import Catalogue
from tests.db.conftest import Prepare, Prepared, Server, container, preparing

SERVERS = Path(__file__).parent / "servers"


def packages() -> Path:
    """The servers that package-lock.json names, kept outside the checkout for the next run."""
    digest = hashlib.sha256((SERVERS / "package-lock.json").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgstack" / "tests"
    kept, aside = cache / f"servers-{digest}", cache / f"servers-{digest}.{os.getpid()}"
    if not kept.exists():
        shutil.copytree(SERVERS, aside)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=aside, check=True)
        for server in (aside / "node_modules").glob("postgres-*"):  # npm 12 runs no package's script by itself
            subprocess.run(["node", "scripts/hydrate-symlinks.js"], cwd=server, check=True, capture_output=True)
        aside.rename(kept)
    return kept / "node_modules"


@pytest.fixture(scope="module", params=[15, 17, 18])
def other(request: pytest.FixtureRequest) -> Iterator[tuple[int, Server]]:
    """A server of another major version."""
    with container(files=packages() / f"postgres-{request.param}" / "native") as server:
        yield request.param, server


@pytest.fixture(scope="module")
def on_16(server_without_vector: Server) -> Iterator[Callable[[str], Catalogue]]:
    """What the migrations make on this project's own version, by app."""
    with preparing(server_without_vector) as prepare:
        yield cache(lambda app: catalogue.read(migrated(app, prepare), app))


def migrated(app: str, prepare: Prepare) -> Prepared:
    prepared = prepare(app)
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    return prepared


@pytest.mark.parametrize("app", apps.names())
@pytest.mark.requirement("panamia.stack.versions", "panamia.corrections.versions")
def test_the_migrations_make_the_same_schema_and_are_seeded_and_undone(
    other: tuple[int, Server], on_16: Callable[[str], Catalogue], app: str
) -> None:
    major, server = other
    with preparing(server) as prepare:
        prepared = migrated(app, prepare)
        assert prepared.rows("SELECT current_setting('server_version_num')::int / 10000") == [(major,)]
        found, expected = catalogue.read(prepared, app), on_16(app)
        for kind in dataclasses.fields(Catalogue):
            assert getattr(found, kind.name) == getattr(expected, kind.name), kind.name

        assert seeds.seed(app, prepared.owner_url, ["base", "demo"], environment="dev", report=lambda _: None) > 0
        migrations.downgrade(app, prepared.owner_url, target="base", report=lambda _: None)
        assert catalogue.read(prepared, app).tables == frozenset()
        migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
