"""What a schema consists of, as the server itself tells it: for tests that compare it with a list written by hand.

A list names each object, so that the test of a missing one fails under its name; `further` names what nobody listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from db.migrations.history import TABLE, VERSION_TABLE
from tests.db.conftest import Connection, Prepared

BOOKKEEPING = (TABLE, VERSION_TABLE)


@dataclass(frozen=True)
class Catalogue:
    """Objects of one schema by "table.name", the bookkeeping of migrations left out."""

    columns: Mapping[str, str]  # "text", "text?" where NULL is allowed, "text = default", "text generated expression"
    constraints: Mapping[str, str]
    indexes: Mapping[str, str]  # without those of primary keys and UNIQUE constraints, which stand among constraints
    triggers: Mapping[str, str]
    functions: Mapping[str, str]  # by signature; the body without leading and trailing blanks
    routines: Mapping[str, str]  # by signature; what functions and procedures give, whose rights they have, who may
    policies: Mapping[str, str]  # "table.policy"
    enums: Mapping[str, int]  # "type.value": its place
    privileges: Mapping[str, frozenset[str]]  # "table.role"; "SELECT (a, b)" where only those columns are granted
    row_security: Mapping[str, bool]  # by table
    storage: Mapping[str, str]  # by table: partitioned or not, its row-level security, its owner
    partitions: Mapping[str, str]  # "table+2": that of the second month after the one the schema was made in
    others: frozenset[str]  # views, sequences, types, policies: "kind name"

    @property
    def tables(self) -> frozenset[str]:
        """Names of the tables."""
        return frozenset(self.row_security)


def read(prepared: Prepared, schema: str) -> Catalogue:
    """The catalogue of `schema` in the database of `prepared`."""
    with closing(prepared.admin()) as connection:
        return read_by(connection, schema)


def read_by(connection: Connection, schema: str) -> Catalogue:
    """The same on a superuser's connection, whose search_path is then empty."""
    connection.execute("SET search_path = ''")  # then every name is shown with its schema

    def rows(query: str) -> list[tuple[Any, ...]]:
        given = {"schema": schema, "bookkeeping": list(BOOKKEEPING)}
        return connection.execute(query.replace("{c}", _OURS), given).fetchall()

    def by_name(query: str) -> dict[str, Any]:
        return {".".join(row[:-1]): row[-1] for row in rows(query)}

    return Catalogue(
        columns=by_name(_COLUMNS),
        constraints=by_name(_CONSTRAINTS),
        indexes={name: text.partition(" ON ")[2] for name, text in by_name(_INDEXES).items()},
        triggers=by_name(_TRIGGERS),
        functions=by_name(_FUNCTIONS),
        routines=by_name(_ROUTINES),
        policies=by_name(_POLICIES),
        enums=by_name(_ENUMS),
        privileges=_together(rows(_PRIVILEGES)),
        row_security=by_name(_ROW_SECURITY),
        storage=by_name(_STORAGE),
        partitions=_months(connection, schema, rows(_PARTITIONS)),
        others=frozenset(row[0] for row in rows(_OTHERS)),
    )


def columns(table: str, *lines: str) -> dict[str, str]:
    """Expected columns of `table` by "table.column", from lines such as "name text?" and "size integer = 0"."""
    return {f"{table}.{line.partition(' ')[0]}": line.partition(" ")[2] for line in lines}


def further(found: Iterable[str], expected: Iterable[str]) -> list[str]:
    """What is there but not expected."""
    return sorted(set(found) - set(expected))


def _together(found: list[tuple[str, str, list[str]]]) -> dict[str, frozenset[str]]:
    together: dict[str, frozenset[str]] = {}
    for table, role, given in found:
        together[f"{table}.{role}"] = together.get(f"{table}.{role}", frozenset()) | frozenset(given)
    return together


def _months(connection: Connection, schema: str, found: list[tuple[str, str, str]]) -> dict[str, str]:
    """Partitions by table and distance from the month in which the schema was made, however long ago that is."""
    if not found:
        return {}
    first = connection.execute(
        sql.SQL("SELECT to_char(min(applied_at) AT TIME ZONE 'UTC', 'YYYY_MM') FROM {}").format(
            sql.Identifier(schema, TABLE)
        )
    ).fetchone()
    assert first is not None
    return {f"{parent}+{_month(name) - _month(first[0])}": text for parent, name, text in found}


def _month(name: str) -> int:
    year, month = name.split("_")[-2:]
    return int(year) * 12 + int(month)


_OURS = (
    "c.relnamespace = to_regnamespace(%(schema)s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    " AND c.relname <> ALL (%(bookkeeping)s)"
)
_COLUMNS = """
    SELECT c.relname, a.attname,
        replace(replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz'),
            'timestamp without time zone', 'timestamp')
        || CASE WHEN a.attnotnull THEN '' ELSE '?' END
        || coalesce(CASE a.attgenerated WHEN '' THEN ' = ' ELSE ' generated ' END
            || btrim(regexp_replace(pg_get_expr(d.adbin, d.adrelid), '\\s+', ' ', 'g')), '')
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum WHERE {c}"""
_CONSTRAINTS = """
    SELECT c.relname, o.conname, pg_get_constraintdef(o.oid)
    FROM pg_class c JOIN pg_constraint o ON o.conrelid = c.oid AND o.contype NOT IN ('n', 't') WHERE {c}"""
_INDEXES = """
    SELECT c.relname, i.relname, pg_get_indexdef(x.indexrelid)
        || CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END || CASE WHEN x.indisunique THEN ' UNIQUE' ELSE '' END
    FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid
    WHERE {c} AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.oid AND o.conrelid = c.oid)"""
_TRIGGERS = """
    SELECT c.relname, t.tgname, substring(pg_get_triggerdef(t.oid) FROM 'TRIGGER \\S+ (.*)')
        || CASE t.tgenabled WHEN 'O' THEN '' ELSE ' (not enabled)' END
    FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal WHERE {c}"""
_FUNCTIONS = """
    SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', btrim(p.prosrc, E' \\n')
    FROM pg_proc p WHERE p.pronamespace = to_regnamespace(%(schema)s)"""
_ROUTINES = """
    SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', concat_ws(', ',
        CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'returns ' || pg_get_function_result(p.oid) END, l.lanname,
        CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
        CASE WHEN p.prosecdef THEN 'with the owner''s rights' END, array_to_string(p.proconfig, ', '),
        'for ' || array_to_string(ARRAY(
            SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END
            FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g ORDER BY 1), ' '))
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = to_regnamespace(%(schema)s)"""
_POLICIES = """
    SELECT c.relname, p.polname, concat_ws(' ',
        CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
        CASE p.polcmd WHEN '*' THEN 'all' WHEN 'r' THEN 'select' ELSE p.polcmd::text END,
        'to ' || array_to_string(
            ARRAY(SELECT r.rolname FROM pg_roles r WHERE r.oid = ANY (p.polroles) ORDER BY 1), ', '),
        'using ' || regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\\s+', ' ', 'g'),
        'check ' || regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '\\s+', ' ', 'g'))
    FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid WHERE {c}"""
_ENUMS = """
    SELECT t.typname, e.enumlabel, row_number() OVER (PARTITION BY t.oid ORDER BY e.enumsortorder)
    FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid WHERE t.typnamespace = to_regnamespace(%(schema)s)"""
_PRIVILEGES = """
    SELECT c.relname, g.grantee::regrole::text, array_agg(g.privilege_type)
    FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g
    WHERE {c} AND g.grantee <> c.relowner GROUP BY 1, 2
    UNION ALL
    SELECT c.relname, g.grantee::regrole::text,
        ARRAY[g.privilege_type || ' (' || string_agg(a.attname, ', ' ORDER BY a.attname) || ')']
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) g
    WHERE {c} GROUP BY 1, 2, g.privilege_type"""
_ROW_SECURITY = "SELECT c.relname, c.relrowsecurity FROM pg_class c WHERE {c}"
_STORAGE = """
    SELECT c.relname, concat_ws(', ',
        CASE c.relkind WHEN 'p' THEN 'partitioned by ' || pg_get_partkeydef(c.oid) ELSE 'table' END,
        CASE WHEN c.relrowsecurity THEN 'row security' END, CASE WHEN c.relforcerowsecurity THEN 'forced' END,
        'owned by ' || pg_get_userbyid(c.relowner))
    FROM pg_class c WHERE {c}"""
_PARTITIONS = """
    SELECT p.relname, c.relname, concat_ws(', ',
        CASE WHEN pg_get_expr(c.relpartbound, c.oid) = format('FOR VALUES FROM (%%L) TO (%%L)', m.month, m.next) THEN
            'its month in UTC' END,
        CASE WHEN c.relrowsecurity THEN 'row security' END, CASE WHEN c.relforcerowsecurity THEN 'forced' END,
        'policies: ' || coalesce((SELECT string_agg(polname, ' ') FROM pg_policy WHERE polrelid = c.oid), 'none'),
        'granted to ' || coalesce((SELECT string_agg(DISTINCT g.grantee::regrole::text, ' ')
            FROM aclexplode(c.relacl) g WHERE g.grantee <> c.relowner), 'nobody else'))
    FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'p' JOIN pg_class c ON c.oid = i.inhrelid,
        to_date(right(c.relname, 7), 'YYYY_MM') AS first,
        LATERAL (SELECT first::timestamp AT TIME ZONE 'UTC' AS month,
            (first + interval '1 month') AT TIME ZONE 'UTC' AS next) AS m
    WHERE p.relnamespace = to_regnamespace(%(schema)s)"""
_OTHERS = """
    SELECT CASE relkind WHEN 'S' THEN 'sequence ' WHEN 'c' THEN 'type ' ELSE 'view ' END || relname
    FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s) AND relkind IN ('v', 'm', 'S', 'f', 'c')
        AND relname <> 'migration_history_id_seq'
    UNION ALL SELECT 'type ' || typname FROM pg_type t WHERE typnamespace = to_regnamespace(%(schema)s)
        AND typtype IN ('e', 'd', 'r', 'm')
    UNION ALL SELECT 'policy ' || polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        WHERE c.relnamespace = to_regnamespace(%(schema)s)"""
