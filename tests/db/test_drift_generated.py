"""Random alterations of every app's catalogue, each of which must be reported by the name of what it altered.

`DRIFT_SEED=7 pytest tests/db/test_drift_generated.py` tries others; the seed of a run is part of its message.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from db import apps, migrations
from db.migrations import drift, snapshot
from tests.db.conftest import Connection, Prepare

SEED = int(os.environ.get("DRIFT_SEED", "11"))  # one that was not tried before must not stop somebody else's work
ALTERATIONS = 40  # a run and app

# Objects of the schema, as (name for statements, name in the report, further columns).
TABLES = """SELECT c.oid::regclass::text, c.relname::text, c.relrowsecurity, c.relforcerowsecurity, c.relkind::text
    FROM pg_class c WHERE c.relnamespace = %(app)s::regnamespace AND c.relkind IN ('r', 'p')"""
COLUMNS = """SELECT c.oid::regclass::text, c.relname || '.' || a.attname, quote_ident(a.attname), a.attnotnull,
        d.oid IS NOT NULL, format_type(a.atttypid, a.atttypmod), c.relispartition
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = %(app)s::regnamespace AND c.relkind IN ('r', 'p') AND a.attgenerated = ''
        AND a.attidentity = ''"""
CONSTRAINTS = """SELECT c.oid::regclass::text, c.relname || '.' || o.conname, quote_ident(o.conname), o.contype::text
    FROM pg_class c JOIN pg_constraint o ON o.conrelid = c.oid
    WHERE c.relnamespace = %(app)s::regnamespace AND o.contype NOT IN ('n', 't') AND o.conparentid = 0"""
INDEXES = """SELECT i.oid::regclass::text, c.relname || '.' || i.relname, c.oid::regclass::text, i.oid::text
    FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid
    WHERE c.relnamespace = %(app)s::regnamespace AND i.relkind = 'i' AND NOT i.relispartition
        AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.oid)"""
TRIGGERS = """SELECT c.oid::regclass::text, c.relname || '.' || t.tgname, quote_ident(t.tgname)
    FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid
    WHERE c.relnamespace = %(app)s::regnamespace AND NOT t.tgisinternal"""
POLICIES = """SELECT c.oid::regclass::text, c.relname || '.' || p.polname, quote_ident(p.polname)
    FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid WHERE c.relnamespace = %(app)s::regnamespace"""
ROUTINES = """SELECT p.oid::regprocedure::text, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
        p.prosecdef, p.prokind::text
    FROM pg_proc p WHERE p.pronamespace = %(app)s::regnamespace"""
ENUMS = """SELECT t.oid::regtype::text, t.typname::text, (SELECT min(enumlabel) FROM pg_enum WHERE enumtypid = t.oid)
    FROM pg_type t WHERE t.typnamespace = %(app)s::regnamespace AND t.typtype = 'e'"""
SEQUENCES = """SELECT c.oid::regclass::text, c.relname::text
    FROM pg_class c WHERE c.relnamespace = %(app)s::regnamespace AND c.relkind = 'S'"""
SCHEMA = "SELECT quote_ident(%(app)s), %(app)s"

Maker = Callable[..., str]


@dataclass(frozen=True)
class Kind:
    """Statements for a random object: `objects` lists them, each of `makers` takes one and gives SQL, or nothing."""

    objects: str
    makers: tuple[Maker, ...]


KINDS = (
    Kind(
        TABLES,
        (
            lambda t, *_: f"COMMENT ON TABLE {t} IS 'altered'",
            lambda t, *_: f"ALTER TABLE {t} OWNER TO postgres",
            lambda t, *_: f"ALTER TABLE {t} REPLICA IDENTITY FULL",
            lambda t, *_: f"ALTER TABLE {t} RENAME TO renamed",
            lambda t, *_: f"ALTER TABLE {t} ADD added integer DEFAULT 1",
            lambda t, *_: f"CREATE RULE ignore AS ON UPDATE TO {t} DO INSTEAD NOTHING",
            lambda t, *_: f"CREATE POLICY all_of_it ON {t} USING (true)",
            lambda t, *_: f"GRANT TRUNCATE ON {t} TO PUBLIC",
            lambda t, *_: f"GRANT SELECT ON {t} TO pg_monitor WITH GRANT OPTION",
            # a month's partition comes and goes; test_drift_kinds has which of them may be missing
            lambda t, *_: "" if re.search(r"_\d{4}_\d\d$", t) else f"DROP TABLE {t} CASCADE",
            lambda t, _, secured, *__: f"ALTER TABLE {t} {'DISABLE' if secured else 'ENABLE'} ROW LEVEL SECURITY",
            lambda t, _, __, forced, *___: f"ALTER TABLE {t} {'NO ' if forced else ''}FORCE ROW LEVEL SECURITY",
            lambda t, _, __, ___, kind: f"ALTER TABLE {t} SET (fillfactor = 71)" if kind == "r" else "",
            lambda t, _, __, ___, kind: f"ALTER TABLE {t} SET (toast.autovacuum_enabled = off)" if kind == "r" else "",
            lambda t, _, __, ___, kind: f"ALTER TABLE {t} SET UNLOGGED" if kind == "r" else "",
        ),
    ),
    Kind(
        COLUMNS,
        (
            lambda t, _, c, *__: f"COMMENT ON COLUMN {t}.{c} IS 'altered'",
            lambda t, _, c, *__: f"ALTER TABLE {t} ALTER {c} SET STATISTICS 77",
            lambda t, _, c, *__: f"ALTER TABLE {t} ALTER {c} SET (n_distinct = 5)",
            lambda t, _, c, *__: f"GRANT REFERENCES ({c}) ON {t} TO pg_monitor",
            lambda t, _, c, __, ___, ____, part: "" if part else f"ALTER TABLE {t} RENAME {c} TO renamed",
            lambda t, _, c, __, ___, ____, part: "" if part else f"ALTER TABLE {t} DROP {c} CASCADE",
            lambda t, _, c, required, *__: f"ALTER TABLE {t} ALTER {c} {'DROP' if required else 'SET'} NOT NULL",
            lambda t, _, c, __, default, *___: f"ALTER TABLE {t} ALTER {c} DROP DEFAULT" if default else "",
            lambda t, _, c, __, ___, kind, *____: (
                f"ALTER TABLE {t} ALTER {c} SET DEFAULT 'x'" if kind == "text" else ""
            ),
            lambda t, _, c, __, ___, kind, *____: (
                f"ALTER TABLE {t} ALTER {c} SET STORAGE MAIN" if kind in {"text", "jsonb"} else ""
            ),
            lambda t, _, c, __, ___, kind, *____: (
                f"ALTER TABLE {t} ALTER {c} SET COMPRESSION pglz" if kind in {"text", "jsonb"} else ""
            ),
            lambda t, _, c, __, ___, kind, part: (
                f"ALTER TABLE {t} ALTER {c} TYPE varchar(99)" if kind == "text" and not part else ""
            ),
            lambda t, _, c, __, ___, kind, part: (
                f'ALTER TABLE {t} ALTER {c} TYPE text COLLATE "C"' if kind == "text" and not part else ""
            ),
            lambda t, _, c, __, ___, kind, part: (
                f"ALTER TABLE {t} ALTER {c} TYPE bigint" if kind == "integer" and not part else ""
            ),
        ),
    ),
    Kind(
        CONSTRAINTS,
        (
            lambda t, _, c, *__: f"ALTER TABLE {t} DROP CONSTRAINT {c} CASCADE",
            lambda t, _, c, *__: f"ALTER TABLE {t} RENAME CONSTRAINT {c} TO renamed",
            lambda t, _, c, *__: f"COMMENT ON CONSTRAINT {c} ON {t} IS 'altered'",
            lambda t, _, c, kind: f"ALTER TABLE {t} ALTER CONSTRAINT {c} DEFERRABLE" if kind == "f" else "",
            lambda t, _, c, kind: (
                f"UPDATE pg_constraint SET convalidated = false WHERE conrelid = '{t}'::regclass AND conname = '{c}'"
                if kind in "cf"
                else ""
            ),
        ),
    ),
    Kind(
        INDEXES,
        (
            lambda i, *_: f"DROP INDEX {i}",
            lambda i, *_: f"ALTER INDEX {i} RENAME TO renamed",
            lambda i, *_: f"COMMENT ON INDEX {i} IS 'altered'",
            lambda _, __, t, i: f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = {i} AND '{t}' <> ''",
            lambda _, __, t, i: f"UPDATE pg_index SET indisclustered = true WHERE indexrelid = {i} AND '{t}' <> ''",
        ),
    ),
    Kind(
        TRIGGERS,
        (
            lambda t, _, g: f"DROP TRIGGER {g} ON {t}",
            lambda t, _, g: f"ALTER TABLE {t} DISABLE TRIGGER {g}",
            lambda t, _, g: f"ALTER TABLE {t} ENABLE ALWAYS TRIGGER {g}",
            lambda t, _, g: f"ALTER TRIGGER {g} ON {t} RENAME TO renamed",
        ),
    ),
    Kind(
        POLICIES,
        (
            lambda t, _, p: f"DROP POLICY {p} ON {t}",
            lambda t, _, p: f"ALTER POLICY {p} ON {t} TO PUBLIC",
            lambda t, _, p: f"ALTER POLICY {p} ON {t} USING (1 = 1)",
            lambda t, _, p: f"ALTER POLICY {p} ON {t} RENAME TO renamed",
        ),
    ),
    Kind(
        ROUTINES,
        (
            lambda f, *_: f"ALTER ROUTINE {f} OWNER TO postgres",
            lambda f, *_: f"ALTER ROUTINE {f} SET work_mem = '9MB'",
            lambda f, *_: f"GRANT EXECUTE ON ROUTINE {f} TO pg_monitor",
            lambda f, *_: f"COMMENT ON ROUTINE {f} IS 'altered'",
            lambda f, *_: f"DROP ROUTINE {f} CASCADE",
            lambda f, _, definer, __: f"ALTER ROUTINE {f} SECURITY {'INVOKER' if definer else 'DEFINER'}",
            lambda f, _, __, kind: f"ALTER FUNCTION {f} COST 7" if kind == "f" else "",
            lambda f, _, __, kind: f"ALTER FUNCTION {f} LEAKPROOF" if kind == "f" else "",
        ),
    ),
    Kind(
        ENUMS,
        (
            lambda t, *_: f"ALTER TYPE {t} ADD VALUE 'altered'",
            lambda t, _, value: f"ALTER TYPE {t} RENAME VALUE '{value}' TO 'altered'",
            lambda t, *_: f"ALTER TYPE {t} OWNER TO postgres",
            lambda t, *_: f"REVOKE USAGE ON TYPE {t} FROM PUBLIC",
            lambda t, *_: f"DROP TYPE {t} CASCADE",
        ),
    ),
    Kind(
        SEQUENCES,
        (
            lambda s, _: f"ALTER SEQUENCE {s} CACHE 5",
            lambda s, _: f"ALTER SEQUENCE {s} INCREMENT 2 CYCLE",
            lambda s, _: f"ALTER SEQUENCE {s} RENAME TO renamed",
            lambda s, _: f"GRANT UPDATE ON {s} TO PUBLIC",
        ),
    ),
    Kind(
        SCHEMA,
        (
            lambda s, _: f"GRANT CREATE ON SCHEMA {s} TO PUBLIC",
            lambda s, _: f"COMMENT ON SCHEMA {s} IS 'altered'",
            lambda s, _: f"ALTER SCHEMA {s} OWNER TO postgres",
        ),
    ),
)
ADDED = {  # what nobody put there: the statement, and what is told of it
    "CREATE VIEW {app}.added AS SELECT 1 AS one": "view added",
    "CREATE MATERIALIZED VIEW {app}.added AS SELECT 1 AS one": "materialized view added",
    "CREATE SEQUENCE {app}.added": "sequence added",
    "CREATE TYPE {app}.added AS ENUM ('one')": "enum added",
    "CREATE TYPE {app}.added AS (one integer)": "composite type added",
    "CREATE TYPE {app}.added AS RANGE (subtype = integer)": "range added",
    "CREATE DOMAIN {app}.added AS integer CHECK (VALUE > 0)": "domain added",
    "CREATE FUNCTION {app}.added(one integer) RETURNS integer LANGUAGE sql RETURN one": "function added(one integer)",
    "CREATE PROCEDURE {app}.added() LANGUAGE sql AS ''": "procedure added()",
    "CREATE AGGREGATE {app}.added (integer) (sfunc = int4pl, stype = integer)": "aggregate added(integer)",
    "CREATE STATISTICS {app}.added ON version_num, (version_num || '') FROM {app}.alembic_version": "object added",
    "CREATE INDEX added ON {app}.alembic_version (version_num)": "index alembic_version.added",
    'CREATE COLLATION {app}.added FROM "C"': "collation {app}.added",
    "CREATE TEXT SEARCH CONFIGURATION {app}.added (COPY = simple)": "text search configuration {app}.added",
    "CREATE TABLE public.added ()": "table public.added",
    "CREATE FUNCTION public.added() RETURNS integer LANGUAGE sql RETURN 1": "function public.added()",
    "CREATE SCHEMA added": "schema added",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {app} GRANT SELECT ON TABLES TO PUBLIC": "future tables of postgres",
}


@pytest.fixture(scope="module")
def connection_to(prepare: Prepare) -> Iterator[Callable[[str], Connection]]:
    """The superuser in a migrated database of an app."""
    made: dict[str, Connection] = {}

    def connect(app: str) -> Connection:
        if app not in made:
            prepared = prepare(app)
            migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
            made[app] = prepared.admin()
        return made[app]

    yield connect
    for connection in made.values():
        connection.close()


def alterations(connection: Connection, app: str, dice: random.Random) -> Iterator[tuple[str, str]]:
    """Statements without end, and a part of what must be told of each."""
    found: dict[str, list[tuple[Any, ...]]] = {
        kind.objects: sorted(connection.execute(kind.objects, {"app": app}).fetchall()) for kind in KINDS
    }
    while True:
        kind = dice.choice([*KINDS, None])
        if kind is None:
            statement, told = dice.choice(list(ADDED.items()))
            yield statement.format(app=app), told.format(app=app)
        elif found[kind.objects]:
            row = dice.choice(found[kind.objects])
            if statement := dice.choice(kind.makers)(*row):
                yield statement, row[1]


@pytest.mark.parametrize("app", apps.names())
def test_every_alteration_is_reported_by_the_name_of_what_it_altered(
    app: str, connection_to: Callable[[str], Connection]
) -> None:
    connection, expected = connection_to(app), snapshot.load(app)
    tried, unseen = 0, []
    for statement, name in alterations(connection, app, random.Random(f"{SEED} {app}")):  # noqa: S311
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(statement)
                told = [str(it) for it in drift.compare(expected, snapshot.read(connection, app))]
        except psycopg.Error as error:
            # what PostgreSQL itself refuses (such as dropping NOT NULL of a key) can't be drift
            if error.sqlstate and error.sqlstate[:2] in {"0A", "2B", "42", "55"}:
                continue
            raise
        tried += 1
        if not any(name in line for line in told):
            unseen.append((statement, name, told))
        if tried == ALTERATIONS:
            break

    assert unseen == [], f"DRIFT_SEED={SEED}"
    assert drift.compare(expected, snapshot.read(connection, app)) == []


@pytest.mark.parametrize("statement", ADDED)
def test_what_nobody_put_there_is_reported(statement: str, connection_to: Callable[[str], Connection]) -> None:
    connection = connection_to("maps")
    with connection.transaction(force_rollback=True):
        connection.execute(statement.format(app="maps"))
        told = drift.compare(snapshot.load("maps"), snapshot.read(connection, "maps"))

    assert [ADDED[statement].format(app="maps") in str(it) for it in told] == [True]
