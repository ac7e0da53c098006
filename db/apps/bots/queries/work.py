"""For workers: whose turn it is, claiming a due bot, holding its run, ending it.

for organization_id in organizations_with_work(session):
    with tenant(session, organization_id):
        expire_runs(session)
        while run := claim_due_bot(session, "worker 7"):
            session.commit()  # from here on it is this worker's
            ...
            finish_run(session, run.id, RunStatus.SUCCEEDED, output={"rows": 3})
            session.commit()
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from db.apps.bots.enums import RunStatus
from db.apps.bots.models import BotRun
from db.tenancy import require

LEASE = timedelta(minutes=5)

_CLAIM = text("SELECT * FROM bots.claim_due_bot(:worker, :lease)")


def organizations_with_work(session: Session, *, most: int = 100) -> Sequence[uuid.UUID]:
    """Organizations that have due bots or lost runs, at most 1000, in no order; needs no tenant."""
    waiting: Any = func.bots.organizations_with_work(most).table_valued("id").render_derived(name="waiting")
    return session.scalars(select(waiting.c.id)).all()


def claim_due_bot(session: Session, worker: str, *, lease: timedelta = LEASE) -> BotRun | None:
    """The running run of the longest due bot that nobody else is claiming, None where none is due.

    The claim is `worker`'s when the transaction commits, and undone if it does not.
    """
    require(session)
    claimed = select(BotRun).from_statement(_CLAIM.bindparams(worker=worker, lease=lease))
    return session.scalars(claimed).first()


def keep_run(session: Session, run_id: uuid.UUID, *, lease: timedelta = LEASE) -> bool:
    """Prolong a running run's lease from now; False where it is not running any more: stop working on it."""
    kept = session.execute(
        update(BotRun)
        .where(BotRun.id == run_id, BotRun.status == RunStatus.RUNNING)
        .values({BotRun.lease_expires_at: func.now() + lease})
        .returning(BotRun.id)
    )
    return kept.first() is not None


def finish_run(
    session: Session,
    run_id: uuid.UUID,
    status: RunStatus,
    *,
    output: dict[str, Any] | None = None,
    error_message: str | None = None,
) -> bool:
    """End a running run; False where it has ended already, for instance by its lease."""
    ended = session.execute(
        update(BotRun)
        .where(BotRun.id == run_id, BotRun.status == RunStatus.RUNNING)
        .values({BotRun.status: status, BotRun.output: output, BotRun.error_message: error_message})
        .returning(BotRun.id)
    )
    return ended.first() is not None


def expire_runs(session: Session) -> int:
    """End the organization's runs whose worker let the lease expire; how many."""
    require(session)
    return int(session.scalar(select(func.bots.expire_runs())) or 0)
