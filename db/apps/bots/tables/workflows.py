"""Workflows, their runs, tasks for people and what people are told."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, FetchedValue, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.apps.bots.documents import NotificationData, WorkflowDefinition
from db.apps.bots.enums import NotificationType, RunStatus, RunTrigger, TaskPriority, TaskStatus, WorkflowStatus
from db.apps.bots.tables.base import AUTHORS, Authored, Base, Owned, Timed, made_id, members, owner, within
from db.apps.bots.tables.bots import search_vector
from db.documents import document
from db.model import required

_LIVE = text("deleted_at IS NULL")


class Workflow(Authored, Owned, Base):
    """Bots in an order."""

    __tablename__ = "workflows"
    __table_args__ = (
        UniqueConstraint("organization_id", "id", name="uq_workflows_organization_id_id"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name"),
        CheckConstraint("slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name="slug"),
        CheckConstraint("jsonb_typeof(definition) = 'object'", name="definition"),
        Index("uq_workflows_slug", "organization_id", "slug", unique=True, postgresql_where=_LIVE),
        Index("ix_workflows_search", "search", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 256}),
        owner("workflows"),
        *members("workflows", *AUTHORS),
    )

    id: Mapped[uuid.UUID] = made_id()
    name: Mapped[str]
    description: Mapped[str | None] = mapped_column()
    slug: Mapped[str]
    status: Mapped[WorkflowStatus] = mapped_column(server_default=text("'draft'::bots.workflow_status"))
    definition: Mapped[WorkflowDefinition] = required(document(WorkflowDefinition))
    search: Mapped[str] = mapped_column(TSVECTOR, search_vector("name"), deferred=True, nullable=True)

    runs: Mapped[list[WorkflowRun]] = relationship(
        back_populates="workflow", foreign_keys="WorkflowRun.workflow_id", passive_deletes="all"
    )


class WorkflowRun(Timed, Owned, Base):
    """One run of a workflow; its life is a bot run's."""

    __tablename__ = "workflow_runs"
    __table_args__ = (
        UniqueConstraint("organization_id", "id", name="uq_workflow_runs_organization_id_id"),
        CheckConstraint("finished_at >= started_at", name="finished_at"),
        Index("ix_workflow_runs_newest", "organization_id", "workflow_id", text("started_at DESC")),
        owner("workflow_runs"),
        within("workflow_runs", "workflow_id", "workflows", ondelete="CASCADE"),
        *members("workflow_runs", "created_by_id"),
    )

    id: Mapped[uuid.UUID] = made_id()
    workflow_id: Mapped[uuid.UUID] = mapped_column()
    status: Mapped[RunStatus] = mapped_column(server_default=text("'queued'::bots.run_status"))
    trigger: Mapped[RunTrigger] = mapped_column(server_default=text("'manual'::bots.run_trigger"))
    current_step: Mapped[str | None] = mapped_column()
    input: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    output: Mapped[dict[str, Any] | None] = mapped_column()
    error_message: Mapped[str | None] = mapped_column()
    started_at: Mapped[datetime | None] = mapped_column()
    finished_at: Mapped[datetime | None] = mapped_column()
    created_by_id: Mapped[uuid.UUID | None] = mapped_column(server_default=FetchedValue())

    workflow: Mapped[Workflow] = relationship(back_populates="runs", foreign_keys="WorkflowRun.workflow_id")


class Task(Authored, Owned, Base):
    """Something a person has to do."""

    __tablename__ = "tasks"
    __table_args__ = (
        CheckConstraint("char_length(title) BETWEEN 1 AND 300", name="title"),
        CheckConstraint("(status = 'done') = (completed_at IS NOT NULL)", name="completed_at"),
        Index(
            "ix_tasks_open",
            "organization_id",
            "assignee_id",
            "due_at",
            postgresql_where=text("deleted_at IS NULL AND completed_at IS NULL"),
        ),
        Index("ix_tasks_newest", "organization_id", text("created_at DESC"), text("id DESC")),
        Index("ix_tasks_bot_id", "organization_id", "bot_id", postgresql_where=text("bot_id IS NOT NULL")),
        Index(
            "ix_tasks_workflow_run_id",
            "organization_id",
            "workflow_run_id",
            postgresql_where=text("workflow_run_id IS NOT NULL"),
        ),
        Index("ix_tasks_search", "search", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 256}),
        owner("tasks"),
        within("tasks", "bot_id", "bots", ondelete="CASCADE"),
        within("tasks", "workflow_run_id", "workflow_runs", ondelete="CASCADE"),
        *members("tasks", "assignee_id", *AUTHORS),
    )

    id: Mapped[uuid.UUID] = made_id()
    bot_id: Mapped[uuid.UUID | None] = mapped_column()
    workflow_run_id: Mapped[uuid.UUID | None] = mapped_column()
    assignee_id: Mapped[uuid.UUID | None] = mapped_column()
    title: Mapped[str]
    description: Mapped[str | None] = mapped_column()
    status: Mapped[TaskStatus] = mapped_column(server_default=text("'open'::bots.task_status"))
    priority: Mapped[TaskPriority] = mapped_column(server_default=text("'normal'::bots.task_priority"))
    due_at: Mapped[datetime | None] = mapped_column()
    completed_at: Mapped[datetime | None] = mapped_column()
    search: Mapped[str] = mapped_column(TSVECTOR, search_vector("title"), deferred=True, nullable=True)


class Notification(Authored, Owned, Base):
    """Something a member is told in the application."""

    __tablename__ = "notifications"
    __table_args__ = (
        CheckConstraint("char_length(title) BETWEEN 1 AND 300", name="title"),
        Index(
            "ix_notifications_newest",
            "organization_id",
            "user_id",
            text("created_at DESC"),
            postgresql_where=_LIVE,
        ),
        Index(
            "ix_notifications_unread",
            "organization_id",
            "user_id",
            postgresql_where=text("deleted_at IS NULL AND read_at IS NULL"),
        ),
        owner("notifications"),
        *members("notifications", "user_id", *AUTHORS),
    )

    id: Mapped[uuid.UUID] = made_id()
    user_id: Mapped[uuid.UUID]
    type: Mapped[NotificationType] = mapped_column(server_default=text("'info'::bots.notification_type"))
    title: Mapped[str]
    body: Mapped[str | None] = mapped_column()
    data: Mapped[NotificationData] = mapped_column(document(NotificationData), server_default=text("'{}'::jsonb"))
    read_at: Mapped[datetime | None] = mapped_column()
