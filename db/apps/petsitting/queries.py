"""What petsitting asks of its tables and, as a guest, of panamia's sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session as DatabaseSession

from db.apps.panamia.models import Session, User
from db.apps.petsitting.models import Booking


@dataclass(frozen=True)
class Visitor:
    """Who is signed in, as far as a guest may know."""

    id: str
    name: str | None
    image: str | None


def signed_in(session: DatabaseSession, token: str) -> Visitor | None:
    """The visitor of panamia's session `token` unless it has expired; by columns, for a guest may not read all."""
    found = session.execute(
        select(User.id, User.name, User.image)
        .join(Session, Session.user_id == User.id)
        .where(Session.session_token == token, Session.expires > datetime.now(UTC))
    ).one_or_none()
    return None if found is None else Visitor(*found)


def bookings_of(session: DatabaseSession, user_id: str) -> Sequence[Booking]:
    """The bookings in which `user_id` is owner or sitter, newest first."""
    mine = (Booking.owner_id == user_id) | (Booking.sitter_id == user_id)
    return session.scalars(select(Booking).where(mine).order_by(Booking.created_at.desc(), Booking.id.desc())).all()
