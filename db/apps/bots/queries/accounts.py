"""Signing up, in and out, choosing an organization, and programs' keys.

Tokens and keys are stored as SHA-256 only: they are random, so a slow hash would protect nothing that can be guessed.
Passwords are hashed by the caller, with what it chose for that.

User, Session, Organization, OrganizationMember and roles are not TenantOwned: who signs in reads their own before an
organization is chosen (`signed_in`), and system roles belong to none. So a session that named neither a tenant nor a
user finds them empty, without TenancyError; row-level security guards them all the same.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session as DatabaseSession

from db import tenancy
from db.apps.bots.enums import MemberStatus, UserStatus
from db.apps.bots.models import ApiKey, Organization, OrganizationMember, Session, User
from db.tenancy import require, tenant

signed_in = tenancy.signed_in


@dataclass(frozen=True)
class SignIn:
    """What is needed to check a password."""

    user_id: uuid.UUID
    password_hash: str | None
    status: UserStatus


@dataclass(frozen=True)
class SignedIn:
    """A valid session: whose, and in which organization."""

    session_id: uuid.UUID
    user_id: uuid.UUID
    organization_id: uuid.UUID | None
    expires_at: datetime


@dataclass(frozen=True)
class Key:
    """A valid key of a program."""

    id: uuid.UUID
    organization_id: uuid.UUID
    created_by_id: uuid.UUID | None
    scopes: tuple[str, ...]


def hashed(token: str) -> bytes:
    """SHA-256 of a random token or key."""
    return hashlib.sha256(token.encode()).digest()


def find_sign_in(session: DatabaseSession, email: str) -> SignIn | None:
    """Who signs in with `email`, in any case of its letters."""
    row = session.execute(select(_columns(func.bots.find_sign_in(email), "user_id", "password_hash", "status"))).first()
    return None if row is None else SignIn(row.user_id, row.password_hash, UserStatus(row.status))


def sign_up(session: DatabaseSession, *, email: str, name: str, password_hash: str | None) -> uuid.UUID:
    """A new user's id. Raises IntegrityError (uq_users_email) where the address is taken."""
    user_id = uuid.uuid4()
    with signed_in(session, user_id):
        session.execute(
            insert(User).values(
                {User.id: user_id, User.email: email, User.name: name, User.password_hash: password_hash}
            )
        )
    return user_id


def found_organization(
    session: DatabaseSession, *, user_id: uuid.UUID, role_id: uuid.UUID, name: str, slug: str
) -> uuid.UUID:
    """A new organization's id, with its founder as the first member in the system role `role_id`."""
    organization_id = uuid.uuid4()
    with tenant(session, organization_id, user_id):
        session.execute(
            insert(Organization).values(
                {Organization.id: organization_id, Organization.name: name, Organization.slug: slug}
            )
        )
        session.execute(
            insert(OrganizationMember).values(
                {
                    OrganizationMember.organization_id: organization_id,
                    OrganizationMember.user_id: user_id,
                    OrganizationMember.role_id: role_id,
                    OrganizationMember.status: MemberStatus.ACTIVE,
                    OrganizationMember.joined_at: func.now(),
                },
            )
        )
    return organization_id


def accept_invitation(session: DatabaseSession, *, user_id: uuid.UUID, organization_id: uuid.UUID) -> bool:
    """Make `user_id`, who must be the one signed in, a member of the organization; False where nobody invited them.

    The database refuses this to everybody else, and to who was invited by nobody but themselves (0011_consent).
    """
    accepted = (
        update(OrganizationMember)
        .where(OrganizationMember.user_id == user_id, OrganizationMember.status == MemberStatus.INVITED)
        .values({OrganizationMember.status: MemberStatus.ACTIVE, OrganizationMember.joined_at: func.now()})
        .returning(OrganizationMember.id)
    )
    with tenant(session, organization_id, user_id):
        return session.scalar(accepted) is not None


def organizations_of(session: DatabaseSession, user_id: uuid.UUID) -> Sequence[Organization]:
    """The organizations that `user_id` belongs to or is invited to, by name; not where they are suspended."""
    with signed_in(session, user_id):
        return session.scalars(select(Organization).order_by(Organization.name, Organization.id)).all()


def open_session(
    session: DatabaseSession,
    *,
    user_id: uuid.UUID,
    token: str,
    expires_at: datetime,
    organization_id: uuid.UUID | None = None,
    ip_address: str | IPv4Address | IPv6Address | None = None,
    user_agent: str | None = None,
) -> uuid.UUID:
    """The id of a session that `token` opens. Raises IntegrityError where the user is no member of the organization."""
    session_id = uuid.uuid4()
    with signed_in(session, user_id):
        session.execute(
            insert(Session).values(
                {
                    Session.id: session_id,
                    Session.user_id: user_id,
                    Session.organization_id: organization_id,
                    Session.token_hash: hashed(token),
                    Session.expires_at: expires_at,
                    Session.ip_address: ip_address,
                    Session.user_agent: user_agent,
                }
            )
        )
    return session_id


def find_session(session: DatabaseSession, token: str) -> SignedIn | None:
    """The session that `token` opens, unless it has expired or its user is suspended or deleted.

    Its organization is None once the user's membership there is over or suspended, or the organization is deleted.
    """
    found = _columns(func.bots.find_session(hashed(token)), "session_id", "user_id", "organization_id", "expires_at")
    row = session.execute(select(found)).first()
    return None if row is None else SignedIn(*row)


def close_session(session: DatabaseSession, signed: SignedIn) -> None:
    """Sign out."""
    with signed_in(session, signed.user_id):
        session.execute(delete(Session).where(Session.id == signed.session_id))


def set_password(session: DatabaseSession, user_id: uuid.UUID, password_hash: str) -> None:
    """Replace a password's hash, which nobody can read back."""
    with signed_in(session, user_id):
        session.execute(update(User).where(User.id == user_id).values({User.password_hash: password_hash}))


def add_api_key(session: DatabaseSession, *, name: str, key: str, scopes: Sequence[str] = ()) -> uuid.UUID:
    """The id of a key of the session's organization. `key` is shown once, to whom it is for."""
    key_id = uuid.uuid4()
    session.execute(
        insert(ApiKey).values(
            {
                ApiKey.id: key_id,
                ApiKey.organization_id: require(session).organization_id,
                ApiKey.name: name,
                ApiKey.prefix: key[:8],
                ApiKey.key_hash: hashed(key),
                ApiKey.scopes: list(scopes),
            },
        )
    )
    return key_id


def find_api_key(session: DatabaseSession, key: str) -> Key | None:
    """The key, unless it was revoked or deleted or has expired."""
    found = _columns(func.bots.find_api_key(hashed(key)), "api_key_id", "organization_id", "created_by_id", "scopes")
    row = session.execute(select(found)).first()
    return None if row is None else Key(row.api_key_id, row.organization_id, row.created_by_id, tuple(row.scopes))


def _columns(function: Any, *names: str) -> Any:
    return function.table_valued(*names).render_derived(name="found")
