"""Logs, a partition a month: written once, read by time, retired by the month (0004_partitioned_logs)."""

from __future__ import annotations

import uuid
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address

from sqlalchemy import Index, func, text
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from db.apps.bots.documents import Changes, LogContext
from db.apps.bots.enums import ActivityAction, LogLevel
from db.apps.bots.tables.base import Base, Owned, members, owner, within
from db.documents import document


class BotLog(Owned, Base):
    """A line that a bot wrote. A `created_at` for which there is no partition is refused."""

    __tablename__ = "bot_logs"
    __table_args__ = (
        Index("ix_bot_logs_newest", "organization_id", "bot_id", text("created_at DESC")),
        Index("ix_bot_logs_bot_run_id", "organization_id", "bot_run_id", "created_at"),
        within("bot_logs", "bot_id", "bots", ondelete="CASCADE"),
        within("bot_logs", "bot_run_id", "bot_runs", ondelete="CASCADE"),
        {"postgresql_partition_by": "RANGE (created_at)"},
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    bot_id: Mapped[uuid.UUID]
    bot_run_id: Mapped[uuid.UUID | None] = mapped_column()
    level: Mapped[LogLevel] = mapped_column(server_default=text("'info'::bots.log_level"))
    message: Mapped[str]
    context: Mapped[LogContext] = mapped_column(document(LogContext), server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(primary_key=True, server_default=func.now())


class ActivityLog(Owned, Base):
    """That somebody did something. The actor is who is signed in; the database takes no other name."""

    __tablename__ = "activity_logs"
    __table_args__ = (
        Index("ix_activity_logs_newest", "organization_id", text("created_at DESC"), text("id DESC")),
        Index("ix_activity_logs_entity", "organization_id", "entity_type", "entity_id", text("created_at DESC")),
        Index("ix_activity_logs_actor_id", "organization_id", "actor_id", text("created_at DESC")),
        owner("activity_logs"),
        *members("activity_logs", "actor_id"),
        {"postgresql_partition_by": "RANGE (created_at)"},
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    actor_id: Mapped[uuid.UUID | None] = mapped_column(
        server_default=text("(NULLIF(current_setting('app.user_id'::text, true), ''::text))::uuid")
    )
    action: Mapped[ActivityAction]
    entity_type: Mapped[str]
    entity_id: Mapped[uuid.UUID | None] = mapped_column()
    changes: Mapped[Changes] = mapped_column(document(Changes), server_default=text("'{}'::jsonb"))
    ip_address: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    user_agent: Mapped[str | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(primary_key=True, server_default=func.now())
