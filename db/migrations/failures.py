"""Turns what a revision raised into one MigrationError that says where, what, and in which state the database is."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from sqlalchemy.exc import DBAPIError

from db.errors import MigrationError
from db.migrations.revisions import Revision

# lock_timeout ran out, or the server broke a deadlock: the same statements may well succeed a little later
_TRANSIENT = ("55P03", "40P01")
_SHOW_ROWS = ("23502", "23514")  # NOT NULL and CHECK: the detail is the whole row, secrets too


def sqlstate(error: BaseException) -> str:
    """The server's code for what went wrong, "" where the server did not say."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return (cause.sqlstate or "") if isinstance(cause, psycopg.Error) else ""


def transient(error: BaseException) -> bool:
    """Whether running the revision again may help."""
    return sqlstate(error) in _TRANSIENT


def explain(error: Exception, app: str, revision: Revision | None, done: Sequence[str]) -> MigrationError:
    """One line: revision, SQLSTATE, the server's words, the statement's first line, and what stands now.

    `revision` is None where no step had begun; `done` are the revisions that the same run had finished before.
    """
    statement = (error.statement or "") if isinstance(error, DBAPIError) else ""
    lines = [line.strip() for line in statement.splitlines() if line.strip()]
    first_line = lines[0] if lines else ""
    code = sqlstate(error)
    parts = [
        (f"revision {revision.revision} ({app}) failed: " if revision else f"migrating {app} failed: ")
        + (f"SQLSTATE {code}, " if code else "")
        + _words(error),
        f"statement: {first_line}" if first_line else "",
        _outcome(revision, done),
        "mend it and run again",
    ]
    return MigrationError(
        "; ".join(part for part in parts if part),
        app=app,
        revision=revision.revision if revision else "",
        statement=first_line,
        sqlstate=code,
    )


def _words(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.Error) and cause.diag.message_primary:
        shown = cause.diag.message_detail if cause.sqlstate not in _SHOW_ROWS else None
        detail = f" ({shown})" if shown else ""
        said = cause.diag.message_primary + detail
    else:
        said = f"{type(cause).__name__}: {cause}"
    return " ".join(said.split())


def _outcome(revision: Revision | None, done: Sequence[str]) -> str:
    if revision is not None and not revision.transactional:
        return "it leaves its transaction (autocommit_block), so look what of it stands"
    if done:
        return f"it changed nothing itself (done before it: {', '.join(done)})"
    return "nothing was changed"
