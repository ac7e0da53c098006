"""Each kind of drift, injected into a real database and reported by name; 22 of the first 37 `alembic check` misses.

A change is made by a superuser in a transaction that is rolled back, and compared with the repository's snapshot. Where
no app has such an object, `before` makes one first, and what is then read stands for the repository.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from db import migrations
from db.migrations import drift, snapshot
from tests.db.conftest import Connection, Prepare

NOW = "to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')"


@dataclass(frozen=True)
class Injected:
    """`told` are beginnings of what must be reported, in this order, and nothing else may be."""

    change: str
    told: tuple[str, ...]
    app: str = "bots"
    before: str = ""


MISSED = {
    "enum value added": Injected(
        "ALTER TYPE bots.log_level ADD VALUE 'trace' BEFORE 'debug'",
        ("bots: enum log_level has other values: the database's has the value trace, which the repository does not",),
    ),
    "HNSW parameters": Injected(
        "DROP INDEX dovvybuddy.ix_content_embeddings_embedding; CREATE INDEX ix_content_embeddings_embedding ON"
        " dovvybuddy.content_embeddings USING hnsw (embedding extensions.vector_cosine_ops) WITH (m = 4)",
        ("dovvybuddy: index content_embeddings.ix_content_embeddings_embedding is defined otherwise",),
        "dovvybuddy",
    ),
    "HNSW operator class": Injected(
        "DROP INDEX dovvybuddy.ix_content_embeddings_embedding; CREATE INDEX ix_content_embeddings_embedding ON"
        " dovvybuddy.content_embeddings USING hnsw (embedding extensions.vector_l2_ops)",
        ("dovvybuddy: index content_embeddings.ix_content_embeddings_embedding is defined otherwise",),
        "dovvybuddy",
    ),
    "jsonb operator class": Injected(
        "DROP INDEX bots.ix; CREATE INDEX ix ON bots.bots USING gin (config jsonb_path_ops)",
        ("bots: index bots.ix is defined otherwise",),
        before="CREATE INDEX ix ON bots.bots USING gin (config)",
    ),
    "index method": Injected(
        "DROP INDEX bots.bots_org_id_idx; CREATE INDEX bots_org_id_idx ON bots.bots USING hash (organization_id)",
        ("bots: index bots.bots_org_id_idx is defined otherwise",),
    ),
    "partial index's predicate removed": Injected(
        "DROP INDEX bots.bots_slug_idx; CREATE UNIQUE INDEX bots_slug_idx ON bots.bots (organization_id, slug)",
        ("bots: index bots.bots_slug_idx is defined otherwise",),
    ),
    "CHECK text": Injected(
        "ALTER TABLE dovvybuddy.leads DROP CONSTRAINT ck_leads_type,"
        " ADD CONSTRAINT ck_leads_type CHECK (type IN ('training', 'trip', 'gift'))",
        ("dovvybuddy: constraint leads.ck_leads_type is defined otherwise",),
        "dovvybuddy",
    ),
    "generated expression": Injected(
        "ALTER TABLE bots.t DROP b; ALTER TABLE bots.t ADD b integer GENERATED ALWAYS AS (a + 2) STORED",
        ("bots: column t.b differs in its generating expression: the repository says (a + 1)",),
        before="CREATE TABLE bots.t (a integer, b integer GENERATED ALWAYS AS (a + 1) STORED)",
    ),
    "foreign key NOT VALID": Injected(
        "ALTER TABLE bots.settings DROP CONSTRAINT fk_settings_organization_id, ADD CONSTRAINT"
        " fk_settings_organization_id FOREIGN KEY (organization_id) REFERENCES bots.organizations (id)"
        " ON DELETE CASCADE NOT VALID",
        ("bots: constraint settings.fk_settings_organization_id is defined otherwise",),
    ),
    "primary key dropped": Injected(
        "ALTER TABLE bots.notifications DROP CONSTRAINT pk_notifications",
        ("bots: constraint notifications.pk_notifications is missing",),
    ),
    "row-level security disabled": Injected(
        "ALTER TABLE bots.bots DISABLE ROW LEVEL SECURITY",
        ("bots: table bots differs in its row-level security: the repository says enabled, the database has disabled",),
    ),
    "policy": Injected(
        "ALTER POLICY tenant ON bots.bots USING (true)",
        ("bots: policy bots.tenant differs in its condition on rows that are there (USING)",),
    ),
    "trigger dropped": Injected("DROP TRIGGER stamp ON bots.bots", ("bots: trigger bots.stamp is missing",)),
    "function": Injected(
        "CREATE OR REPLACE FUNCTION bots.refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        ("bots: function refuse_move() has another body, from its line 1 on",),
    ),
    "view": Injected(
        "CREATE OR REPLACE VIEW bots.v AS SELECT id, name FROM bots.bots",
        ("bots: view v is defined otherwise",),
        before="CREATE VIEW bots.v AS SELECT id, name FROM bots.bots WHERE is_active",
    ),
    "grant": Injected(
        "GRANT DELETE ON bots.bots TO bots_app; REVOKE SELECT ON bots.bots FROM bots_readonly",
        (
            "bots: grants table bots differ for app: in the database it has DELETE, which the repository does not give",
            "bots: grants table bots differ for readonly: in the database it lacks SELECT, which the repository gives",
        ),
    ),
    "INVALID index": Injected(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bots.ix_bots_search'::regclass",
        ("bots: index bots.ix_bots_search is INVALID in the database: a build of it failed or was stopped",),
    ),
    "partition detached": Injected(
        f"DO $$ BEGIN EXECUTE 'ALTER TABLE bots.bot_logs DETACH PARTITION bots.bot_logs_' || {NOW}; END $$",
        (
            "bots: table bot_logs has no partition for ",
            "bots: table bot_logs_20",
        ),
    ),
    "EXCLUDE": Injected(
        "ALTER TABLE bots.t DROP CONSTRAINT never_twice",
        ("bots: constraint t.never_twice is missing",),
        before="CREATE TABLE bots.t (during tstzrange, CONSTRAINT never_twice EXCLUDE USING gist (during WITH &&))",
    ),
    "UNLOGGED": Injected(
        "ALTER TABLE bots.notifications SET UNLOGGED", ("bots: table notifications differs in its persistence",)
    ),
    "collation": Injected(
        'ALTER TABLE bots.t ALTER name TYPE text COLLATE "C"',
        ("bots: column t.name differs in its collation: the repository says the type's own, the database has",),
        before="CREATE TABLE bots.t (name text)",
    ),
    "stray schema": Injected("CREATE SCHEMA elsewhere", ("bots: stray schema elsewhere should not be there",)),
    "stray sequence": Injected("CREATE SEQUENCE bots.numbers", ("bots: sequence numbers should not be there",)),
}
SEEN = {
    "ASC or DESC of an index": Injected(
        "DROP INDEX bots.ix_bot_runs_newest; CREATE INDEX ix_bot_runs_newest ON bots.bot_runs"
        " (organization_id, bot_id, started_at)",
        ("bots: index bot_runs.ix_bot_runs_newest is defined otherwise",),
    ),
    "CHECK dropped": Injected(
        "ALTER TABLE dovvybuddy.leads DROP CONSTRAINT ck_leads_type",
        ("dovvybuddy: constraint leads.ck_leads_type is missing",),
        "dovvybuddy",
    ),
    "foreign key's ON DELETE": Injected(
        "ALTER TABLE bots.settings DROP CONSTRAINT fk_settings_organization_id, ADD CONSTRAINT"
        " fk_settings_organization_id FOREIGN KEY (organization_id) REFERENCES bots.organizations (id)",
        ("bots: constraint settings.fk_settings_organization_id is defined otherwise",),
    ),
    "identity kind": Injected(
        "ALTER TABLE bots.migration_history ALTER id SET GENERATED BY DEFAULT",
        ("bots: column migration_history.id differs in its identity: the repository says always",),
    ),
    "vector dimension": Injected(
        "ALTER TABLE dovvybuddy.content_embeddings ALTER embedding TYPE extensions.vector(512)",
        (
            "dovvybuddy: column content_embeddings.embedding differs in its type: the repository says vector(1536),"
            " the database has vector(512)",
        ),
        "dovvybuddy",
    ),
    "vector type": Injected(
        "DROP INDEX dovvybuddy.ix_content_embeddings_embedding;"
        " ALTER TABLE dovvybuddy.content_embeddings ALTER embedding TYPE extensions.halfvec(1536)",
        (
            "dovvybuddy: column content_embeddings.embedding differs in its type: the repository says vector(1536),"
            " the database has halfvec(1536)",
            "dovvybuddy: index content_embeddings.ix_content_embeddings_embedding is missing",
        ),
        "dovvybuddy",
    ),
    "numeric precision": Injected(
        "ALTER TABLE bots.t ALTER price TYPE numeric(12, 4)",
        ("bots: column t.price differs in its type: the repository says numeric(10,2)",),
        before="CREATE TABLE bots.t (price numeric(10, 2))",
    ),
    "varchar length": Injected(
        "ALTER TABLE bots.t ALTER name TYPE varchar(20)",
        ("bots: column t.name differs in its type: the repository says character varying(10)",),
        before="CREATE TABLE bots.t (name varchar(10))",
    ),
    "time zone lost": Injected(
        "ALTER TABLE dovvybuddy.sessions ALTER created_at TYPE timestamp",
        ("dovvybuddy: column sessions.created_at differs in its type: the repository says timestamp with time zone",),
        "dovvybuddy",
    ),
    "default changed": Injected(
        "ALTER TABLE bots.bots ALTER is_active SET DEFAULT false",
        ("bots: column bots.is_active differs in its default: the repository says true, the database has false",),
    ),
    "default dropped": Injected(
        "ALTER TABLE bots.bots ALTER is_active DROP DEFAULT",
        ("bots: column bots.is_active differs in its default: the repository says true, the database has none",),
    ),
    "NOT NULL dropped": Injected(
        "ALTER TABLE bots.bots ALTER name DROP NOT NULL",
        ("bots: column bots.name differs in its nullability: the repository says NOT NULL, the database has NULL",),
    ),
    "extra table": Injected(
        "CREATE TABLE bots.bots_backup (id uuid PRIMARY KEY)", ("bots: table bots_backup should not be there",)
    ),
    "extra column": Injected(
        "ALTER TABLE bots.bots ADD nickname text", ("bots: column bots.nickname should not be there",)
    ),
    "table comment": Injected(
        "COMMENT ON TABLE bots.bots IS 'mine'",
        ("bots: table bots differs in its comment: the repository says none, the database has mine",),
    ),
}
FURTHER = {
    "trigger disabled": Injected(
        "ALTER TABLE bots.bots DISABLE TRIGGER stamp",
        ("bots: trigger bots.stamp differs in its firing: the repository says whenever it should, the database has",),
    ),
    "foreign keys disabled by a superuser": Injected(
        "ALTER TABLE bots.sessions DISABLE TRIGGER ALL",
        (
            "bots: constraint sessions.fk_sessions_organization_id differs in its enforcement",
            "bots: constraint sessions.fk_sessions_user_id differs in its enforcement",
            "bots: trigger sessions.stamp differs in its firing",
        ),
    ),
    "row-level security not forced": Injected(
        "ALTER TABLE bots.bots NO FORCE ROW LEVEL SECURITY",
        ("bots: table bots differs in its row-level security for the owner: the repository says forced",),
    ),
    "function with the owner's rights": Injected(
        "ALTER FUNCTION bots.is_cron(text) SECURITY DEFINER",
        ("bots: function is_cron(schedule text) differs in its rights: the repository says its caller",),
    ),
    "enum values in another order": Injected(
        "UPDATE pg_enum SET enumsortorder = -enumsortorder WHERE enumtypid = 'bots.log_level'::regtype",
        ("bots: enum log_level has its values in another order: the repository says debug, info, warning, error",),
    ),
    "column order": Injected(
        "ALTER TABLE bots.t DROP a; ALTER TABLE bots.t ADD a text",
        ("bots: table t has its columns in another order: the repository says a, b, the database has b, a",),
        before="CREATE TABLE bots.t (a text, b text)",
    ),
    "default privileges": Injected(
        "ALTER DEFAULT PRIVILEGES FOR ROLE bots_owner IN SCHEMA bots GRANT DELETE ON TABLES TO bots_readonly",
        ("bots: grants future tables of owner differ for readonly: in the database it has DELETE",),
    ),
    "column grant": Injected(
        "GRANT SELECT (password_hash) ON bots.users TO bots_readonly",
        ("bots: grants column users.password_hash differ for readonly: in the database it has SELECT",),
    ),
    "owner": Injected(
        "ALTER FUNCTION bots.touch() OWNER TO postgres",
        ("bots: function touch() differs in its owner: the repository says owner, the database has postgres",),
        before="SET ROLE bots_owner; CREATE FUNCTION bots.touch() RETURNS void LANGUAGE sql AS ''; RESET ROLE",
    ),
    "table in schema public": Injected(
        "CREATE TABLE public.strays (id text)", ("bots: stray object table public.strays should not be there",)
    ),
    "operator": Injected(
        "CREATE OPERATOR bots.=== (FUNCTION = int4eq, LEFTARG = integer, RIGHTARG = integer)",
        ("bots: further object operator bots.===(integer,integer) should not be there",),
    ),
    "extension of an older version": Injected(
        "DROP EXTENSION pg_trgm CASCADE; CREATE EXTENSION pg_trgm SCHEMA extensions VERSION '1.5'",
        ("bots: extension pg_trgm differs in its version: the repository says 1.6, the database has 1.5",),
    ),
    "month without a partition": Injected(
        f"DO $$ BEGIN EXECUTE 'DROP TABLE bots.activity_logs_' || {NOW}; END $$",
        ("bots: table activity_logs has no partition for 20",),
    ),
    "month under another name": Injected(
        f"DO $$ BEGIN EXECUTE 'ALTER TABLE bots.activity_logs_' || {NOW} || ' RENAME TO renamed'; END $$",
        ("bots: table activity_logs has no partition for 20", "bots: table renamed should not be there"),
    ),
    "constraint of one month": Injected(
        f"DO $$ BEGIN EXECUTE 'ALTER TABLE bots.bot_logs_' || {NOW} || ' ADD CHECK (message IS NOT NULL)'; END $$",
        ("bots: constraint bot_logs_20",),
    ),
}
KINDS = {**MISSED, **SEEN, **FURTHER}


@pytest.fixture(scope="module")
def connections(prepare: Prepare) -> Iterator[dict[str, Connection]]:
    """The superuser in a migrated database of each app."""
    made = {}
    for app in ("bots", "dovvybuddy"):
        prepared = prepare(app)
        migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
        made[app] = prepared.admin()
    yield made
    for connection in made.values():
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_drift_is_reported_by_name_and_nothing_else_is(kind: str, connections: dict[str, Connection]) -> None:
    injected = KINDS[kind]
    connection = connections[injected.app]
    with connection.transaction(force_rollback=True):
        expected = snapshot.load(injected.app)
        if injected.before:
            connection.execute(injected.before)
            expected = snapshot.read(connection, injected.app)
        assert drift.compare(expected, snapshot.read(connection, injected.app)) == []
        connection.execute(injected.change)
        found = [str(it) for it in drift.compare(expected, snapshot.read(connection, injected.app))]

    pairs = itertools.zip_longest(found, injected.told, fillvalue="")
    assert [line[: len(start) or None] for line, start in pairs] == list(injected.told)
    assert all(". Way out: " in line and "\n" not in line for line in found)


def test_months_made_and_retired_at_run_time_are_no_drift(connections: dict[str, Connection]) -> None:
    connection = connections["bots"]
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL ROLE bots_owner")
        connection.execute(
            "SELECT bots.make_partitions(9), bots.make_partition('bot_logs', (now() - interval '1 month')::date)"
        )
        found = snapshot.read(connection, "bots")

    assert {len(its) for its in found.months.values()} == {10, 11}
    assert drift.compare(snapshot.load("bots"), found) == []


def test_a_month_made_far_ahead_asks_for_none_before_it_but_for_those_that_are_due(
    connections: dict[str, Connection],
) -> None:
    connection = connections["bots"]
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL ROLE bots_owner; SELECT bots.make_partition('bot_logs', '2090-01-01')")
        assert drift.compare(snapshot.load("bots"), snapshot.read(connection, "bots")) == []

        made = snapshot.read(connection, "bots").months["bot_logs_yyyy_mm"]
        for month in made[1:-1]:
            connection.execute(f"DROP TABLE bots.bot_logs_{month}")
        told = drift.compare(snapshot.load("bots"), snapshot.read(connection, "bots"))

    assert [it.repository for it in told] == [f"bot_logs_{month}" for month in made[1:4]]


def test_a_month_between_others_without_a_partition_is_told_by_its_number(connections: dict[str, Connection]) -> None:
    connection = connections["bots"]
    with connection.transaction(force_rollback=True):
        lost = snapshot.read(connection, "bots").months["bot_logs_yyyy_mm"][2]
        connection.execute(f"DROP TABLE bots.bot_logs_{lost}")
        [told] = drift.compare(snapshot.load("bots"), snapshot.read(connection, "bots"))

    month = lost.replace("_", "-")
    assert (
        told.sentence
        == f"has no partition for {month} called bot_logs_{lost}: its rows are refused, or no longer found"
    )
