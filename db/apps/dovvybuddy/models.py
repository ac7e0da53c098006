"""Tables of dovvybuddy, column by column as its document lists them.

What the document does not call nullable is NOT NULL. Its TIMESTAMP columns are `timestamptz`: a session's end is an
instant, and without the zone "now() + 24 hours" would mean another instant to a client in another time zone.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, MetaData, Text, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from db.jsonb import Json
from db.model import Model, required
from db.naming import CONVENTION
from db.vectors import Embedding

DIMENSIONS = 1536  # what gemini-embedding-001 gives with output_dimensionality=1536; text-embedding-004 has 768

CERTIFICATION_LEVELS = ("OW", "AOW", "Rescue")
DIFFICULTY_BANDS = ("beginner", "intermediate", "advanced")
ACCESS_TYPES = ("shore", "boat")
LEAD_TYPES = ("training", "trip")


class Base(Model, DeclarativeBase):
    """Declarative base of this app's tables, all in schema dovvybuddy."""

    metadata = MetaData(schema="dovvybuddy", naming_convention=CONVENTION)
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy's own attribute
        str: Text,
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: Json(),
        list[dict[str, Any]]: Json(),
    }


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """A closed list for a TEXT column: a value is added by a new revision, without a type to alter."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def json_is(column: str, shape: str) -> CheckConstraint:
    """That a JSONB column holds an "object" or an "array", not a text that was encoded twice."""
    return CheckConstraint(f"jsonb_typeof({column}) = '{shape}'", name=column)


class Destination(Base):
    """A place that divers travel to."""

    __tablename__ = "destinations"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuid_generate_v4()"))
    name: Mapped[str]
    country: Mapped[str]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    dive_sites: Mapped[list[DiveSite]] = relationship(back_populates="destination", passive_deletes="all")


class DiveSite(Base):
    """A place to dive. Its destination cannot be deleted from under it: sites are switched off by `is_active`."""

    __tablename__ = "dive_sites"
    __table_args__ = (
        one_of("min_certification_level", CERTIFICATION_LEVELS),
        one_of("difficulty_band", DIFFICULTY_BANDS),
        one_of("access_type", ACCESS_TYPES),
        CheckConstraint("min_logged_dives >= 0", name="min_logged_dives"),
        Index(None, "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),  # a part of a name
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuid_generate_v4()"))
    destination_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(Destination.id, ondelete="RESTRICT"), index=True)
    name: Mapped[str]
    description: Mapped[str | None] = mapped_column()
    min_certification_level: Mapped[str]
    min_logged_dives: Mapped[int | None] = mapped_column()
    difficulty_band: Mapped[str]
    access_type: Mapped[str]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    destination: Mapped[Destination] = relationship(back_populates="dive_sites")


class Lead(Base):
    """Somebody's wish for a training or a trip."""

    __tablename__ = "leads"
    __table_args__ = (
        one_of("type", LEAD_TYPES),
        json_is("diver_profile", "object"),
        json_is("request_details", "object"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuid_generate_v4()"))
    type: Mapped[str]
    diver_profile: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    request_details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Session(Base):
    """A guest's conversation, kept until `expires_at`."""

    __tablename__ = "sessions"
    __table_args__ = (json_is("diver_profile", "object"), json_is("conversation_history", "array"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuid_generate_v4()"))
    diver_profile: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    conversation_history: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(server_default=text("now() + interval '24 hours'"), index=True)


class ContentEmbedding(Base):
    """A chunk of content with its embedding; the column is JSONB where the server has no pgvector (db.vectors)."""

    __tablename__ = "content_embeddings"
    __table_args__ = (
        json_is("metadata", "object"),
        Index(
            None,
            "embedding",
            postgresql_using="hnsw",
            postgresql_ops={"embedding": "vector_cosine_ops"},
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("uuid_generate_v4()"))
    content_path: Mapped[str]
    chunk_text: Mapped[str]
    embedding: Mapped[list[float]] = required(Embedding(DIMENSIONS))
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
