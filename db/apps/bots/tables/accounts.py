"""Organizations, the people in them, and what these may do.

Hashes (of passwords, tokens, keys) are written and never read: no login but the owner's may select them, so they are
loaded by nothing here. What compares them is db.apps.bots.queries.accounts.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from sqlalchemy import CheckConstraint, Computed, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.apps.bots.enums import MemberStatus, OrganizationPlan, UserStatus
from db.apps.bots.tables.base import AUTHORS, Authored, Base, Owned, Timed, made_id, members, owner, within
from db.jsonb import Json
from db.model import required

_SCOPE = "COALESCE(organization_id, '00000000-0000-0000-0000-000000000000'::uuid)"
_LIVE = text("deleted_at IS NULL")


def _by_users(table: str) -> tuple[ForeignKeyConstraint, ...]:
    return tuple(ForeignKeyConstraint([it], ["bots.users.id"], name=f"fk_{table}_{it}") for it in AUTHORS)


class User(Authored, Base):
    """Somebody who signs in; in as many organizations as they are a member of."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("email ~ '^[^@ ]+@[^@ ]+$'", name="email"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name"),
        *_by_users("users"),
    )

    id: Mapped[uuid.UUID] = made_id()
    email: Mapped[str]
    name: Mapped[str]
    avatar_url: Mapped[str | None] = mapped_column()
    password_hash: Mapped[str | None] = mapped_column(deferred=True, deferred_raiseload=True)
    status: Mapped[UserStatus] = mapped_column(server_default=text("'active'::bots.user_status"))
    email_verified_at: Mapped[datetime | None] = mapped_column()
    last_login_at: Mapped[datetime | None] = mapped_column()

    memberships: Mapped[list[OrganizationMember]] = relationship(
        back_populates="user", foreign_keys="OrganizationMember.user_id", passive_deletes="all"
    )
    sessions: Mapped[list[Session]] = relationship(
        back_populates="user", foreign_keys="Session.user_id", passive_deletes="all"
    )


Index("uq_users_email", func.lower(User.email), unique=True, postgresql_where=_LIVE)


class Organization(Authored, Base):
    """A tenant: everything with an `organization_id` is one's alone."""

    __tablename__ = "organizations"
    __table_args__ = (
        CheckConstraint("id <> '00000000-0000-0000-0000-000000000000'::uuid", name="id"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name"),
        CheckConstraint("slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name="slug"),
        Index("uq_organizations_slug", "slug", unique=True, postgresql_where=_LIVE),
        *_by_users("organizations"),
    )

    id: Mapped[uuid.UUID] = made_id()
    name: Mapped[str]
    slug: Mapped[str]
    plan: Mapped[OrganizationPlan] = mapped_column(server_default=text("'free'::bots.organization_plan"))
    billing_email: Mapped[str | None] = mapped_column()

    members: Mapped[list[OrganizationMember]] = relationship(back_populates="organization", passive_deletes="all")


class Permission(Timed, Base):
    """Something a role may allow, named like `bots:run`. The migrations' and seeds'; nobody else writes it."""

    __tablename__ = "permissions"
    __table_args__ = (
        UniqueConstraint("key", name="uq_permissions_key"),
        CheckConstraint("key ~ '^[a-z_]+:[a-z_]+$'", name="key"),
    )

    id: Mapped[uuid.UUID] = made_id()
    key: Mapped[str]
    description: Mapped[str]


class Role(Authored, Base):
    """A set of permissions. Without an organization it is a system role, which all read and the seeds write."""

    __tablename__ = "roles"
    __table_args__ = (
        CheckConstraint("char_length(name) BETWEEN 1 AND 100", name="name"),
        UniqueConstraint("scope_id", "id", name="uq_roles_scope_id_id"),
        Index(None, "organization_id"),
        owner("roles"),
        *members("roles", *AUTHORS),
    )

    id: Mapped[uuid.UUID] = made_id()
    organization_id: Mapped[uuid.UUID | None] = mapped_column()
    name: Mapped[str]
    description: Mapped[str | None] = mapped_column()
    scope_id: Mapped[uuid.UUID] = mapped_column(Computed(_SCOPE, persisted=True))

    permissions: Mapped[list[Permission]] = relationship(
        secondary="bots.role_permissions",
        primaryjoin="Role.id == RolePermission.role_id",
        secondaryjoin="Permission.id == RolePermission.permission_id",
        order_by=Permission.key,
        viewonly=True,
    )


Index("uq_roles_name", Role.scope_id, func.lower(Role.name), unique=True, postgresql_where=_LIVE)


class RolePermission(Base):
    """That a role has a permission. `organization_id` is the role's, None for a system role."""

    __tablename__ = "role_permissions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["scope_id", "role_id"],
            ["bots.roles.scope_id", "bots.roles.id"],
            name="fk_role_permissions_role_id",
            ondelete="CASCADE",
        ),
        Index(None, "scope_id", "role_id"),
    )

    role_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    permission_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey(Permission.id, name="fk_role_permissions_permission_id", ondelete="CASCADE"),
        primary_key=True,
        index=True,
    )
    organization_id: Mapped[uuid.UUID | None] = mapped_column()
    scope_id: Mapped[uuid.UUID] = mapped_column(Computed(_SCOPE, persisted=True))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class OrganizationMember(Authored, Base):
    """A user's place in an organization; one row for ever, deleted when they leave and restored when they return.

    A user is shown to the organization while the membership lives and is active. Somebody else invites, only the user
    makes the invitation active (queries.accounts.accept_invitation), and who left is invited again; a founder's first
    membership needs nobody else. A trigger refuses anything else (0011_consent). The role is a system role unless
    `role_is_system` is False; then it is one of the organization's own.
    """

    __tablename__ = "organization_members"
    __table_args__ = (
        UniqueConstraint("organization_id", "user_id", name="uq_organization_members_organization_id_user_id"),
        owner("organization_members"),
        ForeignKeyConstraint(
            ["role_scope_id", "role_id"],
            ["bots.roles.scope_id", "bots.roles.id"],
            name="fk_organization_members_role_id",
        ),
        Index(None, "role_scope_id", "role_id"),
        *members("organization_members", *AUTHORS),
    )

    id: Mapped[uuid.UUID] = made_id()
    organization_id: Mapped[uuid.UUID] = mapped_column()
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(User.id, name="fk_organization_members_user_id"), index=True)
    role_id: Mapped[uuid.UUID] = mapped_column()
    role_is_system: Mapped[bool] = mapped_column(server_default=text("true"))
    role_scope_id: Mapped[uuid.UUID] = mapped_column(
        Computed(
            "CASE WHEN role_is_system THEN '00000000-0000-0000-0000-000000000000'::uuid ELSE organization_id END",
            persisted=True,
        )
    )
    status: Mapped[MemberStatus] = mapped_column(server_default=text("'invited'::bots.member_status"))
    joined_at: Mapped[datetime | None] = mapped_column()

    organization: Mapped[Organization] = relationship(back_populates="members")
    user: Mapped[User] = relationship(back_populates="memberships", foreign_keys=user_id)
    role: Mapped[Role] = relationship(foreign_keys="OrganizationMember.role_id")


class Session(Timed, Base):
    """A signed-in browser, active in at most one organization; the membership's end is its end."""

    __tablename__ = "sessions"
    __table_args__ = (
        UniqueConstraint("token_hash", name="uq_sessions_token_hash"),
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash"),
        ForeignKeyConstraint(
            ["organization_id", "user_id"],
            ["bots.organization_members.organization_id", "bots.organization_members.user_id"],
            name="fk_sessions_organization_id",
            ondelete="CASCADE",
        ),
        Index(None, "organization_id", "user_id"),
    )

    id: Mapped[uuid.UUID] = made_id()
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey(User.id, name="fk_sessions_user_id", ondelete="CASCADE"), index=True
    )
    organization_id: Mapped[uuid.UUID | None] = mapped_column()
    token_hash: Mapped[bytes] = required(deferred=True, deferred_raiseload=True)
    ip_address: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    user_agent: Mapped[str | None] = mapped_column()
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = required(index=True)

    user: Mapped[User] = relationship(back_populates="sessions", foreign_keys=user_id)


class ApiKey(Authored, Owned, Base):
    """A program's way in. `prefix` is the part that people recognise it by."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
        CheckConstraint("octet_length(key_hash) = 32", name="key_hash"),
        CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name"),
        Index(None, "organization_id"),
        owner("api_keys"),
        *members("api_keys", *AUTHORS),
    )

    id: Mapped[uuid.UUID] = made_id()
    name: Mapped[str]
    prefix: Mapped[str]
    key_hash: Mapped[bytes] = required(deferred=True, deferred_raiseload=True)
    scopes: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    last_used_at: Mapped[datetime | None] = mapped_column()
    expires_at: Mapped[datetime | None] = mapped_column()
    revoked_at: Mapped[datetime | None] = mapped_column()


class Setting(Authored, Owned, Base):
    """A value of an organization, or of one member in it (`user_id`)."""

    __tablename__ = "settings"
    __table_args__ = (
        CheckConstraint("char_length(key) BETWEEN 1 AND 200", name="key"),
        Index(
            "uq_settings_key",
            "organization_id",
            "user_id",
            "key",
            unique=True,
            postgresql_where=_LIVE,
            postgresql_nulls_not_distinct=True,
        ),
        owner("settings"),
        within("settings", "user_id", "organization_members.user_id"),
        *members("settings", *AUTHORS),
    )

    id: Mapped[uuid.UUID] = made_id()
    user_id: Mapped[uuid.UUID | None] = mapped_column()
    key: Mapped[str]
    value: Mapped[Any] = required(Json())
