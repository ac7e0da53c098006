"""Listings and bookings of pet sitting. Owners and sitters are panamia's users, by foreign keys across the schemas.

A user who leaves takes listings and bookings along: a guest must not keep its host from deleting an account.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    CheckConstraint,
    FetchedValue,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from db.apps.panamia.models import User
from db.ids import new_id
from db.model import Model
from db.naming import CONVENTION

BOOKING_STATUSES = ("requested", "confirmed", "declined", "cancelled", "completed")


class Base(Model, DeclarativeBase):
    """Declarative base of this app's tables, all in schema petsitting."""

    metadata = MetaData(schema="petsitting", naming_convention=CONVENTION)
    type_annotation_map = {str: Text, datetime: TIMESTAMP(timezone=True)}  # noqa: RUF012  # SQLAlchemy's own attribute
    # UPDATE ... RETURNING updated_at: an AsyncSession cannot fetch it when it is read
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # SQLAlchemy's own attribute


class Keyed(Model):
    """A CUID2 key and the two timestamps, as in panamia; a trigger keeps updated_at."""

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, sort_order=-1)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(
        server_default=func.now(), server_onupdate=FetchedValue(), sort_order=91
    )


class Listing(Keyed, Base):
    """A sitter's offer."""

    __tablename__ = "listings"
    __table_args__ = (
        CheckConstraint("price_cents >= 0", name="price_cents"),
        UniqueConstraint("id", "sitter_id"),  # for bookings to refer to
        Index(None, "sitter_id", "created_at", "id"),
    )

    sitter_id: Mapped[str] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    title: Mapped[str]
    description: Mapped[str | None] = mapped_column()
    price_cents: Mapped[int]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))

    sitter: Mapped[User] = relationship(User)


class Booking(Keyed, Base):
    """A pet's days with a listing's sitter, from `starts_on` to `ends_on`, both included."""

    __tablename__ = "bookings"
    __table_args__ = (
        CheckConstraint("status IN ('" + "', '".join(BOOKING_STATUSES) + "')", name="status"),
        CheckConstraint("owner_id <> sitter_id", name="not_oneself"),
        CheckConstraint("ends_on >= starts_on", name="days"),
        ForeignKeyConstraint(["listing_id", "sitter_id"], [Listing.id, Listing.sitter_id], ondelete="CASCADE"),
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "sitter_id", "created_at", "id"),
        Index(None, "listing_id", "sitter_id", "starts_on"),
    )

    owner_id: Mapped[str] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    sitter_id: Mapped[str] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    listing_id: Mapped[str] = mapped_column()
    status: Mapped[str] = mapped_column(server_default=text("'requested'"))
    starts_on: Mapped[date]
    ends_on: Mapped[date]

    owner: Mapped[User] = relationship(User, foreign_keys=owner_id)
    sitter: Mapped[User] = relationship(User, foreign_keys=sitter_id)
    listing: Mapped[Listing] = relationship(overlaps="sitter")  # both are in its key
