"""Bots: reading, listing, creating, deleting, finding, as bottleneck-bots.md shows ("Query Patterns")."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from db import audit
from db.apps.bots.models import Bot, BotRun, User
from db.errors import PageError
from db.search import checked
from db.soft_delete import restore, soft_delete
from db.tenancy import require

RUNS_SHOWN = 10
MOST_FOUND = 1000  # the database function refuses more


@dataclass(frozen=True)
class BotWithRuns:
    """A bot, its newest runs, and who made it: `bot.created_by` has id, name and email; None for who has left."""

    bot: Bot
    runs: Sequence[BotRun]


def get_bot_with_runs(session: Session, bot_id: uuid.UUID, *, runs: int = RUNS_SHOWN) -> BotWithRuns | None:
    """The bot with its `runs` newest runs, None where the organization has no such bot, or has deleted it."""
    author = joinedload(Bot.created_by).load_only(User.id, User.name, User.email)
    bot = session.scalar(select(Bot).where(Bot.id == bot_id).options(author))
    if bot is None:
        return None
    newest = (
        select(BotRun)
        .where(BotRun.organization_id == bot.organization_id, BotRun.bot_id == bot_id)
        .order_by(BotRun.started_at.desc(), BotRun.id.desc())
        .limit(runs)
    )
    return BotWithRuns(bot, session.scalars(newest).all())


def create_bot_with_initial_run(session: Session, bot: Bot, run: BotRun | None = None) -> tuple[Bot, BotRun]:
    """Both, or neither where either is refused: written at once, in a savepoint of the session's transaction.

    The organization is the session's. Raises IntegrityError, for instance for a slug that a live bot has.
    """
    organization_id = require(session).organization_id
    started = run if run is not None else BotRun()
    bot.organization_id = started.organization_id = organization_id
    if bot.id is None:
        bot.id = uuid.uuid4()
    started.bot_id = bot.id
    with session.begin_nested():
        session.add(bot)
        session.flush()
        session.add(started)
    return bot, started


def soft_delete_bot(session: Session, bot_id: uuid.UUID) -> Bot | None:
    """The bot as it was deleted, None where there is no live one. Its slug is free again, and it is never due."""
    bot = session.scalar(select(Bot).where(Bot.id == bot_id))
    if bot is not None:
        soft_delete(session, bot)
    return bot


def restore_bot(session: Session, bot_id: uuid.UUID) -> Bot | None:
    """The bot, alive again, None where there is none. Raises SoftDeleteError where a live bot has its slug."""
    bot = session.scalar(select(Bot).where(Bot.id == bot_id).execution_options(include_deleted=True))
    if bot is not None:
        restore(session, bot)
    return bot


def search_bots(session: Session, words: str, *, most: int = 20) -> Sequence[Bot]:
    """Live bots whose name or description has `words` (websearch syntax), best first.

    Raises SearchError for words that cannot be searched for, PageError where `most` is not 1 to 1000.
    """
    if not 1 <= most <= MOST_FOUND:
        raise PageError(f"most is {most}: give 1 to {MOST_FOUND} bots")
    found: Any = func.bots.search_bots(checked(words), most).table_valued("id", "rank").render_derived(name="found")
    return session.scalars(select(Bot).join(found, Bot.id == found.c.id).order_by(found.c.rank.desc(), Bot.id)).all()


def bot_as_of(session: Session, bot_id: uuid.UUID, when: datetime) -> Bot | None:
    """The bot as it was at `when`, detached; None where it was not there, or was deleted. Raises AuditError."""
    then = audit.as_of(Bot, when)
    found = audit.rows(session, select(then).where(then.id == bot_id))
    return found[0] if found else None
