"""All rows of a database as numbers that two clusters can be compared by."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg
from psycopg import sql

SAMPLED_FROM = 256 * 1024**2  # bytes; a larger table is compared by that many of its blocks, the same on both sides
_TABLES = """\
SELECT c.oid, n.nspname, c.relname, c.relfilenode, pg_relation_size(c.oid),
  ARRAY(SELECT a.attname::text FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgstack')
ORDER BY n.nspname, c.relname"""
_EXTENSIONS = "SELECT extname, extversion FROM pg_extension ORDER BY 1"
_REVISIONED = """\
SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = 'alembic_version' AND c.relkind = 'r' ORDER BY 1"""
_ROWS = """\
SELECT count(*), coalesce(sum(hashtextextended("the row"::text, 0)), 0)::text FROM ONLY {table} AS "the row" {sample}"""


@dataclass(frozen=True)
class Digest:
    """`sum` does not depend on the rows' order; `percent` of the table's blocks were looked at."""

    rows: int
    sum: str
    percent: float = 100.0


@dataclass(frozen=True)
class Database:
    """Tables by their quoted names; `unread` says why a table is not among them. `revisions`: Alembic's, by schema."""

    tables: Mapping[str, Digest]
    unread: Mapping[str, str] = field(default_factory=dict)
    extensions: Mapping[str, str] = field(default_factory=dict)
    revisions: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Database:
        """From the ledger."""
        return cls(**{**given, "tables": {name: Digest(**it) for name, it in given["tables"].items()}})

    def described(self) -> dict[str, Any]:
        """As it stands in the ledger."""
        return asdict(self)


class UnreadError(Exception):
    """A table that can't be read as it was when the snapshot was taken."""


def read(
    connection: psycopg.Connection[Any],
    *,
    percent: Mapping[str, float] | None = None,
    only: Collection[str] | None = None,
    deadline: float | None = None,
) -> Database:
    """The database under the snapshot of the transaction that `connection` is in.

    `percent` says of which tables only a part is looked at; without it, that follows from their sizes. What is not
    among `only` is left out; what is not read by `deadline` (of time.monotonic) is left out too, and said so, the order
    being random, so that it is not always the same. A table is locked, against no more than its removal, only while it
    is read.
    """
    tables, unread = {}, {}
    found = connection.execute(_TABLES).fetchall()
    random.shuffle(found)
    for oid, schema, name, node, size, columns in found:
        table = sql.Identifier(schema, name)
        shown = table.as_string(connection)
        if only is not None and shown not in only:
            continue
        part = _part(size) if percent is None else percent.get(shown, 100.0)
        try:
            with connection.transaction(force_rollback=True):  # a savepoint: gives its lock back
                tables[shown] = _digest(connection, table, part, deadline)
                _insist_unchanged(connection, table, oid, node, columns)
        except (UnreadError, psycopg.Error) as error:
            tables.pop(shown, None)
            unread[shown] = _reason(error)
    return Database(
        tables=dict(sorted(tables.items())),
        unread=dict(sorted(unread.items())),
        extensions=dict(connection.execute(_EXTENSIONS).fetchall()),
        revisions={schema: _revisions(connection, schema) for (schema,) in connection.execute(_REVISIONED).fetchall()},
    )


def differences(noted: Database, copy: Database) -> list[str]:
    """What of `copy` is not as it was `noted`, each a line that names the table, extension or schema."""
    problems = [
        f"{name}: the copy has {copy.tables[name].rows} rows with checksum {copy.tables[name].sum}, the ledger"
        f" {it.rows} with {it.sum}" + (f" (in {it.percent:.3g}% of its blocks)" if it.percent < 100 else "")  # noqa: PLR2004
        for name, it in noted.tables.items()
        if name in copy.tables and copy.tables[name] != it
    ]
    problems += [f"{name}: not in the copy" for name in noted.tables.keys() - copy.tables.keys() - copy.unread.keys()]
    problems += [f"{name}: in the copy and not in the ledger" for name in copy.tables.keys() - _known(noted)]
    problems += [f"{name}: can't be read in the copy: {reason}" for name, reason in copy.unread.items()]
    for what, ours, theirs in (
        ("extension", noted.extensions, copy.extensions),
        ("Alembic's revision in schema", noted.revisions, copy.revisions),
    ):
        problems += [
            f"{what} {name}: {theirs.get(name, 'none')} in the copy, {ours.get(name, 'none')} in the ledger"
            for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)
        ]
    return sorted(problems)


def _known(database: Database) -> set[str]:
    return {*database.tables, *database.unread}


def _part(size: int) -> float:
    return 100.0 if size <= SAMPLED_FROM else round(100 * SAMPLED_FROM / size, 6)


def _digest(
    connection: psycopg.Connection[Any], table: sql.Identifier, percent: float, deadline: float | None
) -> Digest:
    if deadline is not None:
        left = int(1000 * (deadline - time.monotonic()))
        if left <= 0:
            raise UnreadError("there was no time left")
        connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(left))
    # whole blocks, chosen by their numbers: the same ones in a physical copy
    sample = sql.SQL("TABLESAMPLE SYSTEM ({}) REPEATABLE (0)" if percent < 100 else "").format(percent)  # noqa: PLR2004
    row = connection.execute(sql.SQL(_ROWS).format(table=table, sample=sample)).fetchone()
    assert row is not None  # noqa: S101 - an aggregate gives one
    return Digest(int(row[0]), str(row[1]), percent)


def _insist_unchanged(
    connection: psycopg.Connection[Any], table: sql.Identifier, oid: int, node: int, columns: list[str]
) -> None:
    """TRUNCATE, a rewrite and another column show in every snapshot; now, with the lock held, nothing changes more."""
    now = connection.execute("SELECT pg_relation_filenode(%s)", [oid]).fetchone()
    shown = connection.execute(sql.SQL("SELECT * FROM ONLY {} LIMIT 0").format(table)).description or []
    if now != (node,) or [it.name for it in shown] != columns:
        raise UnreadError("it was truncated, rewritten or given other columns meanwhile")


def _reason(error: Exception) -> str:
    if isinstance(error, psycopg.errors.QueryCanceled):
        return "there was no time left"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return "it was locked"
    if isinstance(error, psycopg.errors.UndefinedTable):
        return "it was dropped meanwhile"
    return " ".join(str(error).split())


def _revisions(connection: psycopg.Connection[Any], schema: str) -> list[str]:
    table = sql.Identifier(schema, "alembic_version")
    try:
        with connection.transaction(force_rollback=True):
            found = connection.execute(sql.SQL("SELECT version_num FROM {} ORDER BY 1").format(table))
            return [str(it) for (it,) in found]
    except psycopg.Error as error:
        return [_reason(error)]
