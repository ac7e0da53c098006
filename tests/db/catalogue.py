"""What a schema consists of, as the server itself tells it: for tests that compare it with a list written by hand.

A list names each object, so that the test of a missing one fails under its name; `further` names what nobody listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from db.migrations.history import TABLE, VERSION_TABLE
from tests.db.conftest import Connection, Prepared

BOOKKEEPING = (TABLE, VERSION_TABLE)


@dataclass(frozen=True)
class Catalogue:
    """Objects of one schema by "table.name", the bookkeeping of migrations left out."""

    columns: Mapping[str, str]  # "text", "text?" where NULL is allowed, "text = default"
    constraints: Mapping[str, str]
    indexes: Mapping[str, str]  # without those of primary keys and UNIQUE constraints, which stand among constraints
    triggers: Mapping[str, str]
    functions: Mapping[str, str]  # by signature; the body without leading and trailing blanks
    privileges: Mapping[str, frozenset[str]]  # "table.role"
    row_security: Mapping[str, bool]  # by table
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
        privileges={name: frozenset(given) for name, given in by_name(_PRIVILEGES).items()},
        row_security=by_name(_ROW_SECURITY),
        others=frozenset(row[0] for row in rows(_OTHERS)),
    )


def columns(table: str, *lines: str) -> dict[str, str]:
    """Expected columns of `table` by "table.column", from lines such as "name text?" and "size integer = 0"."""
    return {f"{table}.{line.partition(' ')[0]}": line.partition(" ")[2] for line in lines}


def further(found: Iterable[str], expected: Iterable[str]) -> list[str]:
    """What is there but not expected."""
    return sorted(set(found) - set(expected))


_OURS = (
    "c.relnamespace = to_regnamespace(%(schema)s) AND c.relkind IN ('r', 'p') AND c.relname <> ALL (%(bookkeeping)s)"
)
_COLUMNS = """
    SELECT c.relname, a.attname,
        replace(replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz'),
            'timestamp without time zone', 'timestamp')
        || CASE WHEN a.attnotnull THEN '' ELSE '?' END || coalesce(' = ' || pg_get_expr(d.adbin, d.adrelid), '')
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
_PRIVILEGES = """
    SELECT c.relname, g.grantee::regrole::text, array_agg(g.privilege_type)
    FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g
    WHERE {c} AND g.grantee <> c.relowner GROUP BY 1, 2"""
_ROW_SECURITY = "SELECT c.relname, c.relrowsecurity FROM pg_class c WHERE {c}"
_OTHERS = """
    SELECT CASE relkind WHEN 'S' THEN 'sequence ' WHEN 'c' THEN 'type ' ELSE 'view ' END || relname
    FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s) AND relkind IN ('v', 'm', 'S', 'f', 'c')
        AND relname <> 'migration_history_id_seq'
    UNION ALL SELECT 'type ' || typname FROM pg_type t WHERE typnamespace = to_regnamespace(%(schema)s)
        AND typtype IN ('e', 'd', 'r', 'm')
    UNION ALL SELECT 'policy ' || polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        WHERE c.relnamespace = to_regnamespace(%(schema)s)"""
