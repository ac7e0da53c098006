"""What migrations and seeds leave of an application in a database: to compare environments by."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg

from db import migrations, seeds
from db.migrations import snapshot
from db.migrations.snapshot import Snapshot
from tests.db.catalogue import BOOKKEEPING
from tests.db.conftest import Prepared
from tests.db.environments import API_ROLES

SETS = ("base", "demo")


@dataclass(frozen=True)
class Outcome:
    """The schema, and by table the number of rows and a digest of what does not depend on when they were written."""

    schema: str  # the snapshot, as it is committed
    rows: dict[str, tuple[int, str]]
    written: int


def up(prepared: Prepared, app: str) -> Outcome:
    """Apply all revisions and write the seeds `SETS`."""
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    written = seed(prepared, app)
    return Outcome(schema(prepared, app).text(), _rows(prepared, app), written)


def schema(prepared: Prepared, app: str) -> Snapshot:
    """The snapshot of `app`, read as its owner."""
    with psycopg.connect(prepared.owner_url) as connection:
        return snapshot.read(connection, app)


def seed(prepared: Prepared, app: str) -> int:
    """Write the seeds `SETS`; how many rows that were."""
    return seeds.seed(app, prepared.owner_url, SETS, environment="dev", report=lambda _: None)


def _rows(prepared: Prepared, app: str) -> dict[str, tuple[int, str]]:
    tables = prepared.rows(_TABLES, app, list(BOOKKEEPING))
    # to_jsonb shows numbers and vectors alike in all versions
    digest = "SELECT count(*), md5(coalesce(string_agg(line, E'\\n' ORDER BY line), '')) FROM (SELECT"
    return {
        table: prepared.rows(f"{digest} (to_jsonb(t) - %s::text[])::text AS line FROM {app}.{table} t) s", left_out)[0]
        for table, left_out in tables
    }


def strangers_rights(prepared: Prepared, app: str) -> list[tuple[Any, ...]]:
    """What PUBLIC and the roles of a provider's API were given in the schema of `app`, now or for the future."""
    with closing(prepared.admin()) as admin:
        return admin.execute(_STRANGERS_RIGHTS, {"app": app, "roles": list(API_ROLES)}).fetchall()


# left out of a digest: instants, and ids that the database makes
_TABLES = """
    SELECT c.relname, coalesce(array_agg(a.attname::text) FILTER (WHERE t.typcategory = 'D' OR t.typname = 'tstzrange'
        OR pg_get_expr(d.adbin, d.adrelid) ~ 'uuid'), '{}')
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relname <> ALL (%s) GROUP BY 1"""
_STRANGERS_RIGHTS = """
    SELECT name, CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END, g.privilege_type
    FROM (
        SELECT 'schema ' || nspname AS name, nspacl AS acl FROM pg_namespace WHERE nspname = %(app)s
        UNION ALL SELECT relname, relacl FROM pg_class WHERE relnamespace = to_regnamespace(%(app)s)
        UNION ALL SELECT c.relname || '.' || a.attname, a.attacl
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = to_regnamespace(%(app)s)
        UNION ALL SELECT p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner)) FROM pg_proc p
            WHERE p.pronamespace = to_regnamespace(%(app)s)
        UNION ALL SELECT 'what its owner will make', d.defaclacl FROM pg_default_acl d
            WHERE d.defaclrole = to_regrole(%(app)s || '_owner')
    ) objects, aclexplode(acl) g
    WHERE g.grantee = 0 OR pg_get_userbyid(g.grantee) = ANY (%(roles)s)"""
