"""CREATE INDEX CONCURRENTLY, made safe to run again.

One that fails or is killed leaves an INVALID index behind, which IF NOT EXISTS would take for the finished one: writes
pay for it and no query uses it. So it is dropped before the statement runs, and afterwards the new one must be valid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import sqlalchemy
from psycopg import sql
from sqlalchemy import event

from db.migrations.statements import INDEX, Schema, split

Connection = psycopg.Connection[tuple[Any, ...]]


class InvalidIndexError(Exception):
    """An index that the server built and marked as invalid."""


def watch(connection: sqlalchemy.Connection, control: Connection, app: str, report: Callable[[str], None]) -> None:
    """From now on, look after every CREATE INDEX CONCURRENTLY that `connection` sends, by way of `control`.

    A statement whose index is invalid in the end raises InvalidIndexError.
    """
    schema = Schema(app)

    def before(_: object, __: object, statement: str, *___: object) -> None:
        if found := _index(statement, schema):
            for name in _invalid(control, *found):
                report(f"{app}: dropping {name}, which an index build that did not end left invalid")
                control.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(*name.split(".", 1))))

    def after(_: object, __: object, statement: str, *___: object) -> None:
        if (found := _index(statement, schema)) and (names := _invalid(control, *found)):
            raise InvalidIndexError(f"index {', '.join(names)} is invalid: another session may have stopped its build")

    event.listen(connection, "before_cursor_execute", before)
    event.listen(connection, "after_cursor_execute", after)


def _index(statement: str, schema: Schema) -> tuple[str, str] | None:
    """Name and table of the index that `statement` builds concurrently."""
    if "concurrently" not in statement.lower():
        return None
    matches = [INDEX.match(it.words) for it in split(statement)]
    for found in matches:
        if found and found["concurrently"] and found["index"]:
            return found["index"].rpartition(".")[2].strip('"'), schema.name(found["table"])
    return None


def _invalid(control: Connection, index: str, table: str) -> list[str]:
    """The index by its full name, if it is there and invalid."""
    rows = control.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relname = %s AND i.indrelid = to_regclass(%s) AND NOT i.indisvalid",
        (index, table),
    )
    return [name for (name,) in rows]
