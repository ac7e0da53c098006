"""The bookkeeping tables in each app's schema: what was applied, from which text, when, by whom and how fast.

alembic_version is Alembic's; migration_history is ours. Both belong to the schema's owner; everyone else may read
at most.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import psycopg
import sqlalchemy
from psycopg import sql

from db.errors import HistoryError
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

Connection = psycopg.Connection[tuple[Any, ...]]


def prepare(connection: Connection, app: str) -> None:
    """Create the tables where they are missing, and take all but SELECT from everyone but their owner.

    The default privileges give the application DML on every new table; a managed provider's may give more.
    """
    with connection.transaction():
        if not (_exists(connection, app, TABLE) and _exists(connection, app, VERSION_TABLE)):
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
    """The revision in alembic_version, None without one. Raises HistoryError where there are several."""
    if not _exists(connection, app, VERSION_TABLE):
        return None
    rows = connection.execute(sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(app, VERSION_TABLE)))
    found = sorted(row[0] for row in rows)
    if len(found) > 1:
        raise HistoryError(f"{app}.{VERSION_TABLE} names several revisions ({', '.join(found)}): only one can be right")
    return found[0] if found else None


def recorded(connection: Connection, app: str) -> dict[str, tuple[str, datetime.datetime]]:
    """Checksum and time by revision of what is applied and not undone, in that order; nothing without a history."""
    if not _exists(connection, app, TABLE):
        return {}
    rows = connection.execute(
        sql.SQL(
            "SELECT revision, checksum, applied_at AT TIME ZONE 'UTC' FROM {} WHERE reverted_at IS NULL ORDER BY id"
        ).format(sql.Identifier(app, TABLE))
    )
    return {revision: (checksum, when) for revision, checksum, when in rows}


def compare(connection: Connection, app: str, files: Sequence[Revision]) -> None:
    """Raise HistoryError listing every difference between the applied revisions and `files` (oldest first)."""
    found = differences(recorded(connection, app), current(connection, app), files)
    if found:
        raise HistoryError(
            f"the database's history of {app} and the files disagree: {'; '.join(found)}. Nothing was changed;"
            " bring back the files as they were applied, and make a change as a new revision"
            " (a dev stack can also be made anew: pgstack reset)"
        )


def differences(
    applied: dict[str, tuple[str, datetime.datetime]], current: str | None, files: Sequence[Revision]
) -> list[str]:
    """One line a difference; pure, so tested without a database."""
    names = [file.revision for file in files]
    reached = names[: names.index(current) + 1] if current in names else []
    found = [
        f"{revision} is applied but has no file here (is this checkout older than the database?)"
        for revision in applied
        if revision not in names
    ]
    if current is not None and current not in names and current not in applied:
        found.append(f"the database is at {current}, which has no file here")
    for file in files:
        checksum, when = applied.get(file.revision, (None, None))
        if checksum is not None and when is not None and checksum != file.checksum:
            found.append(f"{file.revision} was edited after it was applied ({when:%Y-%m-%d %H:%M} UTC)")
        if checksum is None and file.revision in reached:
            found.append(f"{file.revision} is applied but not recorded in {TABLE}")
        if checksum is not None and current in (*names, None) and file.revision not in reached:
            found.append(f"{file.revision} is recorded as applied but the database is at {current or 'base'}")
    return found


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


def _exists(connection: Connection, app: str, table: str) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s)",
        (app, table),
    ).fetchone()
    return row is not None and bool(row[0])
