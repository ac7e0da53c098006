"""Tables of maps: maps-schema.md's users and sessions, and what Better Auth 1.7 adds.

Keys are text made by the application. Timestamps are `timestamp` holding UTC, as the document and Better Auth's Drizzle
adapter have them (see revision 0002_better_auth for why); here they are aware datetimes.
The read-only login sees no token, password or verification: there, select columns instead of whole sessions, accounts
and verifications.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, MetaData, Text, func, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from db.model import Model, required
from db.naming import CONVENTION
from db.timestamps import UTCTimestamp


class Base(Model, DeclarativeBase):
    """Declarative base of this app's tables, all in schema maps."""

    metadata = MetaData(schema="maps", naming_convention=CONVENTION)
    type_annotation_map = {str: Text, datetime: UTCTimestamp}  # noqa: RUF012  # SQLAlchemy's own attribute
    # UPDATE ... RETURNING updated_at: an AsyncSession cannot fetch it when it is read
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # SQLAlchemy's own attribute


class User(Base):
    """Somebody who signs in."""

    __tablename__ = "users"

    id: Mapped[str] = required(primary_key=True)
    email: Mapped[str] = required(unique=True)
    email_verified: Mapped[bool] = mapped_column(server_default=text("false"))
    name: Mapped[str] = mapped_column(server_default=text("''"))
    image: Mapped[str | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())

    sessions: Mapped[list[Session]] = relationship(back_populates="user", passive_deletes="all")
    accounts: Mapped[list[Account]] = relationship(back_populates="user", passive_deletes="all")


class Session(Base):
    """A signed-in browser; goes with its user."""

    __tablename__ = "sessions"

    id: Mapped[str] = required(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    token: Mapped[str] = mapped_column(unique=True, server_default=text("(gen_random_uuid())::text"))
    ip_address: Mapped[str | None] = mapped_column()
    user_agent: Mapped[str | None] = mapped_column()
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())

    user: Mapped[User] = relationship(back_populates="sessions")


class Account(Base):
    """A user's way to prove who they are: a password (hashed by Better Auth) or another provider's account."""

    __tablename__ = "accounts"

    id: Mapped[str] = required(primary_key=True)
    account_id: Mapped[str]
    provider_id: Mapped[str]
    user_id: Mapped[str] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    access_token: Mapped[str | None] = mapped_column()
    refresh_token: Mapped[str | None] = mapped_column()
    id_token: Mapped[str | None] = mapped_column()
    access_token_expires_at: Mapped[datetime | None] = mapped_column()
    refresh_token_expires_at: Mapped[datetime | None] = mapped_column()
    scope: Mapped[str | None] = mapped_column()
    password: Mapped[str | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())

    user: Mapped[User] = relationship(back_populates="accounts")


class Verification(Base):
    """A one-time value sent to an address, until it expires."""

    __tablename__ = "verifications"

    id: Mapped[str] = required(primary_key=True)
    identifier: Mapped[str] = required(index=True)
    value: Mapped[str]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
