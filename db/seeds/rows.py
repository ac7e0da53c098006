"""Writing a seed set: rows of tables, with keys that are the same in every database."""

from __future__ import annotations

import importlib
import itertools
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psycopg
import sqlalchemy
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase

from db import engine
from db.bulk import assigned
from db.errors import BulkError, SeedError
from db.seeds import generated
from db.seeds.generated import Generated
from db.urls import DatabaseURL

_NAMESPACE = uuid.UUID("6e0e4d6c-56b1-5d4e-9a53-3f2c0b1a7d90")  # random once; changing it would seed everything twice


def key(*parts: str) -> uuid.UUID:
    """The id of the row called `parts`, the same wherever and whenever it is seeded (UUID version 5)."""
    return uuid.uuid5(_NAMESPACE, "/".join(parts))


def write(app: str, url: str, sets: Sequence[str], *, ca_file: str | Path | None, report: Callable[[str], None]) -> int:
    """Write the sets: their rows in one transaction, then what is generated. See db.seeds.seed."""
    source = engine.unpooled(DatabaseURL.parse(url), ca_file=ca_file, name="pgstack seeds")
    modules = {name: importlib.import_module(f"db.apps.{app}.seeds.{name}") for name in sets}
    total = 0
    try:
        with source.begin() as connection:
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
                written = generated.write(source, it)
                report(f"{app}: seed set {name} wrote {written} rows of {it.model.__tablename__}")
                total += written
    except (DBAPIError, psycopg.Error, BulkError) as error:
        raise _explained(error, app) from error
    return total


def _write(connection: sqlalchemy.Connection, model: type[DeclarativeBase], rows: Iterable[DeclarativeBase]) -> int:
    keys = sqlalchemy.inspect(model).primary_key
    # RETURNING counts what was inserted; rowcount is -1 for an insert of several rows
    statement = insert(model).values([assigned(it) for it in rows]).on_conflict_do_nothing().returning(*keys)
    return len(connection.execute(statement).all())


def _explained(error: DBAPIError | psycopg.Error | BulkError, app: str) -> SeedError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return SeedError(f"{app} cannot be seeded, its schema is not up to date: run its migrations first")
    if isinstance(cause, BulkError):
        return SeedError(f"{app} cannot be seeded: {cause}")
    said = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
    return SeedError(f"{app} cannot be seeded: SQLSTATE {state}, {' '.join((said or str(cause)).split())}")
