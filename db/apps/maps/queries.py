"""What maps asks of its tables; signing in and out is Better Auth's."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session as DatabaseSession

from db.apps.maps.models import Session, User


def user_by_email(session: DatabaseSession, email: str) -> User | None:
    """The user of `email`; Better Auth stores addresses in lower case, so the case given does not matter."""
    return session.scalar(select(User).where(User.email == email.strip().lower()))


def user_by_token(session: DatabaseSession, token: str) -> User | None:
    """The user whose session has `token` and has not expired."""
    return session.scalar(
        select(User).join(User.sessions).where(Session.token == token, Session.expires_at > datetime.now(UTC))
    )
