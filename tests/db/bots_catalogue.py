"""What the catalogue says of schema bots, an object a line: its kind, its name, its definition.

Partitions are left out: they are what bots.make_partition makes (tests/db/test_bots_procedures.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.db.conftest import Prepared

EXPECTED = Path(__file__).parent / "catalogues" / "bots"

_TABLES = "n.nspname = 'bots' AND NOT c.relispartition AND c.relname NOT IN ('alembic_version', 'migration_history')"
_OF_TABLES = f"JOIN pg_class c ON c.oid = {{}} JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_TABLES}"

QUERIES = {
    "tables": f"""
        SELECT c.relname, concat_ws(', ',
            CASE c.relkind WHEN 'p' THEN 'partitioned by ' || pg_get_partkeydef(c.oid) ELSE 'table' END,
            CASE WHEN c.relrowsecurity THEN 'row security' END, CASE WHEN c.relforcerowsecurity THEN 'forced' END,
            'owned by ' || pg_get_userbyid(c.relowner))
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_TABLES} AND c.relkind IN ('r', 'p')""",
    "columns": f"""
        SELECT c.relname || '.' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN 'not null' END,
            CASE WHEN a.attgenerated = '' THEN 'default ' ELSE 'generated ' END
                || regexp_replace(btrim(pg_get_expr(d.adbin, d.adrelid), E' \n'), '\\s+', ' ', 'g'))
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        {_OF_TABLES.format("a.attrelid")} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped""",
    "indexes": f"""
        SELECT i.relname, concat_ws(' ', pg_get_indexdef(x.indexrelid), CASE WHEN NOT x.indisvalid THEN 'INVALID' END)
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid {_OF_TABLES.format("x.indrelid")}""",
    # in 18 NOT NULL is a constraint too; columns.txt has it
    "constraints": f"""
        SELECT c.relname || '.' || k.conname, pg_get_constraintdef(k.oid)
        FROM pg_constraint k {_OF_TABLES.format("k.conrelid")} AND k.contype IN ('p', 'u', 'f', 'c', 'x')""",
    "triggers": f"""
        SELECT c.relname || '.' || t.tgname, concat_ws(' ',
            substring(pg_get_triggerdef(t.oid) FROM '(?:BEFORE|AFTER).*'),
            CASE WHEN t.tgenabled <> 'O' THEN 'NOT ENABLED' END)
        FROM pg_trigger t {_OF_TABLES.format("t.tgrelid")} AND NOT t.tgisinternal""",
    "policies": f"""
        SELECT c.relname || '.' || p.polname, concat_ws(' ',
            CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
            CASE p.polcmd WHEN '*' THEN 'all' WHEN 'r' THEN 'select' ELSE p.polcmd::text END,
            'to ' || array_to_string(
                ARRAY(SELECT r.rolname FROM pg_roles r WHERE r.oid = ANY(p.polroles) ORDER BY 1), ', '),
            'using ' || regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\\s+', ' ', 'g'),
            'check ' || regexp_replace(pg_get_expr(p.polwithcheck, p.polrelid), '\\s+', ' ', 'g'))
        FROM pg_policy p {_OF_TABLES.format("p.polrelid")}""",
    "enums": """
        SELECT t.typname, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder)
        FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE n.nspname = 'bots' GROUP BY t.typname""",
    "functions": """
        SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', concat_ws(', ',
            CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'returns ' || pg_get_function_result(p.oid) END, l.lanname,
            CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
            CASE WHEN p.prosecdef THEN 'with the owner''s rights' END, array_to_string(p.proconfig, ', '),
            'for ' || array_to_string(ARRAY(
                SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee)::text END
                FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g ORDER BY 1), ' '))
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
        WHERE n.nspname = 'bots'""",
    "grants": f"""
        SELECT c.relname || ' to ' || r.rolname, string_agg(lower(g.privilege_type), ', ' ORDER BY g.privilege_type)
        FROM pg_roles r, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) g
        WHERE {_TABLES} AND c.relkind IN ('r', 'p') AND g.grantee = r.oid AND g.grantee <> c.relowner
        GROUP BY c.relname, r.rolname
        UNION ALL
        SELECT c.relname || ' to ' || r.rolname || ' by column', string_agg(a.attname, ', ' ORDER BY a.attname)
        FROM pg_roles r, pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(a.attacl) g
        WHERE {_TABLES} AND g.grantee = r.oid AND g.privilege_type = 'SELECT' GROUP BY c.relname, r.rolname""",
}


def found(database: Prepared, kind: str) -> dict[str, str]:
    """Name and definition of every object of `kind` that is there."""
    return dict(database.rows(QUERIES[kind].replace("%", "%%")))


def expected(kind: str) -> dict[str, str]:
    """Name and definition of every object of `kind` that should be there."""
    return dict(_lines(kind))


def _lines(kind: str) -> Iterator[tuple[str, str]]:
    for line in (EXPECTED / f"{kind}.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, definition = line.partition(" = ")
            yield name, definition
