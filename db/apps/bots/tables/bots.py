"""Bots, their runs, the secrets they use and what their browsers showed."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Computed, FetchedValue, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.apps.bots.documents import BotConfig, CredentialDetails
from db.apps.bots.enums import CredentialType, RecordingStatus, RunStatus, RunTrigger
from db.apps.bots.tables.accounts import Organization, User
from db.apps.bots.tables.base import AUTHORS, Authored, Base, Owned, Timed, made_id, members, owner, within
from db.documents import document
from db.model import required

_LIVE = text("deleted_at IS NULL")


def search_vector(heading: str) -> Computed:
    """Words of `heading` before those of the description."""
    return Computed(
        f"(setweight(to_tsvector('english'::regconfig, {heading}), 'A'::\"char\") ||"
        " setweight(to_tsvector('english'::regconfig, COALESCE(description, ''::text)), 'B'::\"char\"))",
        persisted=True,
    )


class Bot(Authored, Owned, Base):
    """Something that works in a browser, by itself where it has a `schedule` (cron, in the config's time zone).

    `next_run_at` follows schedule, activity and deletion by a trigger; one that is given stays.
    """

    __tablename__ = "bots"
    __table_args__ = (
        UniqueConstraint("organization_id", "id", name="uq_bots_organization_id_id"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name"),
        CheckConstraint("slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name="slug"),
        CheckConstraint("jsonb_typeof(config) = 'object'", name="config"),
        CheckConstraint("bots.is_cron(schedule)", name="schedule"),
        Index("bots_org_id_idx", "organization_id"),
        Index("bots_slug_idx", "organization_id", "slug", unique=True, postgresql_where=_LIVE),
        Index("bots_active_idx", "is_active", postgresql_where=_LIVE),
        Index("bots_next_run_idx", "next_run_at"),
        Index("ix_bots_newest", "organization_id", text("created_at DESC"), text("id DESC"), postgresql_where=_LIVE),
        Index(
            "ix_bots_due",
            "organization_id",
            "next_run_at",
            "id",
            postgresql_where=text("is_active AND deleted_at IS NULL AND next_run_at IS NOT NULL"),
        ),
        Index("ix_bots_search", "search", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 256}),
        owner("bots"),
        *members("bots", *AUTHORS),
    )

    id: Mapped[uuid.UUID] = made_id()
    created_by_id: Mapped[uuid.UUID] = mapped_column(  # the document's: always somebody's
        ForeignKey(User.id, name="fk_bots_created_by_id_users"), server_default=FetchedValue()
    )
    name: Mapped[str]
    description: Mapped[str | None] = mapped_column()
    slug: Mapped[str]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    schedule: Mapped[str | None] = mapped_column()
    config: Mapped[BotConfig] = required(document(BotConfig))
    last_run_at: Mapped[datetime | None] = mapped_column()
    next_run_at: Mapped[datetime | None] = mapped_column()
    search: Mapped[str] = mapped_column(TSVECTOR, search_vector("name"), deferred=True, nullable=True)

    organization: Mapped[Organization] = relationship(foreign_keys="Bot.organization_id", viewonly=True)
    created_by: Mapped[User] = relationship(foreign_keys=created_by_id, viewonly=True)
    runs: Mapped[list[BotRun]] = relationship(
        back_populates="bot",
        foreign_keys="BotRun.bot_id",
        order_by="BotRun.started_at.desc()",
        passive_deletes="all",
    )


class BotRun(Timed, Owned, Base):
    """One run of a bot. A trigger keeps its life in order: queued, running, and one of four ends.

    A worker that holds it prolongs `lease_expires_at`; what it lets expire times out (`expire_runs`).
    """

    __tablename__ = "bot_runs"
    __table_args__ = (
        UniqueConstraint("organization_id", "id", name="uq_bot_runs_organization_id_id"),
        CheckConstraint("attempt >= 1", name="attempt"),
        CheckConstraint("finished_at >= started_at", name="finished_at"),
        Index("ix_bot_runs_newest", "organization_id", "bot_id", text("started_at DESC")),
        Index("ix_bot_runs_created_at", "organization_id", text("created_at DESC"), text("id DESC")),
        Index("ix_bot_runs_lease", "lease_expires_at", postgresql_where=text("status = 'running'")),
        Index(
            "ix_bot_runs_workflow_run_id",
            "organization_id",
            "workflow_run_id",
            postgresql_where=text("workflow_run_id IS NOT NULL"),
        ),
        owner("bot_runs"),
        within("bot_runs", "bot_id", "bots", ondelete="CASCADE"),
        within("bot_runs", "workflow_run_id", "workflow_runs", ondelete="SET NULL (workflow_run_id)"),
        *members("bot_runs", "created_by_id"),
    )

    id: Mapped[uuid.UUID] = made_id()
    bot_id: Mapped[uuid.UUID] = mapped_column()
    status: Mapped[RunStatus] = mapped_column(server_default=text("'queued'::bots.run_status"))
    trigger: Mapped[RunTrigger] = mapped_column(server_default=text("'manual'::bots.run_trigger"))
    attempt: Mapped[int] = mapped_column(server_default=text("1"))
    input: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    output: Mapped[dict[str, Any] | None] = mapped_column()
    error_message: Mapped[str | None] = mapped_column()
    worker: Mapped[str | None] = mapped_column()
    lease_expires_at: Mapped[datetime | None] = mapped_column()
    scheduled_for: Mapped[datetime | None] = mapped_column()
    started_at: Mapped[datetime | None] = mapped_column()
    finished_at: Mapped[datetime | None] = mapped_column()
    created_by_id: Mapped[uuid.UUID | None] = mapped_column(server_default=FetchedValue())
    workflow_run_id: Mapped[uuid.UUID | None] = mapped_column()

    bot: Mapped[Bot] = relationship(back_populates="runs", foreign_keys="BotRun.bot_id")
    recordings: Mapped[list[SessionRecording]] = relationship(
        back_populates="run", foreign_keys="SessionRecording.bot_run_id", passive_deletes="all"
    )


class Credential(Authored, Owned, Base):
    """A secret, encrypted by the application and bound to this row (db.apps.bots.queries.credentials)."""

    __tablename__ = "credentials"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name"),
        CheckConstraint("octet_length(secret) > 28", name="secret"),
        Index("uq_credentials_name", "organization_id", "name", unique=True, postgresql_where=_LIVE),
        Index(None, "organization_id", "bot_id"),
        owner("credentials"),
        within("credentials", "bot_id", "bots", ondelete="CASCADE"),
        *members("credentials", *AUTHORS),
    )

    id: Mapped[uuid.UUID] = made_id()
    bot_id: Mapped[uuid.UUID | None] = mapped_column()
    name: Mapped[str]
    type: Mapped[CredentialType]
    secret: Mapped[bytes] = required(deferred=True)
    details: Mapped[CredentialDetails] = mapped_column(
        "metadata", document(CredentialDetails), server_default=text("'{}'::jsonb")
    )
    expires_at: Mapped[datetime | None] = mapped_column()
    last_used_at: Mapped[datetime | None] = mapped_column()

    bot: Mapped[Bot | None] = relationship(foreign_keys="Credential.bot_id")


class SessionRecording(Authored, Owned, Base):
    """What a run's browser showed, as rrweb events."""

    __tablename__ = "session_recordings"
    __table_args__ = (
        CheckConstraint("jsonb_typeof(events) = 'array'", name="events"),
        CheckConstraint("ended_at >= started_at", name="ended_at"),
        Index(None, "organization_id", "bot_run_id"),
        owner("session_recordings"),
        within("session_recordings", "bot_run_id", "bot_runs", ondelete="CASCADE"),
        *members("session_recordings", *AUTHORS),
    )

    id: Mapped[uuid.UUID] = made_id()
    bot_run_id: Mapped[uuid.UUID] = mapped_column()
    status: Mapped[RecordingStatus] = mapped_column(server_default=text("'recording'::bots.recording_status"))
    events: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"), deferred=True)
    event_count: Mapped[int | None] = mapped_column(
        Computed(
            "CASE WHEN (jsonb_typeof(events) = 'array'::text) THEN jsonb_array_length(events) ELSE NULL::integer END",
            persisted=True,
        )
    )
    page_url: Mapped[str | None] = mapped_column()
    started_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    ended_at: Mapped[datetime | None] = mapped_column()

    run: Mapped[BotRun] = relationship(back_populates="recordings", foreign_keys="SessionRecording.bot_run_id")
