"""What the tables of bots have in common."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import FetchedValue, ForeignKeyConstraint, MetaData, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, ENUM, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.apps.bots import enums
from db.jsonb import Json
from db.model import Model
from db.naming import CONVENTION
from db.soft_delete import SoftDelete
from db.tenancy import TenantOwned

SCHEMA = "bots"
NO_ORGANIZATION = uuid.UUID(int=0)
"""What `scope_id` holds for system roles, which belong to no organization."""


def _enum(values: type[StrEnum], name: str) -> ENUM:
    # by value, not by name; the type is the migrations'
    return ENUM(values, name=name, schema=SCHEMA, create_type=False, values_callable=lambda it: [v.value for v in it])


class Base(Model, DeclarativeBase):
    """Declarative base of this app's tables, all in schema bots."""

    metadata = MetaData(schema=SCHEMA, naming_convention=CONVENTION)
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy's own attribute
        str: Text,
        bytes: BYTEA,
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: Json(none_as_null=True),
        list[dict[str, Any]]: Json(none_as_null=True),
        list[str]: ARRAY(Text),
        enums.UserStatus: _enum(enums.UserStatus, "user_status"),
        enums.OrganizationPlan: _enum(enums.OrganizationPlan, "organization_plan"),
        enums.MemberStatus: _enum(enums.MemberStatus, "member_status"),
        enums.RunStatus: _enum(enums.RunStatus, "run_status"),
        enums.RunTrigger: _enum(enums.RunTrigger, "run_trigger"),
        enums.CredentialType: _enum(enums.CredentialType, "credential_type"),
        enums.RecordingStatus: _enum(enums.RecordingStatus, "recording_status"),
        enums.WorkflowStatus: _enum(enums.WorkflowStatus, "workflow_status"),
        enums.TaskStatus: _enum(enums.TaskStatus, "task_status"),
        enums.TaskPriority: _enum(enums.TaskPriority, "task_priority"),
        enums.NotificationType: _enum(enums.NotificationType, "notification_type"),
        enums.LogLevel: _enum(enums.LogLevel, "log_level"),
        enums.ActivityAction: _enum(enums.ActivityAction, "activity_action"),
    }


def made_id() -> Mapped[uuid.UUID]:
    """A primary key that makes itself."""
    return mapped_column(primary_key=True, server_default=func.gen_random_uuid())


class Timed(Model):
    """When a row was made and last changed; a trigger keeps both, by the server's clock."""

    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), server_onupdate=FetchedValue())


class Authored(Timed, SoftDelete):
    """Also who did it, and when and by whom it was deleted. A trigger keeps these from app.user_id (db.tenancy).

    Only where nobody is signed in, as in a job, `created_by_id` may be given.
    """

    created_by_id: Mapped[uuid.UUID | None] = mapped_column(server_default=FetchedValue())
    updated_by_id: Mapped[uuid.UUID | None] = mapped_column(
        server_default=FetchedValue(), server_onupdate=FetchedValue()
    )
    deleted_by_id: Mapped[uuid.UUID | None] = mapped_column(
        server_default=FetchedValue(), server_onupdate=FetchedValue()
    )


class Owned(TenantOwned):
    """A row of one organization, which goes with it."""

    organization_id: Mapped[uuid.UUID] = mapped_column()  # a constructor does not ask for it: a parent may give it


def owner(table: str) -> ForeignKeyConstraint:
    """The key of `organization_id`."""
    return ForeignKeyConstraint(
        ["organization_id"], [f"{SCHEMA}.organizations.id"], name=f"fk_{table}_organization_id", ondelete="CASCADE"
    )


def within(
    table: str, column: str, target: str, *, ondelete: str | None = None, use_alter: bool = False
) -> ForeignKeyConstraint:
    """A key to a row of the same organization: `target` is a table, or its column if that is not `id`."""
    referred, _, name = target.partition(".")
    return ForeignKeyConstraint(
        ["organization_id", column],
        [f"{SCHEMA}.{referred}.organization_id", f"{SCHEMA}.{referred}.{name or 'id'}"],
        name=f"fk_{table}_{column}",
        ondelete=ondelete,
        use_alter=use_alter,
    )


def members(table: str, *columns: str) -> tuple[ForeignKeyConstraint, ...]:
    """Keys of columns that name users, each a member of the row's organization (or a former one)."""
    # memberships refer to roles, so the keys of roles come after both tables
    return tuple(within(table, it, "organization_members.user_id", use_alter=table == "roles") for it in columns)


AUTHORS = ("created_by_id", "updated_by_id", "deleted_by_id")
