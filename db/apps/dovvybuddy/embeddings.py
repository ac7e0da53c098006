"""The way back from embeddings stored as JSONB to vectors, once the server has pgvector.

`python -m db.apps.dovvybuddy.embeddings` converts them through POSTGRES_DIRECT_URL, the owner's. It ends with the
schema that revision 0001 makes where there is pgvector; run again after an interruption, it goes on where it stopped.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError

from db import connections, engine, vectors
from db.apps.dovvybuddy.models import DIMENSIONS
from db.errors import DbError, TargetError
from db.migrations import lock, session
from db.urls import DatabaseURL

TABLE = "dovvybuddy.content_embeddings"
INDEX = "ix_content_embeddings_embedding"
_SHOWN = 5  # of the rows that can't be converted

# pgvector keeps 4 bytes a number and takes nothing else: what JSONB may hold beyond that
_UNFIT = f"""
    SELECT id::text FROM {TABLE} WHERE jsonb_path_exists(embedding,
        '$[*] ? (@.type() != "number" || @ > 3.4028234663852886e38 || @ < -3.4028234663852886e38)') ORDER BY 1
"""  # noqa: S608  # names of this file
_CONVERT = f"""
    ALTER TABLE {TABLE} DROP CONSTRAINT ck_content_embeddings_embedding,
        ALTER COLUMN embedding TYPE vector({DIMENSIONS}) USING embedding::text::vector({DIMENSIONS})
"""
_BUILD = f"CREATE INDEX CONCURRENTLY {INDEX} ON {TABLE} USING hnsw (embedding vector_cosine_ops)"
_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"


def to_vectors(url: str, *, ca_file: str | Path | None = None, report: Callable[[str], None] = print) -> bool:
    """Convert the embeddings and build their index; False where that was done already.

    `url` is the owner's direct URL. Writers and readers of the table wait while its rows are rewritten, not while the
    index is built. Raises TargetError where there is no pgvector or a row is no vector, and what a migration raises
    before it begins; then nothing was changed.
    """
    parsed = DatabaseURL.parse(url)
    source = engine.unpooled(parsed, ca_file=ca_file, name="pgstack embeddings")
    with (
        closing(connections.connect(parsed, ca_file=ca_file, name="pgstack embeddings lock")) as control,
        source.connect() as connection,
    ):
        session.refuse_transaction_pooler(control, connection)
        with lock.held(control, "migrations of dovvybuddy", report):
            session.check_target(control, "dovvybuddy")
            try:
                return _converted(connection, report) | _indexed(connection, report)
            except DBAPIError as error:
                cause = error.orig
                said = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
                raise TargetError(
                    f"the embeddings of {parsed.database} cannot become vectors: {said or cause}; run this again"
                ) from error


def _converted(connection: sqlalchemy.Connection, report: Callable[[str], None]) -> bool:
    with connection.begin():
        _settle(connection)
        if vectors.storage(connection, TABLE, "embedding") == "vector":
            return False
        # before the lock, as it takes as long as the rewrite; a row that comes in after it fails the rewrite as a whole
        if unfit := connection.scalars(sqlalchemy.text(_UNFIT)).all():
            more = f" and {len(unfit) - _SHOWN} more" if len(unfit) > _SHOWN else ""
            raise TargetError(
                f"embeddings of {TABLE} are no vectors: mend or delete the rows with id"
                f" {', '.join(unfit[:_SHOWN])}{more}; nothing was changed"
            )
        began = time.monotonic()
        connection.exec_driver_sql(_CONVERT)
        count = connection.scalar(sqlalchemy.text(f"SELECT count(*) FROM {TABLE}"))  # noqa: S608  # a constant
    report(
        f"dovvybuddy: {count} embeddings are vectors now (their table was locked for {time.monotonic() - began:.1f} s)"
    )
    return True


def _indexed(connection: sqlalchemy.Connection, report: Callable[[str], None]) -> bool:
    connection = connection.execution_options(isolation_level="AUTOCOMMIT")
    _settle(connection, local=False)
    valid = connection.scalar(sqlalchemy.text(_VALID), {"name": f"dovvybuddy.{INDEX}"})
    if valid:
        return False
    if valid is False:  # what an interrupted build leaves
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY dovvybuddy.{INDEX}")
    connection.exec_driver_sql(_BUILD)
    report("dovvybuddy: their index is built")
    return True


def _settle(connection: sqlalchemy.Connection, *, local: bool = True) -> None:
    """Bounded waits for locks, none for the work, and the schema of the extension in reach of this session."""
    where = connection.scalar(
        sqlalchemy.text("SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'")
    )
    if where is None:
        raise TargetError(
            "this database has no extension vector: run the bootstrap once the server has pgvector, with DB_EMBEDDINGS"
            " unset; nothing was changed"
        )
    for name, value in (("search_path", where), ("lock_timeout", "5s"), ("statement_timeout", "0")):
        connection.execute(
            sqlalchemy.text("SELECT set_config(:name, :value, :local)"), {"name": name, "value": value, "local": local}
        )


if __name__ == "__main__":
    try:
        to_vectors(os.environ.get(session.URL_VARIABLE, ""), ca_file=os.environ.get("PGSSLROOTCERT") or None)
    except DbError as error:
        sys.exit(str(error))
