"""Who becomes a member is invited by others and accepts themselves, whatever the application's login writes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from db import engine
from db.apps.bots import enums
from db.apps.bots.models import OrganizationMember
from db.apps.bots.queries import accounts
from db.bulk import copy_rows
from db.errors import BulkError
from db.tenancy import tenant
from db.urls import DatabaseURL
from tests.db.bots_world import OURS, SYSTEM_ROLE, THEIRS, World, acting, migrated, one
from tests.db.conftest import Connection, Prepare, Prepared

INSERT = "INSERT INTO organization_members (organization_id, user_id, role_id, status) VALUES (%s, %s, %s, %s)"
ON_CONFLICT = " ON CONFLICT (organization_id, user_id) DO UPDATE SET status = {}"
STRANGER = (OURS.organization, THEIRS.user, SYSTEM_ROLE)
UNINVITED = "who joins an organization is invited by somebody else"
ALONE = "a membership becomes {} by its own user alone"

pytestmark = pytest.mark.requirement("bots.P2.row-level-security", "bots.tables.organization_members")


@pytest.fixture(scope="module")
def database(prepare: Prepare) -> Prepared:
    return migrated(prepare)


@pytest.fixture
def us(database: Prepared) -> Iterator[Connection]:
    with acting(database.app_url, OURS) as connection:
        yield connection


def act_as(connection: Connection, user: uuid.UUID | None) -> None:
    connection.execute("SELECT set_config('app.user_id', %s, true)", (str(user or ""),))


def invited(connection: Connection) -> uuid.UUID:
    """The id of the stranger's invitation."""
    return uuid.UUID(str(one(connection, INSERT + " RETURNING id", *STRANGER, "invited")))


def joined(connection: Connection) -> uuid.UUID:
    """The id of the stranger's membership, which they accepted."""
    member = invited(connection)
    act_as(connection, THEIRS.user)
    connection.execute("UPDATE organization_members SET status = 'active' WHERE id = %s", (member,))
    act_as(connection, OURS.user)
    return member


def found(connection: Connection, founder: uuid.UUID | None) -> uuid.UUID:
    """The id of a new organization without members, which the connection is in afterwards."""
    new = uuid.uuid4()
    act_as(connection, founder)
    connection.execute("SELECT set_config('app.organization_id', %s, true)", (str(new),))
    connection.execute("INSERT INTO organizations (id, name, slug) VALUES (%s, 'New', 'new')", (new,))
    return new


def shown(connection: Connection, world: World = THEIRS) -> bool:
    return one(connection, "SELECT count(*) FROM users WHERE id = %s", world.user) == 1


@pytest.mark.parametrize("status", ["active", "suspended"])
@pytest.mark.parametrize("actor", [OURS.user, None], ids=["colleague", "nobody"])
def test_a_stranger_cannot_be_inserted_as_more_than_invited(
    us: Connection, actor: uuid.UUID | None, status: str
) -> None:
    act_as(us, actor)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=ALONE.format(status)):
        us.execute(INSERT, (*STRANGER, status))


@pytest.mark.parametrize("status", ["active", "suspended"])
@pytest.mark.parametrize("actor", [OURS.user, None], ids=["colleague", "nobody"])
def test_an_invitation_is_accepted_by_nobody_else(us: Connection, actor: uuid.UUID | None, status: str) -> None:
    member = invited(us)
    act_as(us, actor)

    assert not shown(us)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=ALONE.format(status)):
        us.execute("UPDATE organization_members SET status = %s WHERE id = %s", (status, member))


@pytest.mark.parametrize(
    ("first", "then"),
    [("active", "excluded.status"), ("active", "organization_members.status"), ("invited", "'active'")],
)
def test_an_invitation_is_not_accepted_by_on_conflict(us: Connection, first: str, then: str) -> None:
    invited(us)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=ALONE.format("active")):
        us.execute(INSERT + ON_CONFLICT.format(then), (*STRANGER, first))


@pytest.mark.parametrize("status", ["active", "invited", "suspended"])
@pytest.mark.parametrize("deleted", ["NULL", "now()"])
def test_nobody_joins_an_organization_uninvited(us: Connection, status: str, deleted: str) -> None:
    act_as(us, THEIRS.user)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=UNINVITED):
        us.execute(
            INSERT.replace(") VALUES", ", deleted_at) VALUES").replace("%s)", f"%s, {deleted})"), (*STRANGER, status)
        )


@pytest.mark.parametrize("founder", [OURS.user, None], ids=["somebody else", "a job"])
def test_an_organization_without_members_is_taken_by_nobody_but_its_founder(
    us: Connection, founder: uuid.UUID | None
) -> None:
    new = found(us, founder)
    act_as(us, THEIRS.user)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=UNINVITED):
        us.execute(INSERT, (new, THEIRS.user, SYSTEM_ROLE, "active"))


def test_a_founder_is_the_first_member_and_does_not_come_back_uninvited(us: Connection) -> None:
    new = found(us, OURS.user)
    member = one(us, INSERT + " RETURNING id", new, OURS.user, SYSTEM_ROLE, "active")
    us.execute("UPDATE organization_members SET deleted_at = now() WHERE id = %s", (member,))

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=UNINVITED):
        us.execute(INSERT + ON_CONFLICT.format("'active', deleted_at = NULL"), (new, OURS.user, SYSTEM_ROLE, "active"))


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ("status = 'suspended'", "status = 'active'"),
        ("status = 'suspended'", "status = 'invited'"),
        ("deleted_at = now()", "deleted_at = NULL"),
        ("deleted_at = now()", "deleted_at = NULL, status = 'invited'"),
        ("deleted_at = now(), status = 'invited'", "deleted_at = NULL, status = 'active'"),
        ("deleted_at = now(), status = 'invited'", "status = 'active'"),
        ("status = 'invited'", "status = 'active', role_id = '{role}', role_is_system = false"),
        ("status = 'invited'", "role_id = '{role}', role_is_system = false"),
        ("status = 'suspended'", "role_id = '{role}', role_is_system = false"),
    ],
)
def test_what_others_took_or_offered_is_not_changed_by_the_member(us: Connection, before: str, change: str) -> None:
    member = joined(us)
    us.execute(f"UPDATE organization_members SET {before} WHERE id = %s", (member,))
    act_as(us, THEIRS.user)

    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="members do not end their own suspension"):
        us.execute(f"UPDATE organization_members SET {change.format(role=OURS.role)} WHERE id = %s", (member,))


@pytest.mark.parametrize("status", ["invited", "active", "suspended"])
def test_a_member_may_leave_whatever_they_are(us: Connection, status: str) -> None:
    member = joined(us)
    us.execute("UPDATE organization_members SET status = %s::member_status WHERE id = %s", (status, member))
    act_as(us, THEIRS.user)

    left = us.execute("UPDATE organization_members SET deleted_at = now() WHERE id = %s", (member,)).rowcount

    assert left == 1


def test_a_stranger_is_not_made_a_member_by_a_bulk_insert(database: Prepared) -> None:
    row = {"organization_id": OURS.organization, "user_id": THEIRS.user, "role_id": SYSTEM_ROLE}
    source = engine.unpooled(DatabaseURL.parse(database.app_url))
    with (
        Session(source) as session,
        tenant(session, OURS.organization, OURS.user),
        pytest.raises(BulkError, match=ALONE.format("active")),
    ):
        copy_rows(session, OrganizationMember, [{**row, "status": enums.MemberStatus.ACTIVE}])


def test_the_user_accepts_and_may_be_suspended_and_reinstated_by_others(us: Connection) -> None:
    member = joined(us)

    assert shown(us)
    us.execute("UPDATE organization_members SET status = 'suspended' WHERE id = %s", (member,))
    assert not shown(us)
    us.execute("UPDATE organization_members SET status = 'active' WHERE id = %s", (member,))
    assert shown(us)
    us.execute("UPDATE organization_members SET deleted_at = now() WHERE id = %s", (member,))
    assert not shown(us)


def test_who_has_left_is_invited_again_and_not_brought_back(us: Connection) -> None:
    member = joined(us)
    us.execute("UPDATE organization_members SET deleted_at = now() WHERE id = %s", (member,))
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match=ALONE.format("active")),
        us.transaction(),
    ):
        us.execute("UPDATE organization_members SET deleted_at = NULL WHERE id = %s", (member,))
    us.execute("UPDATE organization_members SET deleted_at = NULL, status = 'invited' WHERE id = %s", (member,))

    assert not shown(us)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=ALONE.format("active")):
        us.execute("UPDATE organization_members SET status = 'active' WHERE id = %s", (member,))


@pytest.mark.parametrize("actor", [OURS.user, THEIRS.user], ids=["giver", "taker"])
def test_a_membership_is_not_handed_to_another_user(us: Connection, actor: uuid.UUID) -> None:
    us.execute("DELETE FROM sessions")  # else their key would refuse it
    act_as(us, actor)
    with pytest.raises(psycopg.errors.CheckViolation, match="a membership keeps its user"):
        us.execute("UPDATE organization_members SET user_id = %s WHERE id = %s", (THEIRS.user, OURS.member))


def test_the_owner_imports_memberships_as_they_were(database: Prepared) -> None:
    with psycopg.connect(database.owner_url) as owner:
        made = one(owner, INSERT + " RETURNING status::text", *STRANGER, "active")
        owner.rollback()

    assert made == "active"


def test_an_invitation_is_accepted_through_the_library_once_and_by_the_invited(database: Prepared) -> None:
    source = engine.unpooled(DatabaseURL.parse(database.app_url))
    there = {"user_id": THEIRS.user, "organization_id": OURS.organization}
    with Session(source) as session:
        assert not accounts.accept_invitation(session, **there)  # nobody invited them
        with tenant(session, OURS.organization, OURS.user):
            session.add(OrganizationMember(organization_id=OURS.organization, user_id=THEIRS.user, role_id=SYSTEM_ROLE))
        assert accounts.accept_invitation(session, **there)
        assert not accounts.accept_invitation(session, **there)
        with tenant(session, OURS.organization, OURS.user):
            member = session.scalars(select(OrganizationMember).where(OrganizationMember.user_id == THEIRS.user)).one()
            assert member.status is enums.MemberStatus.ACTIVE
            assert member.joined_at is not None
        session.rollback()
