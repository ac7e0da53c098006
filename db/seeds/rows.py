"""Writing a seed set: rows of tables, with keys that are the same in every database."""

from __future__ import annotations

import importlib
import itertools
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psycopg
import sqlalchemy
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase

from db import apps, connections, engine
from db.bulk import assigned
from db.errors import BulkError, SeedError
from db.migrations import lock
from db.seeds import SETS, checksums, generated
from db.seeds.generated import Generated
from db.urls import DatabaseURL

_LANES = 2  # connections: an application's owner has four, see infra/selfhosted/budget.py
_NAME = "pgstack seeds"
_NAMESPACE = uuid.UUID("6e0e4d6c-56b1-5d4e-9a53-3f2c0b1a7d90")  # random once; changing it would seed everything twice


def key(*parts: str) -> uuid.UUID:
    """The id of the row called `parts`, the same wherever and whenever it is seeded (UUID version 5)."""
    return uuid.uuid5(_NAMESPACE, "/".join(parts))


def key_sql(number: str, *parts: str) -> str:
    """SQL for `key(*parts, N)`, N being what the SQL `number` gives."""
    path = "/".join(parts)
    return f"uuid_generate_v5('{_NAMESPACE}', '{path}/' || {number})"


def write(app: str, url: str, sets: Sequence[str], *, ca_file: str | Path | None, report: Callable[[str], None]) -> int:
    """Write the sets: their rows in one transaction, then what is generated. See db.seeds.seed."""
    target = DatabaseURL.parse(url)
    modules = {name: importlib.import_module(f"db.apps.{app}.seeds.{name}") for name in sets}
    total = 0
    try:
        with ExitStack() as held:
            opened = [
                held.enter_context(connections.connect(target, ca_file=ca_file, name=_NAME)) for _ in range(_LANES)
            ]
            # a second run beside this one waits, and then finds every row there
            held.enter_context(lock.held(opened[0], f"the seeds of {app}", report))
            with engine.unpooled(target, ca_file=ca_file, name=_NAME).begin() as connection:
                for name, module in modules.items():
                    for statement in getattr(module, "PREPARE", ()):  # partitions, for instance
                        connection.execute(sqlalchemy.text(statement))
                    rows: Sequence[DeclarativeBase] = getattr(module, "ROWS", ())
                    written = sum(_write(connection, model, same) for model, same in itertools.groupby(rows, type))
                    if rows or not hasattr(module, "GENERATED"):
                        report(f"{app}: seed set {name} wrote {written} rows")
                    total += written
            for name, module in modules.items():
                several: Sequence[Generated] = getattr(module, "GENERATED", ())
                for it in several:
                    began = time.monotonic()
                    written = generated.write(opened, it, progress=partial(_progress, report, app, name))
                    table, took = it.model.__tablename__, time.monotonic() - began
                    report(f"{app}: seed set {name} wrote {written} rows of {table} in {took:.1f} s")
                    total += written
    except (DBAPIError, psycopg.Error, BulkError) as error:
        raise _explained(error, app, sets) from error
    return total


def _progress(report: Callable[[str], None], app: str, name: str, line: str) -> None:
    report(f"{app}: seed set {name} is at {line}")


def _write(connection: sqlalchemy.Connection, model: type[DeclarativeBase], rows: Iterable[DeclarativeBase]) -> int:
    keys = sqlalchemy.inspect(model).primary_key
    # RETURNING counts what was inserted; rowcount is -1 for an insert of several rows
    statement = insert(model).values([assigned(it) for it in rows]).on_conflict_do_nothing().returning(*keys)
    return len(connection.execute(statement).all())


def _explained(error: DBAPIError | psycopg.Error | BulkError, app: str, sets: Sequence[str]) -> SeedError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return SeedError(f"{app} cannot be seeded, its schema is not up to date: run its migrations first")
    if isinstance(cause, BulkError):
        return SeedError(f"{app} cannot be seeded: {cause}")
    if isinstance(cause, psycopg.errors.ForeignKeyViolation) and (first := _first(cause, app, sets)):
        return SeedError(f"{app} cannot be seeded: {first}")
    said = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
    return SeedError(f"{app} cannot be seeded: SQLSTATE {state}, {' '.join((said or str(cause)).split())}")


def _first(error: psycopg.errors.ForeignKeyViolation, app: str, sets: Sequence[str]) -> str:
    """What to seed before, by the table that the broken key leads to; "" where that is not known."""
    tables = importlib.import_module(f"db.apps.{app}.models").Base.metadata.tables.values()
    keys = (key for table in tables if table.schema == app for key in table.foreign_key_constraints)
    parent = next((it.referred_table for it in keys if it.name == error.diag.constraint_name), None)
    if parent is None:
        return ""
    missing = f"its rows refer to rows of {parent} that are not there"
    if parent.schema != app:
        return f"{missing}: seed {apps.host(app)} with {', '.join(sets)} first"
    before = [it for it in checksums(app, SETS[: SETS.index(sets[-1])]) if it not in sets]
    return f"{missing}: seed {before[0]} first, or with it" if before else ""
