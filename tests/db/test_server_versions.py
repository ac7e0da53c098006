"""The migrations on PostgreSQL 15, 17 and 18 too: Supabase has 15 and 17, Neon all of them, and this project 16.

Their servers come from the package registry and lack pgvector, so each is compared with the snapshot for such servers.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from db import apps, migrations, seeds
from db.migrations import drift, snapshot
from db.migrations.snapshot import Snapshot
from tests.db.conftest import Prepared, Server, container, preparing

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


def seen(prepared: Prepared) -> Snapshot:
    with psycopg.connect(prepared.owner_url) as connection:
        return snapshot.read(connection, prepared.access.app)


@pytest.mark.parametrize("app", apps.names())
@pytest.mark.requirement("panamia.stack.versions", "panamia.corrections.versions")
def test_the_migrations_make_the_same_schema_and_are_seeded_and_undone(other: tuple[int, Server], app: str) -> None:
    major, server = other
    with preparing(server) as prepare:
        prepared = prepare(app)
        migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
        assert prepared.rows("SELECT current_setting('server_version_num')::int / 10000") == [(major,)]
        expected, found = snapshot.load(app, vectors=False), seen(prepared)
        assert [str(it) for it in drift.compare(expected, found)] == []
        assert found.text() == snapshot.file(app, vectors=False).read_text()

        assert seeds.seed(app, prepared.owner_url, ["base", "demo"], environment="dev", report=lambda _: None) > 0
        migrations.downgrade(app, prepared.owner_url, target="base", report=lambda _: None)
        assert set(seen(prepared).objects["table"]) == {"alembic_version", "migration_history"}
        migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
