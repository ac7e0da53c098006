"""What the migrations make is what the repository's snapshot says, on every server, there and back."""

from __future__ import annotations

import importlib
import json
from contextlib import closing
from typing import Any

import psycopg
import pytest
import sqlalchemy

from db import apps, migrations
from db.engine import unpooled
from db.migrations import drift, snapshot
from db.migrations.snapshot import Snapshot
from db.urls import DatabaseURL
from tests.db.conftest import Prepare, Prepared


def silent(_: str) -> None:
    pass


def seen(url: str, app: str) -> Snapshot:
    with psycopg.connect(url, autocommit=True) as connection:
        return snapshot.read(connection, app)


def told(expected: Snapshot, found: Snapshot) -> list[str]:
    return [str(difference) for difference in drift.compare(expected, found)]


@pytest.fixture(scope="module")
def databases(prepare: Prepare) -> dict[str, Prepared]:
    """A migrated database of each app."""
    made = {app: prepare(app) for app in apps.names()}
    for app, prepared in made.items():
        migrations.upgrade(app, prepared.owner_url, report=silent)
    return made


@pytest.mark.parametrize("app", apps.names())
@pytest.mark.requirement("bots.risks.drift")
def test_the_migrations_make_what_the_repository_says(app: str, databases: dict[str, Prepared]) -> None:
    found = seen(databases[app].owner_url, app)

    assert told(snapshot.load(app), found) == [], f"if the revisions are right: {snapshot.COMMAND}"
    assert found.text() == snapshot.file(app).read_text(), f"it is out of date: {snapshot.COMMAND}"


@pytest.mark.parametrize("app", apps.names())
def test_without_pgvector_they_make_what_the_other_snapshot_says(
    app: str, prepare: Prepare, server_without_vector: Any
) -> None:
    prepared = prepare(app, server_without_vector)
    migrations.upgrade(app, prepared.owner_url, report=silent)
    found = seen(prepared.owner_url, app)

    assert told(snapshot.load(app, vectors=found.vectors), found) == []
    assert found.text() == snapshot.file(app, vectors=False).read_text(), f"it is out of date: {snapshot.COMMAND}"


@pytest.mark.parametrize("app", apps.names())
def test_the_models_make_the_tables_that_the_migrations_make(app: str, databases: dict[str, Prepared]) -> None:
    """Sees what `alembic check` does not: the text of CHECKs, generated columns, predicates, parameters of indexes.

    Functions and types stay the migrations'; triggers, policies and grants have no model.
    """
    metadata: sqlalchemy.MetaData = importlib.import_module(f"db.apps.{app}.models").Base.metadata
    mapped = {table.name for table in metadata.tables.values()}
    source = unpooled(DatabaseURL.parse(databases[app].owner_url), ca_file=None, name="models")
    with source.connect() as connection:
        listed = ", ".join(f"{app}.{name}" for name in sorted(mapped))
        connection.exec_driver_sql(f"DROP TABLE {listed} CASCADE")
        metadata.create_all(connection)
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        made = snapshot.read(raw, app)
        connection.rollback()
    source.dispose()

    def of_models(whole: Snapshot) -> Snapshot:
        kinds = {kind: whole.objects.get(kind, {}) for kind in ("table", "column", "constraint", "index", "enum")}
        objects = {
            kind: {name: it for name, it in its.items() if kind == "enum" or name.partition(".")[0] in mapped}
            for kind, its in kinds.items()
        }
        modelled = {"partitioned by", "comment"}  # not the order of columns: mixins bring theirs first
        objects["table"] = {
            name: {key: value for key, value in it.items() if key in modelled} for name, it in objects["table"].items()
        }
        return Snapshot(app, whole.revision, objects)

    assert mapped
    assert told(of_models(snapshot.load(app)), of_models(made)) == []


@pytest.mark.parametrize("app", apps.names())
def test_up_again_after_down_makes_the_same_and_down_leaves_only_the_bookkeeping(app: str, prepare: Prepare) -> None:
    prepared = prepare(app)
    migrations.upgrade(app, prepared.owner_url, report=silent)
    once = seen(prepared.owner_url, app)
    migrations.downgrade(app, prepared.owner_url, target="base", report=silent)
    base = seen(prepared.owner_url, app)
    migrations.upgrade(app, prepared.owner_url, report=silent)

    assert told(once, seen(prepared.owner_url, app)) == []
    assert set(base.objects["table"]) == {"alembic_version", "migration_history"}
    left = {kind for kind, named in base.objects.items() if named}
    assert left == {"column", "constraint", "extension", "grants", "index", "schema", "sequence", "table"}
    for kind in left - {"extension"}:
        for name in base.objects[kind]:
            assert name.split()[-1].startswith(("alembic_version", "migration_history", app, "owner")), (kind, name)


def test_who_looks_and_with_which_settings_makes_no_difference(databases: dict[str, Prepared]) -> None:
    bots = databases["bots"]
    ours = seen(bots.owner_url, "bots")

    assert seen(bots.app_url, "bots") == ours
    assert seen(bots.readonly_url, "bots") == ours
    with closing(bots.admin()) as connection:
        connection.execute("SET search_path = bots; SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'")
        connection.execute("SET quote_all_identifiers = on")
        assert snapshot.read(connection, "bots") == ours
        assert connection.execute("SHOW search_path").fetchone() == ("bots",)
    with psycopg.connect(bots.owner_url) as transaction:  # not in autocommit
        transaction.execute("COMMENT ON TABLE bots.bots IS 'uncommitted'")
        assert len(told(ours, snapshot.read(transaction, "bots"))) == 1
        transaction.rollback()
        assert snapshot.read(transaction, "bots") == ours


@pytest.mark.parametrize("app", apps.names())
def test_the_file_has_one_object_a_line_and_is_what_was_read(app: str, databases: dict[str, Prepared]) -> None:
    found = seen(databases[app].owner_url, app).folded()
    text = snapshot.file(app).read_text()

    assert snapshot.load(app).objects == found.objects
    for kind in set(found.objects) - {"function", "procedure"}:
        for name, definition in found.objects[kind].items():
            line = f"{json.dumps(name)}: {json.dumps(definition, sort_keys=True)}"
            assert line in {it.rstrip(",") for it in text.splitlines()}
