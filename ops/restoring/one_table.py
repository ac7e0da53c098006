"""One table as it was, copied from a restored cluster into the live one, in a schema beside that of its application."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ops.engine import Engine
from ops.errors import OpsError
from ops.restoring.parts import Table

_COPY = Path(__file__).with_name("copy-table")
_THERE = "SELECT to_regclass('{}') IS NOT NULL"
_TABLES = """\
SELECT string_agg(relname, ', ' ORDER BY relname) FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = to_regnamespace('"{}"')"""
# what both have, as far as it can be written; the key; whether only a superuser sees all rows
_BOTH = """\
SELECT json_build_object(
  'rows', (SELECT count(*) FROM {copy}),
  'columns', (SELECT json_agg(quote_ident(c.attname) ORDER BY c.attnum)
    FROM pg_attribute c JOIN pg_attribute l ON l.attrelid = o.oid AND l.attname = c.attname AND NOT l.attisdropped
    WHERE c.attrelid = '{copy}'::regclass AND c.attnum > 0 AND NOT c.attisdropped AND l.attgenerated = ''),
  'key', (SELECT json_agg(quote_ident(a.attname)) FROM pg_index i JOIN pg_attribute a
    ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = o.oid AND i.indisprimary),
  'numbered', EXISTS (SELECT FROM pg_attribute WHERE attrelid = o.oid AND attidentity = 'a'),
  'guarded', o.relrowsecurity)
FROM pg_class o WHERE o.oid = '{original}'::regclass"""


class NotThereError(OpsError):
    """The table was not there then, so what was restored is of no use for it."""


def insist(engine: Engine, server: str, database: str, table: Table) -> None:
    """Raise OpsError if the live cluster holds a copy of the table from before."""
    if engine.query(server, _THERE.format(table.copy), database=database) == "t":
        raise OpsError(
            f"{table.copies}.{table.name} is there already, brought back before; drop it first:"
            f" pgstack psql {table.app} --direct -c 'DROP TABLE {table.copy}'"
        )


def bring(engine: Engine, stack: str, server: str, past: str, database: str, table: Table, comment: str) -> None:
    """Copy it from container `past` to container `server`, all or nothing. Raises OpsError, EngineError."""
    if engine.query(past, _THERE.format(table.original), database=database) != "t":
        names = engine.query(past, _TABLES.format(table.schema), database=database)
        raise NotThereError(f"there was no table {table} then: {table.schema} had {names or 'none'}")
    arguments = [database, table.schema, table.name, table.copies, f"{table.app}_owner", comment]
    sockets = {"/run/past": engine.socket_of(past), "/run/live": engine.socket_of(server)}
    script = _COPY.read_text()
    engine.once(f"{stack}-copy", server, ["bash", "-c", script, "copy-table", *arguments], sockets, stack)


def told(engine: Engine, server: str, database: str, table: Table) -> list[str]:
    """What can be done with the copy now, as lines to type."""
    if engine.query(server, _THERE.format(table.original), database=database) != "t":
        return [
            f"{table} itself is gone: this puts the copy in its place, and says what else belonged to it",
            _typed(table, "--admin", f'ALTER TABLE {table.copy} SET SCHEMA "{table.schema}"'),
            f"  pgstack migrate check {table.app}",
        ]
    found = json.loads(engine.query(server, _BOTH.format(copy=table.copy, original=table.original), database=database))
    login = "--admin" if found["guarded"] else "--direct"
    return [
        f"{found['rows']:,} rows; those that {table} lacks now:",
        _typed(table, login, missing(table, found)),
        "bring them over:",
        _typed(table, login, over(table, found)),
        "and in the end:",
        _typed(table, "--direct", f'DROP SCHEMA "{table.copies}" CASCADE'),
    ]


def missing(table: Table, found: dict[str, Any]) -> str:
    """The rows of the copy that the original lacks: by its key, where it has one."""
    if not found["key"]:
        columns = ", ".join(found["columns"])
        return f"SELECT {columns} FROM {table.copy} EXCEPT SELECT {columns} FROM {table.original}"  # noqa: S608
    same = " AND ".join(f"l.{it} = c.{it}" for it in found["key"])
    return f"SELECT * FROM {table.copy} c WHERE NOT EXISTS (SELECT FROM {table.original} l WHERE {same})"  # noqa: S608


def over(table: Table, found: dict[str, Any]) -> str:
    """Inserts them, and leaves alone what is there."""
    columns, numbered = ", ".join(found["columns"]), "OVERRIDING SYSTEM VALUE " if found["numbered"] else ""
    source = f"SELECT {columns} FROM {table.copy}"  # noqa: S608
    return f"INSERT INTO {table.original} ({columns}) {numbered}{source} ON CONFLICT DO NOTHING"


def _typed(table: Table, login: str, sql: str) -> str:
    return f"  pgstack psql {table.app} {login} -c '{sql}'"
