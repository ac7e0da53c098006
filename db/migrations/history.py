"""The bookkeeping tables in each app's schema: what was applied, from which text, when, by whom and how fast.

alembic_version is Alembic's; migration_history is ours. Both belong to the schema's owner; everyone else may read
at most.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import sqlalchemy
from psycopg import sql

from db.errors import HistoryError, TargetError
from db.migrations.revisions import Revision

TABLE = "migration_history"
VERSION_TABLE = "alembic_version"

# Alembic would make version_num a varchar(32), too short for names that say what a revision does.
_CREATE = (
    """CREATE TABLE IF NOT EXISTS {schema}.alembic_version (
        version_num text NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY
    )""",
    """CREATE TABLE IF NOT EXISTS {schema}.migration_history (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        revision text NOT NULL,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        applied_by text NOT NULL DEFAULT session_user,
        duration interval NOT NULL,
        reverted_at timestamptz,
        reverted_by text
    )""",
    """CREATE UNIQUE INDEX IF NOT EXISTS migration_history_in_force
        ON {schema}.migration_history (revision) WHERE reverted_at IS NULL""",
)

_COLUMNS = {
    VERSION_TABLE: {"version_num"},
    TABLE: {"revision", "checksum", "applied_at", "applied_by", "duration", "reverted_at", "reverted_by"},
}

Connection = psycopg.Connection[tuple[Any, ...]]
Applied = Mapping[str, tuple[str, datetime.datetime]]
"""Checksum and time (UTC) by revision."""
Books = Mapping[tuple[str, str], tuple[set[str], bool]]
"""Columns by schema and name of a bookkeeping table, and whether the login may read it."""


def prepare(connection: Connection, app: str) -> None:
    """Create the tables where they are missing, and take all but SELECT from everyone but their owner.

    The default privileges give the application DML on every new table; a managed provider's may give more.
    """
    with connection.transaction():
        books = _books(connection, app)
        if not all((app, table) in books for table in _COLUMNS):
            for statement in _CREATE:
                connection.execute(sql.SQL(statement).format(schema=sql.Identifier(app)))
        grants = connection.execute(
            "SELECT DISTINCT c.relname, CASE g.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(g.grantee) END"
            " FROM pg_class c, aclexplode(c.relacl) g"
            " WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) AND c.relname = ANY(%s)"
            " AND g.grantee <> c.relowner AND g.privilege_type <> 'SELECT'",
            (app, [TABLE, VERSION_TABLE]),
        ).fetchall()
        for table, grantee in grants:
            connection.execute(
                sql.SQL("REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON {} FROM {}").format(
                    sql.Identifier(app, table), sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee)
                )
            )


def current(connection: Connection, app: str) -> str | None:
    """The revision in alembic_version, None without one.

    Raises HistoryError where there are several or the table is another tool's, TargetError where it may not be read.
    """
    if not _readable(connection, app, VERSION_TABLE):
        return None
    rows = connection.execute(sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(app, VERSION_TABLE)))
    found = sorted(row[0] for row in rows)
    if len(found) > 1:
        raise HistoryError(f"{app}.{VERSION_TABLE} names several revisions ({', '.join(found)}): only one can be right")
    return found[0] if found else None


def seen(connection: Connection, app: str) -> str | None:
    """What `current` returns, and None where it can't be told."""
    try:
        return current(connection, app)
    except (HistoryError, TargetError):
        return None


def recorded(connection: Connection, app: str) -> Applied:
    """What is applied and not undone, in that order; nothing without a history. Raises what `current` raises."""
    if not _readable(connection, app, TABLE):
        return {}
    rows = connection.execute(
        sql.SQL(
            "SELECT revision, checksum, applied_at AT TIME ZONE 'UTC' FROM {} WHERE reverted_at IS NULL ORDER BY id"
        ).format(sql.Identifier(app, TABLE))
    )
    return {revision: (checksum, when) for revision, checksum, when in rows}


def foreign(connection: Connection, app: str) -> str:
    """Why bookkeeping that is there is not ours, "" if it is."""
    return _foreign(connection, app, _books(connection, app))


def applied(connection: sqlalchemy.Connection, app: str, revision: Revision, seconds: float) -> None:
    """Record that `revision` was applied, in the transaction that did it."""
    table = _table(app)
    connection.execute(
        sqlalchemy.insert(table).values(
            {
                table.c.revision: revision.revision,
                table.c.checksum: revision.checksum,
                table.c.duration: datetime.timedelta(seconds=seconds),
            }
        )
    )


def reverted(connection: sqlalchemy.Connection, app: str, revision: str) -> None:
    """Record that `revision` was undone, in the transaction that did it."""
    table = _table(app)
    connection.execute(
        sqlalchemy.update(table)
        .where(table.c.revision == revision, table.c.reverted_at.is_(None))
        .values(
            {
                table.c.reverted_at: sqlalchemy.func.clock_timestamp(),
                table.c.reverted_by: sqlalchemy.text("session_user"),
            }
        )
    )


def repaired(connection: Connection, app: str, revision: Revision, reason: str) -> None:
    """End the record of `revision` that is in force, saying why, and begin another with the file's checksum."""
    table = sql.Identifier(app, TABLE)
    with connection.transaction():
        old = connection.execute(
            sql.SQL(
                "UPDATE {} SET reverted_at = clock_timestamp(), reverted_by = session_user || ' (repair: ' || %s || ')'"
                " WHERE revision = %s AND reverted_at IS NULL RETURNING duration"
            ).format(table),
            (reason, revision.revision),
        ).fetchone()
        assert old is not None  # noqa: S101  # the caller found it, and holds the lock
        connection.execute(
            sql.SQL("INSERT INTO {} (revision, checksum, duration) VALUES (%s, %s, %s)").format(table),
            (revision.revision, revision.checksum, *old),
        )


def stamped(connection: sqlalchemy.Connection, app: str, head: str | None, files: Sequence[Revision]) -> None:
    """Record that the database was declared to be at `head` (None: base) without running anything."""
    names = [file.revision for file in files]
    reached = files[: names.index(head) + 1] if head is not None else ()
    table = _table(app)
    known = set(connection.scalars(sqlalchemy.select(table.c.revision).where(table.c.reverted_at.is_(None))))
    for file in reached:
        if file.revision not in known:
            applied(connection, app, file, 0.0)
    for gone in known - {file.revision for file in reached}:
        reverted(connection, app, gone)


def _table(app: str) -> sqlalchemy.TableClause:
    columns = ("revision", "checksum", "duration", "reverted_at", "reverted_by")
    return sqlalchemy.table(TABLE, *(sqlalchemy.column(name) for name in columns), schema=app)


def _readable(connection: Connection, app: str, table: str) -> bool:
    """Whether `table` is there. Raises as `current` says where it is and can't be read."""
    books = _books(connection, app)
    if (app, table) not in books:
        return False
    if not books[app, table][1]:
        raise TargetError(
            f"{connection.info.user} may not look into schema {app} of database {connection.info.dbname} (no USAGE on"
            f" it, or no SELECT on {app}.{table}): give the URL of its owner, or grant that"
        )
    if says := _foreign(connection, app, books):
        raise HistoryError(says)
    return True


def _foreign(connection: Connection, app: str, books: Books) -> str:
    if ("public", VERSION_TABLE) in books:
        return (
            f"database {connection.info.dbname} has a table public.{VERSION_TABLE}: it was migrated without the app's"
            f" schema; drop that table once nothing needs it, ours is {app}.{VERSION_TABLE}"
        )
    for table, needed in _COLUMNS.items():
        columns, _ = books.get((app, table), (needed, True))
        if missing := needed - columns:
            return f"table {app}.{table} has no column {', '.join(sorted(missing))}: another tool made it"
    return ""


def _books(connection: Connection, app: str) -> Books:
    """The bookkeeping tables that are there."""
    # not by to_regclass: schema public is closed to owners here
    rows = connection.execute(
        "SELECT n.nspname, c.relname, array(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid"
        " AND attnum > 0 AND NOT attisdropped),"
        " has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relname = ANY (%s) AND n.nspname = ANY (%s)",
        ([TABLE, VERSION_TABLE], [app, "public"]),
    )
    return {(schema, table): (set(columns), readable) for schema, table, columns, readable in rows}
