"""Guests' conversations: kept until they expire, then removed in batches.

`python -m db.apps.dovvybuddy.conversations` removes the expired ones through DATABASE_URL: for a scheduler.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy
from sqlalchemy import delete, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session as DatabaseSession

from db.apps.dovvybuddy.models import Session
from db.errors import DbError

BATCH = 1000  # rows a transaction: some 10 ms of locks, and what a crash would leave undone is little
MAX_BATCH = 100_000


def living(session: DatabaseSession, conversation: uuid.UUID) -> Session | None:
    """The conversation unless it has expired, cleaned up or not."""
    return session.scalar(select(Session).where(Session.id == conversation, Session.expires_at > datetime.now(UTC)))


def remove_expired_batch(session: DatabaseSession, *, batch: int = BATCH) -> int:
    """Delete at most `batch` expired conversations, the longest expired first, and return how many it were.

    Rows that another transaction holds are skipped: two clean-ups share the work, and neither waits for an
    application. Raises DbError for a batch outside 1 to 100,000. The caller commits.
    """
    if not 1 <= batch <= MAX_BATCH:
        raise DbError(f"batch is {batch}: give a number from 1 to {MAX_BATCH}")
    expired = (
        select(Session.id)
        .where(Session.expires_at <= func.now())
        .order_by(Session.expires_at)
        .limit(batch)
        .with_for_update(skip_locked=True)
    )
    # ARRAY(...): a plain IN might be planned as a join that evaluates the LIMIT again
    gone = delete(Session).where(Session.id == func.any(func.array(expired.scalar_subquery())))
    return len(session.execute(gone.returning(Session.id), execution_options={"synchronize_session": False}).all())


def remove_expired(
    source: sqlalchemy.Engine, *, batch: int = BATCH, report: Callable[[str], None] | None = None
) -> int:
    """Delete all expired conversations, a transaction a batch, and return how many it were."""
    total = 0
    while True:
        with DatabaseSession(source) as session, session.begin():
            removed = remove_expired_batch(session, batch=batch)
        total += removed
        if removed < batch:
            if report is not None:
                report(f"dovvybuddy: removed {total} expired conversations")
            return total


if __name__ == "__main__":
    from db.engine import engine

    try:
        remove_expired(engine(), report=print)
    except DbError as error:
        sys.exit(str(error))
    except DBAPIError as error:
        sys.exit(f"conversations of dovvybuddy were not removed: {' '.join(str(error.orig).split())}")
