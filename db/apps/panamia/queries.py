"""What panamia asks of its tables; signing in and out is Auth.js's.

Pages go by (created_at, id), newest first: CUID2 keys do not sort by time. A page's last row is where the next begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Select, func, select, true, tuple_, union
from sqlalchemy.orm import Session as DatabaseSession

from db.apps.panamia.models import (
    Article,
    Notification,
    Profile,
    ScreennameHistory,
    Session,
    SocialActor,
    SocialFollow,
    SocialRecipient,
    SocialStatus,
    User,
)
from db.apps.panamia.tables.base import Keyed
from db.errors import DbError

T = TypeVar("T", bound=Keyed)
MAX_PAGE = 1000


@dataclass(frozen=True)
class Position:
    """Where a page ended: the next one begins behind it, whatever was added before it since."""

    created_at: datetime
    id: str

    @classmethod
    def of(cls, row: Keyed) -> Position:
        """The position of `row`."""
        return cls(row.created_at, row.id)


def user_by_session(session: DatabaseSession, token: str) -> User | None:
    """The user whose session has `token` and has not expired."""
    return session.scalar(
        select(User).join(User.sessions).where(Session.session_token == token, Session.expires > datetime.now(UTC))
    )


def user_by_screenname(session: DatabaseSession, screenname: str) -> User | None:
    """The user of that name, in any case; failing that, the one who gave it up last."""
    wanted = screenname.lower()
    found = session.scalar(select(User).where(func.lower(User.screenname) == wanted))
    if found is not None:
        return found
    return session.scalar(
        select(User)
        .join(ScreennameHistory, ScreennameHistory.user_id == User.id)
        .where(func.lower(ScreennameHistory.screenname) == wanted)
        .order_by(ScreennameHistory.created_at.desc(), ScreennameHistory.id.desc())
        .limit(1)
    )


def rename(session: DatabaseSession, user: User, screenname: str) -> None:
    """Give `user` another screen name and keep the old one in the history; a taken one fails at the flush."""
    if user.screenname is not None and user.screenname.lower() != screenname.lower():
        session.add(ScreennameHistory(user_id=user.id, screenname=user.screenname))
    user.screenname = screenname


def profiles_in(
    session: DatabaseSession, category: str, *, after: Position | None = None, size: int = 20
) -> Sequence[Profile]:
    """Active profiles of `category`, newest first."""
    return _newest(
        session, select(Profile).where(Profile.is_active, Profile.categories.contains([category])), Profile, after, size
    )


def published(session: DatabaseSession, *, before: tuple[datetime, str] | None = None, size: int = 20) -> list[Article]:
    """Published articles by (published_at, id), newest first, those behind `before`."""
    statement = select(Article).where(Article.status == "published")
    if before is not None:
        statement = statement.where(tuple_(Article.published_at, Article.id) < before)
    newest = statement.order_by(Article.published_at.desc(), Article.id.desc())
    return list(session.scalars(newest.limit(_size(size))))


def notifications(
    session: DatabaseSession, user_id: str, *, unread: bool = False, after: Position | None = None, size: int = 20
) -> list[Notification]:
    """What `user_id` should know, newest first."""
    statement = select(Notification).where(Notification.user_id == user_id)
    if unread:
        statement = statement.where(Notification.read_at.is_(None))
    return _newest(session, statement, Notification, after, size)


def timeline(
    session: DatabaseSession, actor: SocialActor, *, after: Position | None = None, size: int = 20
) -> list[SocialStatus]:
    """Posts that `actor` sees, newest first: its own, those addressed to it, and of those it follows the open ones."""
    # Each part gives its newest only: one WHERE with three ORs would read every post there is
    theirs = _newest_ids(SocialStatus.actor_id == SocialFollow.target_actor_id, after, size)
    theirs = theirs.where(SocialStatus.visibility != "direct").correlate(SocialFollow)
    each = theirs.lateral()
    followed = select(each.c.id).select_from(SocialFollow).join(each, true())
    addressed = _newest_ids(SocialRecipient.actor_id == actor.id, after, size)
    parts = union(
        _newest_ids(SocialStatus.actor_id == actor.id, after, size),
        addressed.join(SocialRecipient, SocialRecipient.status_id == SocialStatus.id),
        followed.where(SocialFollow.actor_id == actor.id, SocialFollow.status == "accepted"),
    ).subquery()
    return _newest(session, select(SocialStatus).where(SocialStatus.id.in_(select(parts))), SocialStatus, None, size)


def _newest_ids(condition: ColumnElement[bool], after: Position | None, size: int) -> Select[str]:
    """Ids of the newest posts of `condition` behind `after`, as many as a page has."""
    statement = select(SocialStatus.id).where(condition)
    if after is not None:
        statement = statement.where(tuple_(SocialStatus.created_at, SocialStatus.id) < (after.created_at, after.id))
    return statement.order_by(SocialStatus.created_at.desc(), SocialStatus.id.desc()).limit(_size(size))


def _newest(
    session: DatabaseSession, statement: Select[T], model: type[T], after: Position | None, size: int
) -> list[T]:
    if after is not None:
        statement = statement.where(tuple_(model.created_at, model.id) < (after.created_at, after.id))
    newest = statement.order_by(model.created_at.desc(), model.id.desc())
    return list(session.scalars(newest.limit(_size(size))))


def _size(size: int) -> int:
    if not 1 <= size <= MAX_PAGE:
        raise DbError(f"size is {size}: give a number from 1 to {MAX_PAGE}")
    return size
