"""Ops: what comes in through forms and mail. Tokens are kept as hashes: who reads the table cannot use them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.apps.panamia.tables.auth import User
from db.apps.panamia.tables.base import Base, Keyed, goes_with, lower, outlives
from db.model import required


class ContactSubmission(Keyed, Base):
    """A message through the contact form."""

    __tablename__ = "contact_submissions"
    __table_args__ = (Index(None, "created_at", "id"),)

    name: Mapped[str]
    email: Mapped[str]
    topic: Mapped[str | None] = mapped_column()
    message: Mapped[str]
    acknowledged: Mapped[bool] = mapped_column(server_default=text("false"))


class NewsletterSignup(Keyed, Base):
    """An address that wants the newsletter, in any case written once."""

    __tablename__ = "newsletter_signups"
    __table_args__ = (
        Index("uq_newsletter_signups_email", lower("email"), unique=True),
        Index(None, "created_at", "id"),
    )

    email: Mapped[str]
    name: Mapped[str | None] = mapped_column()
    confirmed_at: Mapped[datetime | None] = mapped_column()
    unsubscribed_at: Mapped[datetime | None] = mapped_column()


class BrevoContact(Keyed, Base):
    """An address as the mail service Brevo knows it."""

    __tablename__ = "brevo_contacts"
    __table_args__ = (
        Index("uq_brevo_contacts_email", lower("email"), unique=True),
        Index(None, "last_synced_at"),
    )

    user_id: Mapped[str | None] = outlives(User.id)
    email: Mapped[str]
    brevo_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    last_synced_at: Mapped[datetime | None] = mapped_column()
    sync_error: Mapped[str | None] = mapped_column()


class EmailMigration(Keyed, Base):
    """A member's move to another address, open until it is confirmed or expires."""

    __tablename__ = "email_migrations"
    __table_args__ = (CheckConstraint("old_email <> new_email", name="new_email"),)

    user_id: Mapped[str] = goes_with(User.id, index=True)
    old_email: Mapped[str]
    new_email: Mapped[str]
    token_hash: Mapped[str] = required(unique=True)
    expires_at: Mapped[datetime] = required(index=True)
    completed_at: Mapped[datetime | None] = mapped_column()


class OAuthVerification(Keyed, Base):
    """An address that a provider gave without vouching for it; the owner proves it before the account is linked."""

    __tablename__ = "o_auth_verifications"
    __table_args__ = (UniqueConstraint("provider", "provider_account_id"),)

    user_id: Mapped[str | None] = outlives(User.id)
    email: Mapped[str]
    provider: Mapped[str]
    provider_account_id: Mapped[str]
    token_hash: Mapped[str] = required(unique=True)
    expires_at: Mapped[datetime] = required(index=True)
    verified_at: Mapped[datetime | None] = mapped_column()
