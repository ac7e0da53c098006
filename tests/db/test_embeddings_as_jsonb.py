"""Embeddings without pgvector: by choice or because the server lacks it, and the way back to vectors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.orm import Session

from db import engine, migrations
from db.apps.dovvybuddy import embeddings
from db.apps.dovvybuddy.queries import nearest
from db.apps.dovvybuddy.seeds.demo import CHUNKS, vector
from db.bootstrap import bootstrap
from db.errors import BootstrapError, MigrationError, PoolerError, SettingsError, TargetError
from db.migrations import drift, snapshot
from db.urls import DatabaseURL
from infra.schema import migrate
from infra.settings import parse
from tests.db import catalogue
from tests.db.conftest import Prepare, Prepared, Server
from tests.db.outcomes import up
from tests.db.test_transaction_pooler import pooler

ONE_NUMBER_IS_TEXT = "jsonb_set(embedding, '{7}', '\"much\"')"
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def fallback(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """A seeded database whose embeddings are JSONB because the setting says so."""
    monkeypatch.setenv("DB_EMBEDDINGS", "jsonb")
    prepared = prepare("dovvybuddy")
    up(prepared, "dovvybuddy")
    monkeypatch.delenv("DB_EMBEDDINGS")
    return prepared


def upgraded(prepared: Prepared) -> Prepared:
    """After the bootstrap has run again, on a server that has pgvector."""
    bootstrap(prepared.server.bootstraps, [prepared.access], report=lambda _: None)
    return prepared


def found(prepared: Prepared) -> list[list[tuple[str, float]]]:
    """What the application finds nearest to each demo chunk, with rounded distances."""
    with Session(engine.unpooled(DatabaseURL.parse(prepared.app_url))) as session:
        return [
            [(it.chunk.content_path, round(it.distance, 5)) for it in nearest(session, vector(path), limit=4)]
            for path, _, _ in CHUNKS
        ]


def drifted(prepared: Prepared) -> list[str]:
    with psycopg.connect(prepared.owner_url) as connection:
        there = snapshot.read(connection, "dovvybuddy")
    return [str(it) for it in drift.compare(snapshot.load("dovvybuddy", vectors=there.vectors), there)]


def test_the_setting_makes_the_schema_of_a_server_without_pgvector(
    fallback: Prepared, prepare: Prepare, server_without_vector: Server
) -> None:
    without = prepare("dovvybuddy", server_without_vector)
    up(without, "dovvybuddy")

    assert fallback.rows("SELECT FROM pg_extension WHERE extname = 'vector'") == []
    assert catalogue.read(fallback, "dovvybuddy") == catalogue.read(without, "dovvybuddy")


def test_only_one_column_its_index_and_its_check_differ_from_the_schema_with_vectors(
    fallback: Prepared, prepare: Prepare
) -> None:
    with_vectors = prepare("dovvybuddy")
    migrations.upgrade("dovvybuddy", with_vectors.owner_url, report=lambda _: None)
    ours, theirs = catalogue.read(fallback, "dovvybuddy"), catalogue.read(with_vectors, "dovvybuddy")

    assert dict(ours.columns.items() ^ theirs.columns.items()).keys() == {"content_embeddings.embedding"}
    assert ours.columns["content_embeddings.embedding"] == "jsonb"
    assert theirs.indexes.keys() - ours.indexes.keys() == {"content_embeddings.ix_content_embeddings_embedding"}
    assert ours.constraints.keys() - theirs.constraints.keys() == {"content_embeddings.ck_content_embeddings_embedding"}


def test_the_way_back_ends_with_the_schema_with_vectors_and_finds_the_same(
    fallback: Prepared, prepare: Prepare, lines: list[str]
) -> None:
    with_vectors = prepare("dovvybuddy")
    migrations.upgrade("dovvybuddy", with_vectors.owner_url, report=lambda _: None)
    before = found(fallback)
    assert drifted(upgraded(fallback)) == []  # the extension stands there, the column is still JSONB

    assert embeddings.to_vectors(fallback.owner_url, report=lines.append)

    assert [line.partition(" (")[0] for line in lines] == [
        "dovvybuddy: 4 embeddings are vectors now",
        "dovvybuddy: their index is built",
    ]
    assert catalogue.read(fallback, "dovvybuddy") == catalogue.read(with_vectors, "dovvybuddy")
    assert drifted(fallback) == []
    assert found(fallback) == before
    assert [len(it) for it in before] == [4] * 4
    assert not embeddings.to_vectors(fallback.owner_url, report=lines.append)
    migrations.downgrade("dovvybuddy", fallback.owner_url, target="base", report=lambda _: None)
    migrations.upgrade("dovvybuddy", fallback.owner_url, report=lambda _: None)


def test_a_build_of_the_index_that_was_interrupted_is_begun_again(fallback: Prepared) -> None:
    embeddings.to_vectors(upgraded(fallback).owner_url, report=lambda _: None)
    with fallback.admin() as admin:
        admin.execute(
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'dovvybuddy.ix_content_embeddings_embedding'::regclass"
        )

    assert embeddings.to_vectors(fallback.owner_url, report=lambda _: None)

    assert fallback.rows(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'dovvybuddy.ix_content_embeddings_embedding'::regclass"
    ) == [(True,)]


@pytest.mark.parametrize("unfit", [ONE_NUMBER_IS_TEXT, "jsonb_set(embedding, '{7}', '1e39')"])
def test_rows_that_are_no_vectors_are_named_and_nothing_is_changed(fallback: Prepared, unfit: str) -> None:
    [(row,)] = fallback.rows("SELECT id::text FROM dovvybuddy.content_embeddings ORDER BY id LIMIT 1")
    with fallback.admin() as admin:
        admin.execute(f"UPDATE dovvybuddy.content_embeddings SET embedding = {unfit} WHERE id = '{row}'")
    before = catalogue.read(upgraded(fallback), "dovvybuddy")

    with pytest.raises(TargetError, match=f"mend or delete the rows with id {row}; nothing was changed"):
        embeddings.to_vectors(fallback.owner_url, report=lambda _: None)

    assert catalogue.read(fallback, "dovvybuddy") == before


def test_without_the_extension_the_bootstrap_is_what_is_missing(fallback: Prepared) -> None:
    with pytest.raises(TargetError, match="no extension vector: run the bootstrap once the server has pgvector"):
        embeddings.to_vectors(fallback.owner_url, report=lambda _: None)


def test_it_goes_by_the_rules_of_migrations(fallback: Prepared, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="migrations need the owner's URL"):
        embeddings.to_vectors(upgraded(fallback).app_url, report=lambda _: None)
    with pooler(fallback, tmp_path) as url, pytest.raises(PoolerError):
        embeddings.to_vectors(url, report=lambda _: None)


def test_as_a_command_it_says_what_it_did_or_fails_in_one_line(fallback: Prepared) -> None:
    def command(url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "db.apps.dovvybuddy.embeddings"],
            cwd=CHECKOUT,
            env={**os.environ, "POSTGRES_DIRECT_URL": url},
            text=True,
            capture_output=True,
            check=False,
        )

    refused, done = command(fallback.app_url), command(upgraded(fallback).owner_url)

    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert done.returncode == 0
    assert done.stdout.startswith("dovvybuddy: 4 embeddings are vectors now")


def test_vectors_by_setting_are_refused_by_a_server_that_has_none(
    prepare: Prepare, server_without_vector: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare("dovvybuddy", server_without_vector)
    monkeypatch.setenv("DB_EMBEDDINGS", "vector")

    with pytest.raises(BootstrapError, match="lacks extension vector: install pgvector, or set DB_EMBEDDINGS to jsonb"):
        bootstrap(server_without_vector.bootstraps, [prepared.access], report=lambda _: None)
    with pytest.raises(MigrationError, match='extension "vector" is not available'):
        migrations.upgrade("dovvybuddy", prepared.owner_url, report=lambda _: None)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda it: bootstrap(it.server.bootstraps, [it.access], report=lambda _: None),
        lambda it: migrations.upgrade("dovvybuddy", it.owner_url, report=lambda _: None),
    ],
)
def test_another_word_for_the_setting_is_refused(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch, attempt: Callable[[Prepared], object]
) -> None:
    prepared = prepare("dovvybuddy")
    monkeypatch.setenv("DB_EMBEDDINGS", "json")

    with pytest.raises(SettingsError, match='DB_EMBEDDINGS is "json": write auto, vector or jsonb'):
        attempt(prepared)


def test_a_stacks_setting_reaches_the_bootstrap_and_the_first_migration(prepare: Prepare) -> None:
    prepared = prepare("dovvybuddy")
    settings = parse("pgstack", "preview-1", {"pgstack:embeddings": "jsonb", "pgstack:apps": ["dovvybuddy"]})
    with psycopg.connect(**{**prepared.server.admin, "dbname": prepared.access.database}) as admin:  # type: ignore[arg-type]
        admin.execute("DROP EXTENSION vector")
    bootstrap(prepared.server.bootstraps, [prepared.access], embeddings=settings.embeddings, report=lambda _: None)
    assert prepared.rows("SELECT FROM pg_extension WHERE extname = 'vector'") == []

    migrate(settings, "dovvybuddy", prepared.owner_url, None, report=lambda _: None)

    typed = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'embedding'"
    assert prepared.rows(f"{typed} AND attrelid = 'dovvybuddy.content_embeddings'::regclass") == [("jsonb",)]
