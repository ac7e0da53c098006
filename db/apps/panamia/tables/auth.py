"""Auth: exactly the columns that @auth/drizzle-adapter 1.11 reads and writes, and the member's screen name.

The read-only login sees no token: there, select columns instead of whole accounts, sessions and verification tokens.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column, relationship

from db.apps.panamia.tables.base import Base, Keyed, Stamped, goes_with, lower
from db.model import required


def as_oauth(name: str) -> MappedColumn[Any]:
    """A column that Auth.js calls by OAuth's own name in TypeScript too, where others are camelCase."""
    return mapped_column(info={"typescript": name})


class User(Keyed, Base):
    """A member. Auth.js knows users without name or address, as some providers give neither."""

    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_screenname", lower("screenname"), unique=True),
        Index(None, "created_at", "id"),
    )

    name: Mapped[str | None] = mapped_column()
    email: Mapped[str | None] = mapped_column(unique=True)
    email_verified: Mapped[datetime | None] = mapped_column()
    image: Mapped[str | None] = mapped_column()
    screenname: Mapped[str | None] = mapped_column()

    accounts: Mapped[list[Account]] = relationship(back_populates="user", passive_deletes="all")
    sessions: Mapped[list[Session]] = relationship(back_populates="user", passive_deletes="all")


class Account(Stamped, Base):
    """A provider's account by which a user signs in. Keyed by provider and account, as Auth.js looks it up."""

    __tablename__ = "accounts"

    user_id: Mapped[str] = goes_with(User.id, index=True)
    type: Mapped[str]
    provider: Mapped[str] = required(primary_key=True)
    provider_account_id: Mapped[str] = required(primary_key=True)
    refresh_token: Mapped[str | None] = as_oauth("refresh_token")
    access_token: Mapped[str | None] = as_oauth("access_token")
    expires_at: Mapped[int | None] = as_oauth("expires_at")  # seconds since 1970, as OAuth gives it
    token_type: Mapped[str | None] = as_oauth("token_type")
    scope: Mapped[str | None] = mapped_column()
    id_token: Mapped[str | None] = as_oauth("id_token")
    session_state: Mapped[str | None] = as_oauth("session_state")

    user: Mapped[User] = relationship(back_populates="accounts")


class Session(Stamped, Base):
    """A signed-in browser. Sidecar apps read it too: signing in once is enough for all."""

    __tablename__ = "sessions"

    session_token: Mapped[str] = required(primary_key=True)
    user_id: Mapped[str] = goes_with(User.id, index=True)
    expires: Mapped[datetime] = required(index=True)

    user: Mapped[User] = relationship(back_populates="sessions")


class VerificationToken(Stamped, Base):
    """A one-time token sent to an address; Auth.js deletes it by both columns of the key."""

    __tablename__ = "verification_tokens"

    identifier: Mapped[str] = required(primary_key=True)
    token: Mapped[str] = required(primary_key=True)
    expires: Mapped[datetime] = required(index=True)
