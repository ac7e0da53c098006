"""CREATE INDEX CONCURRENTLY, made safe to run again.

One that fails or is killed leaves an INVALID index behind, which IF NOT EXISTS would take for the finished one: writes
pay for it and no query uses it. So it is dropped before the statement runs, and afterwards the new one must be valid.
Nor does IF NOT EXISTS compare more than the name: what has it already must be what the statement would build.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy
from psycopg import sql
from sqlalchemy import event

from db.migrations.statements import INDEX, NAME, Schema, split

Connection = psycopg.Connection[tuple[Any, ...]]


class InvalidIndexError(Exception):
    """An index that the server built and marked as invalid."""


class OtherIndexError(Exception):
    """IF NOT EXISTS would pass over something of that name that is not the index of the statement."""


@dataclass(frozen=True)
class _Index:
    """What a CREATE INDEX CONCURRENTLY builds; `definition` is the statement from the parenthesis or USING on."""

    name: str
    table: str
    unique: bool
    definition: str


def watch(connection: sqlalchemy.Connection, control: Connection, app: str, report: Callable[[str], None]) -> None:
    """From now on, look after every CREATE INDEX CONCURRENTLY that `connection` sends, by way of `control`.

    A statement whose index is invalid in the end raises InvalidIndexError; one whose name is taken, OtherIndexError.
    """
    schema = Schema(app)

    def before(_: object, __: object, statement: str, *___: object) -> None:
        if found := _index(statement, schema):
            for name in _invalid(control, found):
                report(f"{app}: dropping {name}, which an index build that did not end left invalid")
                control.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(*name.split(".", 1))))
            _refuse_another(control, app, found)

    def after(_: object, __: object, statement: str, *___: object) -> None:
        if (found := _index(statement, schema)) and (names := _invalid(control, found)):
            raise InvalidIndexError(f"index {', '.join(names)} is invalid: another session may have stopped its build")

    event.listen(connection, "before_cursor_execute", before)
    event.listen(connection, "after_cursor_execute", after)


def _index(statement: str, schema: Schema) -> _Index | None:
    """The index that `statement` builds concurrently, by a name of its own."""
    if "concurrently" not in statement.lower():
        return None
    for it in split(statement):
        found, written = INDEX.match(it.words), _CREATE.match(it.text)
        if found and written and found["concurrently"] and found["index"]:
            name = found["index"].rpartition(".")[2].strip('"')
            unique = it.words.startswith("create unique")
            return _Index(name, schema.name(found["table"]), unique, it.text[written.end() :])
    return None


def _invalid(control: Connection, index: _Index) -> list[str]:
    """The index by its full name, if it is there and invalid."""
    rows = control.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relname = %s AND i.indrelid = to_regclass(%s) AND NOT i.indisvalid",
        (index.name, index.table),
    )
    return [name for (name,) in rows]


def _refuse_another(control: Connection, app: str, index: _Index) -> None:
    """Raise OtherIndexError where the name is taken by anything but the index that the statement would build."""
    with control.transaction(force_rollback=True):
        # the server leaves out the schemas that are on the path, so it is the same for both texts
        control.execute(sql.SQL("SET LOCAL search_path = {}, extensions").format(sql.Identifier(app)))
        taken = control.execute(
            f"SELECT i.indrelid = t.oid, {_WRITTEN} FROM pg_class t"  # noqa: S608  # our own text
            " JOIN pg_class c ON c.relnamespace = t.relnamespace AND c.relname = %s"
            " LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE t.oid = to_regclass(%s)",
            (index.name, index.table),
        ).fetchone()
        if taken is None:
            return
        its, there = taken
        if not its:
            raise OtherIndexError(f"the name {index.name} is taken by something that is no index of {index.table}")
        wanted = _as_built(control, index)
    if wanted != there:
        raise OtherIndexError(
            f"index {index.name} of {index.table} is there already as `{there}`, and not as `{wanted}`: drop or rename"
            " it, or give the new one another name"
        )


def _as_built(control: Connection, index: _Index) -> str:
    """How the server writes the index once built, tried on an empty copy of the table in the open transaction."""
    table = [part.strip('"') for part in index.table.split(".", 1)]
    copy = sql.Identifier("pg_temp", table[-1])  # by that name, for columns may be qualified with it
    control.execute(sql.SQL("CREATE TABLE {} (LIKE {})").format(copy, sql.Identifier(*table)))
    unique = sql.SQL("UNIQUE " if index.unique else "")
    create = sql.SQL("CREATE {}INDEX pgstack_as_built ON {} ").format(unique, copy)
    control.execute(create.as_bytes(control) + index.definition.encode())
    row = control.execute(
        f"SELECT {_WRITTEN} FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"  # noqa: S608  # our own text
        " WHERE c.relname = 'pgstack_as_built' AND c.relnamespace = pg_my_temp_schema()"
    ).fetchone()
    assert row is not None  # noqa: S101  # it was created just above
    return str(row[0])


# everything but the names of index and table
_WRITTEN = (
    "concat(CASE WHEN i.indisunique THEN 'UNIQUE ' END,"
    " substr(pg_get_indexdef(i.indexrelid), strpos(pg_get_indexdef(i.indexrelid), ' USING ') + 1))"
)
_SPACED = NAME.replace(r"\.", r"\s*\.\s*")
_CREATE = re.compile(
    rf"create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?{NAME}\s+on\s+(?:only\s+)?{_SPACED}\s*",
    re.IGNORECASE,
)
