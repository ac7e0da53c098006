"""Every way out that is a statement is run, by whom it says, and the difference is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from db import migrations
from db.migrations import drift, snapshot
from tests.db.conftest import Connection, Prepare, Prepared
from tests.db.test_drift_kinds import KINDS
from tests.deployment import CHECKOUT

THIS_MONTH = "to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')"
# changes of bots that no kind of drift has among its own, for what is said of them
FURTHER = (
    "DROP INDEX bots.ix_bot_logs_newest",
    "CREATE INDEX added ON bots.bot_logs (level)",
    "CREATE INDEX added ON ONLY bots.bot_logs (level)",
    "DROP INDEX bots.ix_bot_logs_newest; CREATE INDEX ix_bot_logs_newest ON bots.bot_logs (level)",
    "ALTER TABLE bots.bot_logs DROP CONSTRAINT fk_bot_logs_bot_id",
    "ALTER TABLE bots.bot_logs DROP CONSTRAINT pk_bot_logs",
    "ALTER TABLE bots.bot_logs ADD CONSTRAINT added CHECK (message <> 'x')",
    "CREATE TRIGGER added BEFORE INSERT ON bots.bot_logs FOR EACH ROW EXECUTE FUNCTION bots.refuse_move()",
    f"DO $$ BEGIN EXECUTE 'ALTER TABLE bots.bot_logs DETACH PARTITION bots.bot_logs_' || {THIS_MONTH}; END $$",
    "ALTER TABLE bots.bots ADD CONSTRAINT \"order\" CHECK (name <> 'x')",
    'CREATE INDEX "order" ON bots.bots (name)',
    'CREATE TRIGGER "user.select" BEFORE INSERT ON bots.bots FOR EACH ROW EXECUTE FUNCTION bots.refuse_move()',
    'CREATE POLICY "all" ON bots.bots USING (true)',
    'CREATE VIEW bots."user" AS SELECT 1 AS one',
    'CREATE FUNCTION bots."select"("from" integer) RETURNS integer LANGUAGE sql RETURN 1',
    'CREATE SEQUENCE bots."table"; CREATE TYPE bots."order" AS ENUM (\'one\'); CREATE DOMAIN bots."check" AS text',
    "CREATE AGGREGATE bots.added (integer) (sfunc = int4pl, stype = integer)",
    "CREATE PROCEDURE bots.added() LANGUAGE sql AS ''",
    'CREATE OPERATOR FAMILY bots."Fam.ily" USING btree',
    'CREATE TEXT SEARCH CONFIGURATION bots."Config" (COPY = simple)',
    "CREATE TYPE public.t AS (a integer); CREATE VIEW public.v AS SELECT 1 AS one",
    "CREATE OPERATOR public.=== (FUNCTION = int4eq, LEFTARG = integer, RIGHTARG = integer)",
    "ALTER SCHEMA bots OWNER TO postgres",
    "ALTER TABLE bots.bots OWNER TO postgres",
    "ALTER TABLE bots.migration_history OWNER TO postgres",
    "ALTER TYPE bots.log_level OWNER TO postgres",
    "ALTER FUNCTION bots.make_partition(text, date) OWNER TO postgres",
    "GRANT USAGE ON SCHEMA bots TO pg_monitor WITH GRANT OPTION; GRANT EXECUTE ON FUNCTION bots.is_cron TO PUBLIC",
    "GRANT SELECT ON bots.bots TO bots_readonly WITH GRANT OPTION",
    "GRANT SELECT (name) ON bots.bots TO PUBLIC; REVOKE INSERT ON bots.bots FROM bots_owner",
    "REVOKE USAGE ON TYPE bots.log_level FROM PUBLIC",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA bots GRANT SELECT ON TABLES TO PUBLIC",
    "ALTER DEFAULT PRIVILEGES FOR ROLE bots_owner IN SCHEMA bots REVOKE SELECT ON TABLES FROM bots_readonly",
    "ALTER DEFAULT PRIVILEGES FOR ROLE bots_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
)
CHANGES = [*((it.app, it.change) for it in KINDS.values() if not it.before), *(("bots", it) for it in FURTHER)]


@pytest.fixture(scope="module")
def prepared(prepare: Prepare) -> dict[str, Prepared]:
    made = {app: prepare(app) for app in ("bots", "dovvybuddy")}
    for app, its in made.items():
        migrations.upgrade(app, its.owner_url, report=lambda _: None)
    return made


@pytest.fixture(scope="module")
def connections(prepared: dict[str, Prepared]) -> Iterator[dict[str, Connection]]:
    """The superuser in a migrated database of each app."""
    made = {app: its.admin() for app, its in prepared.items()}
    yield made
    for connection in made.values():
        connection.close()


def differences(connection: Connection, app: str) -> list[drift.Difference]:
    return drift.compare(snapshot.load(app), snapshot.read(connection, app))


def statements(difference: drift.Difference) -> tuple[str, ...]:
    """What the line gives to run, empty where it gives words."""
    _, backtick, rest = difference.way_out.partition("`")
    statement = rest.partition("`")[0]
    return tuple(statement.split("; ")) if backtick and re.match(r"[A-Z]+ [A-Z(]", statement) else ()


@pytest.mark.parametrize(("app", "change"), CHANGES)
def test_a_way_out_that_is_a_statement_leads_out(app: str, change: str, connections: dict[str, Connection]) -> None:
    """But without CONCURRENTLY, for it is rolled back."""
    connection = connections[app]
    with connection.transaction(force_rollback=True):
        connection.execute(change)
        told = differences(connection, app)
        assert told
        typed = any((it.kind, it.detail) == ("column", "type") for it in told)
        for difference in () if typed else told:  # what goes with a column's type can't come back before it
            by_owner = f"by an administrator (pgstack psql {app} --admin)" not in difference.way_out
            connection.execute(f"SET LOCAL SESSION AUTHORIZATION {f'{app}_owner_1' if by_owner else 'DEFAULT'}")
            if by_owner:  # as its login begins
                connection.execute(f"SET LOCAL ROLE {app}_owner; SET LOCAL search_path = {app}, extensions")
            given = statements(difference)
            for statement in given:
                connection.execute(statement.replace(" CONCURRENTLY", ""))
            connection.execute("SET LOCAL SESSION AUTHORIZATION DEFAULT")
            if given:
                left = {(it.kind, it.name, it.detail) for it in differences(connection, app)}
                assert (difference.kind, difference.name, difference.detail) not in left, given


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX bots.bots_org_id_idx",
        'CREATE INDEX "Added.Index" ON bots.bots (name)',
        "DROP INDEX bots.bots_org_id_idx; CREATE INDEX bots_org_id_idx ON bots.bots USING hash (organization_id)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'bots.ix_bots_search'::regclass",
        "CREATE INDEX ix_added ON bots.bot_logs (level)",
        "DROP INDEX bots.ix_bot_logs_newest",
    ],
)
def test_what_is_to_be_run_concurrently_can_be(
    change: str, prepared: dict[str, Prepared], connections: dict[str, Connection]
) -> None:
    connections["bots"].execute(change)
    told = differences(connections["bots"], "bots")
    with closing(psycopg.connect(prepared["bots"].owner_url, autocommit=True)) as owner:
        for difference in told:
            for statement in statements(difference):
                owner.execute(statement)

    assert told
    assert differences(connections["bots"], "bots") == []


def test_an_index_that_a_partition_lacks_is_built_beside_its_writers_and_attached(
    prepared: dict[str, Prepared], connections: dict[str, Connection]
) -> None:
    connection = connections["bots"]
    connection.execute(
        "DROP INDEX bots.ix_bot_logs_newest; CREATE INDEX ix_bot_logs_newest ON ONLY bots.bot_logs"
        " USING btree (organization_id, bot_id, created_at DESC)"
    )
    parent, *children = differences(connection, "bots")
    assert parent.detail == "state"
    assert "as soon as an index of each partition is attached to it" in parent.way_out
    with closing(psycopg.connect(prepared["bots"].owner_url, autocommit=True)) as owner:
        for difference in children:
            for statement in statements(difference):
                owner.execute(statement)

    assert len(children) >= 3
    assert differences(connection, "bots") == []


@pytest.mark.parametrize(
    ("change", "anchor"),
    [
        ("ALTER TABLE bots.bots ALTER name DROP NOT NULL", "make-a-column-not-null"),
        ("DROP INDEX bots.ix_bot_logs_newest", "add-an-index"),
        ("DROP INDEX bots.bots_org_id_idx", None),
        ("ALTER TABLE bots.notifications DROP CONSTRAINT pk_notifications", "add-a-unique-constraint"),
        ("ALTER TABLE bots.bot_logs DROP CONSTRAINT fk_bot_logs_bot_id", "add-a-foreign-key"),
        ("ALTER TABLE bots.settings DROP CONSTRAINT fk_settings_organization_id", None),
    ],
)
def test_a_way_out_that_makes_others_wait_says_so_and_names_the_recipe(
    connections: dict[str, Connection], change: str, anchor: str | None
) -> None:
    connection = connections["bots"]
    with connection.transaction(force_rollback=True):
        connection.execute(change)
        [told] = differences(connection, "bots")

    found = re.search(r"\(others wait while it reads every row; beside them: docs/migrations\.md#(\S+)\)", told.way_out)
    assert (found and found[1]) == anchor
    headings = re.findall("^## (.*)$", (CHECKOUT / "docs/migrations.md").read_text(), re.MULTILINE)
    assert anchor is None or anchor in {re.sub("[^a-z ]", "", it.lower()).replace(" ", "-") for it in headings}


@pytest.mark.parametrize("option", ["", " WITH GRANT OPTION"])
def test_what_is_taken_of_a_table_is_given_back_on_the_columns_that_had_it(
    connections: dict[str, Connection], option: str
) -> None:
    connection = connections["bots"]
    with connection.transaction(force_rollback=True):
        connection.execute(f"GRANT SELECT ON bots.users TO bots_readonly{option}")
        [told] = differences(connection, "bots")
        for statement in statements(told):
            connection.execute(statement)

        assert differences(connection, "bots") == []


def test_a_table_whose_name_has_a_dot_is_one_difference(connections: dict[str, Connection]) -> None:
    connection = connections["bots"]
    with connection.transaction(force_rollback=True):
        connection.execute('CREATE TABLE bots."Odd.Table" (id serial PRIMARY KEY, "c.d" integer UNIQUE)')
        connection.execute('GRANT SELECT ("c.d") ON bots."Odd.Table" TO PUBLIC')
        [told] = differences(connection, "bots")

    assert (told.kind, told.name) == ("table", '"Odd.Table"')


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ALTER TABLE dovvybuddy.dive_sites RENAME COLUMN description TO text", "what was renamed is named back"),
        ("CREATE TABLE dovvybuddy.notes (id text)", "drop it only once nobody needs its rows"),
        ("ALTER TABLE dovvybuddy.leads ALTER COLUMN created_at TYPE timestamp", "converts every value"),
    ],
)
def test_no_way_out_is_a_statement_that_takes_rows_along_unsaid(
    connections: dict[str, Connection], change: str, told: str
) -> None:
    connection = connections["dovvybuddy"]
    with connection.transaction(force_rollback=True):
        connection.execute(change)
        found = drift.compare(snapshot.load("dovvybuddy"), snapshot.read(connection, "dovvybuddy"))

    assert any(told in it.way_out for it in found)
    assert not any(re.search(r"DROP (?:TABLE|COLUMN)|\bTYPE ", it.way_out) for it in found)
