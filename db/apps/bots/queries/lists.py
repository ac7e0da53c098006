"""Lists that are shown page by page, newest first."""

from __future__ import annotations

import uuid

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from db.apps.bots.models import Bot, BotLog
from db.pagination import Page, Slice, keyset, page

SIZE = 20


def list_bots(session: Session, *, page_number: int = 1, size: int = SIZE) -> Page[Bot]:
    """The organization's live bots with a pager's numbers; deep pages are slow (see scroll_bots). Raises PageError."""
    return page(session, _newest(), page=page_number, size=size)


def scroll_bots(session: Session, *, after: str | None = None, size: int = SIZE) -> Slice[Bot]:
    """The same by a cursor, as fast at the end as at the beginning. Raises CursorError and PageError."""
    return keyset(session, select(Bot), order=(Bot.created_at.desc(), Bot.id.desc()), after=after, size=size)


def scroll_logs(session: Session, bot_id: uuid.UUID, *, after: str | None = None, size: int = SIZE) -> Slice[BotLog]:
    """A bot's log lines by a cursor."""
    return keyset(
        session,
        select(BotLog).where(BotLog.bot_id == bot_id),
        order=(BotLog.created_at.desc(), BotLog.id.desc()),
        after=after,
        size=size,
    )


def _newest() -> Select[Bot]:
    return select(Bot).order_by(Bot.created_at.desc(), Bot.id.desc())
