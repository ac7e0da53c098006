"""The conventions of docs/conventions.md, asked of every app's migrated schema; exceptions have names and reasons."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest

from db import apps, migrations
from tests.db.catalogue import BOOKKEEPING
from tests.db.conftest import Connection, Prepare, Prepared

DOCUMENT = (Path(__file__).parents[2] / "docs" / "conventions.md").read_text()

# Each gives the names of what breaks the rule. `ours` are the app's tables; partitions are their parents' matter.
_OURS = """WITH ours AS (
    SELECT oid, relname AS "table", relrowsecurity AND relforcerowsecurity AS guarded FROM pg_class
    WHERE relnamespace = %(app)s::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        AND relname != ALL(%(bookkeeping)s)
), columns AS (
    SELECT o.*, attname::text AS "column", attnum, attnotnull, atthasdef, format_type(atttypid, atttypmod) AS "type"
    FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid WHERE attnum > 0 AND NOT attisdropped
), constraints AS (
    SELECT o.*, conname::text AS name, contype, conkey, pg_get_constraintdef(k.oid) AS definition
    FROM ours o JOIN pg_constraint k ON k.conrelid = o.oid
), indexes AS (
    SELECT o.*, i.relname::text AS name, x.*, pg_get_indexdef(i.oid) AS definition,
        EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid AND conrelid = o.oid) AS of_constraint
    FROM ours o JOIN pg_index x ON x.indrelid = o.oid JOIN pg_class i ON i.oid = x.indexrelid
) """
RULES = {
    "tables are plural": 'SELECT "table" FROM ours WHERE "table" !~ \'^[a-z]+(_[a-z]+)*s$\'',
    "columns are snake_case": """SELECT "table" || '.' || "column" FROM columns
        WHERE "column" !~ '^[a-z][a-z0-9]*(_[a-z0-9]+)*$'""",
    "the key is id": """SELECT "table" FROM ours o
        WHERE NOT EXISTS (SELECT FROM constraints k WHERE k.oid = o.oid AND definition = 'PRIMARY KEY (id)')""",
    "constraints are named for kind and table": """SELECT name FROM constraints
        WHERE contype != 'n' AND name !~ ('^' || contype::text || '[kq]_' || "table")""",
    "indexes are named for kind and table": """SELECT name FROM indexes WHERE NOT of_constraint AND NOT starts_with(
        name, CASE WHEN indisunique THEN 'uq_' ELSE 'ix_' END || "table" || '_')""",
    "instants are timestamptz": """SELECT "table" || '.' || "column" FROM columns
        WHERE "type" ~ '^time' AND "type" !~ '^timestamp.* with time zone$'""",
    "texts are text and documents are jsonb": """SELECT "table" || '.' || "column" FROM columns
        WHERE "type" ~ '^(character|json$|money|real|xml|"char")'""",
    "every table has created_at": """SELECT "table" FROM ours o WHERE NOT EXISTS (SELECT FROM columns c
        WHERE c.oid = o.oid AND "column" = 'created_at' AND attnotnull AND atthasdef)""",
    "updated_at is kept by a trigger": """SELECT "table" FROM columns c WHERE "column" = 'updated_at' AND NOT EXISTS
        (SELECT FROM pg_trigger t WHERE tgrelid = c.oid AND NOT tgisinternal AND tgtype & 19 = 19)""",
    "every foreign key has an index": """SELECT name FROM constraints k WHERE contype = 'f' AND NOT EXISTS (
        SELECT FROM indexes x WHERE x.oid = k.oid AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)""",
    "a deleted row holds no unique value": """SELECT x.name FROM indexes x JOIN columns c USING (oid)
        WHERE c."column" = 'deleted_at' AND indisunique AND x.definition !~ 'deleted_at IS NULL'
            AND NOT EXISTS (
                SELECT FROM columns k WHERE k.oid = x.oid AND k."column" = 'id' AND k.attnum = ANY(indkey))""",
    "an organization's rows are guarded": """SELECT "table" FROM columns c
        WHERE "column" = 'organization_id'
            AND (NOT guarded OR NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid))""",
    "closed lists are checks": """SELECT typname::text FROM pg_type
        WHERE typnamespace = %(app)s::regnamespace AND typtype = 'e'""",
    "extensions stand in their own schema": """SELECT extname::text FROM pg_extension
        WHERE extname != 'plpgsql' AND extnamespace != 'extensions'::regnamespace""",
    "nothing stands in public": "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace",
}
# By app and rule, patterns of the names that break it; docs/conventions.md says why. None may be without effect.
_BY = r"fk_\w+_(created|updated|deleted)_by_id(_users)?"
EXCEPTIONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("bots", "tables are plural"): (r"\w+_history",),
    ("bots", "the key is id"): (r"\w+_history", "bot_logs", "activity_logs", "role_permissions"),
    ("bots", "indexes are named for kind and table"): (r"bots_(org_id|slug|active|next_run)_idx",),
    ("bots", "every table has created_at"): (r"\w+_history",),
    ("bots", "updated_at is kept by a trigger"): (r"\w+_history",),
    ("bots", "every foreign key has an index"): (_BY,),
    ("bots", "a deleted row holds no unique value"): (
        "uq_api_keys_key_hash",
        "uq_organization_members_organization_id_user_id",
    ),
    ("bots", "closed lists are checks"): (r"[a-z]+_[a-z]+",),
    ("maps", "instants are timestamptz"): (r"\w+\.\w+_at",),
    ("maps", "updated_at is kept by a trigger"): ("accounts", "sessions", "users", "verifications"),
    ("panamia", "tables are plural"): ("screenname_history",),
    ("panamia", "the key is id"): ("accounts", "sessions", "verification_tokens"),
}
# Breaks every rule once, with the name that must be told.
MISTAKES = """
CREATE TABLE maps."order" ("userId" text REFERENCES maps.users (id), at time, kind varchar(9), organization_id uuid);
CREATE TABLE maps.slips (id text CONSTRAINT my_key PRIMARY KEY, created_at timestamptz, updated_at timestamptz);
CREATE TABLE maps.names (id text CONSTRAINT pk_names PRIMARY KEY, name text, deleted_at timestamptz);
CREATE UNIQUE INDEX uq_names_name ON maps.names (name);
CREATE INDEX my_index ON maps.names (name);
CREATE TYPE maps.mood AS ENUM ('fine');
CREATE TABLE public.strays (id text);
ALTER EXTENSION pg_trgm SET SCHEMA public;
"""
TOLD = {
    "tables are plural": "order",
    "columns are snake_case": "order.userId",
    "the key is id": "order",
    "constraints are named for kind and table": "my_key",
    "indexes are named for kind and table": "my_index",
    "instants are timestamptz": "order.at",
    "texts are text and documents are jsonb": "order.kind",
    "every table has created_at": "slips",
    "updated_at is kept by a trigger": "slips",
    "every foreign key has an index": "order_userId_fkey",
    "a deleted row holds no unique value": "uq_names_name",
    "an organization's rows are guarded": "order",
    "closed lists are checks": "mood",
    "extensions stand in their own schema": "pg_trgm",
    "nothing stands in public": "strays",
}
PAIRS = [(app, rule) for app in apps.names() for rule in RULES]


@pytest.fixture(scope="module")
def databases(prepare: Prepare) -> dict[str, Prepared]:
    """A migrated database of each app; a guest is in one with its host."""
    made = {app: prepare(app) for app in apps.names()}
    for app, prepared in made.items():
        migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    return made


def breaking(connection: Connection, app: str, rule: str) -> set[str]:
    found = connection.execute(_OURS + RULES[rule], {"app": app, "bookkeeping": list(BOOKKEEPING)})
    return {str(name) for (name,) in found.fetchall()}


@pytest.mark.parametrize(("app", "rule"), PAIRS)
def test_every_app_keeps_the_rule_but_for_named_exceptions(app: str, rule: str, databases: dict[str, Prepared]) -> None:
    with closing(databases[app].admin()) as connection:
        found = breaking(connection, app, rule)
    patterns = EXCEPTIONS.get((app, rule), ())

    assert {it for it in found if not any(re.fullmatch(pattern, it) for pattern in patterns)} == set()
    # nor an exception that is none any more
    assert [it for it in patterns if not any(re.fullmatch(it, name) for name in found)] == []


@pytest.mark.parametrize("rule", RULES)
def test_what_breaks_a_rule_is_told(rule: str, databases: dict[str, Prepared]) -> None:
    with closing(databases["maps"].admin()) as connection, connection.transaction(force_rollback=True):
        connection.execute(MISTAKES)

        assert TOLD[rule] in breaking(connection, "maps", rule)


@pytest.mark.parametrize("app", apps.names())
def test_every_migration_says_what_it_is_for_and_undoes_no_more_than_it_did(app: str) -> None:
    for revision in migrations.revisions(app):  # raises for a header that lacks a line
        text = revision.path.read_text()

        assert revision.purpose
        assert revision.rollback
        assert "def downgrade() -> None:" in text
        assert not re.search(r"DROP\s+(SCHEMA|EXTENSION)", text, re.IGNORECASE)


def test_the_document_has_every_rule_and_exactly_these_exceptions() -> None:
    rules = {" ".join(it.lower().split()) for it in re.findall(r"\*\*(.+?)\*\*", DOCUMENT)}
    table = re.findall(r"^\| (\w+) \| ([^|]+) \| [^|]+ \| [^|]+ \|$", DOCUMENT, re.MULTILINE)

    assert rules == RULES.keys()
    assert {(app, rule) for app, rule in table if app != "app"} == EXCEPTIONS.keys()
