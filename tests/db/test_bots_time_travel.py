"""Rows as they were: histories that triggers fill, and db.audit, which reads them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from db import audit, engine
from db.apps.bots.models import Bot, Credential, Organization, Setting, User
from db.apps.bots.queries.bots import bot_as_of, restore_bot, soft_delete_bot
from db.errors import AuditError, TenancyError
from db.tenancy import tenant
from db.urls import DatabaseURL
from tests.db.bots_world import OURS, THEIRS, acting, migrated, one
from tests.db.conftest import Connection, Prepare, Prepared

pytestmark = pytest.mark.requirement("bots.P2.time-travel")
# table: its row, and a change of it
AUDITED = {
    "organizations": ("organization", "name = 'second'"),
    "organization_members": ("member", "status = 'suspended'"),
    "roles": ("role", "name = 'second'"),
    "api_keys": ("api_key", "name = 'second'"),
    "settings": ("setting", "value = '2'"),
    "bots": ("bot", "name = 'second'"),
    "credentials": ("credential", "name = 'second'"),
    "workflows": ("workflow", "name = 'second'"),
    "tasks": ("task", "title = 'second'"),
}


@pytest.fixture
def database(prepare: Prepare) -> Prepared:
    return migrated(prepare)


@pytest.fixture(scope="module")
def shared(prepare: Prepare) -> Prepared:
    return migrated(prepare)


@pytest.fixture
def source(database: Prepared) -> Iterator[Engine]:
    made = engine.unpooled(DatabaseURL.parse(database.app_url))
    yield made
    made.dispose()


def now(session: Session) -> datetime.datetime:
    found = session.scalar(select(func.clock_timestamp()))
    assert isinstance(found, datetime.datetime)
    return found


@pytest.mark.parametrize("table", AUDITED)
def test_a_changed_row_leaves_its_version_with_its_period_and_who_ended_it(shared: Prepared, table: str) -> None:
    row, change = AUDITED[table]
    where = getattr(OURS, row)
    with acting(shared.app_url, OURS) as us:
        us.execute(f"UPDATE {table} SET {change} WHERE id = %s", (where,))
        version = one(
            us,
            f"SELECT h.valid_from = h.updated_at, h.valid_to = now(), h.change, h.changed_by_id, t.updated_at = now()"
            f" FROM {table}_history h JOIN {table} t USING (id) WHERE id = %s",
            where,
        )

    assert version == (True, True, "UPDATE", OURS.user, True)


@pytest.mark.parametrize("table", AUDITED)
def test_the_application_writes_no_history(shared: Prepared, table: str) -> None:
    for statement in (f"DELETE FROM {table}_history", f"UPDATE {table}_history SET change = 'DELETE'"):
        with acting(shared.app_url, OURS) as us, pytest.raises(psycopg.errors.InsufficientPrivilege):
            us.execute(statement)
    with acting(shared.app_url, OURS) as us, pytest.raises(psycopg.errors.InsufficientPrivilege):
        us.execute(f"INSERT INTO {table}_history (id) VALUES (gen_random_uuid())")


def test_what_begins_and_ends_in_one_transaction_is_not_kept(shared: Prepared) -> None:
    with acting(shared.app_url, OURS) as us:
        us.execute("UPDATE bots SET name = 'x' WHERE id = %s", (OURS.bot,))
        us.execute("UPDATE bots SET name = 'y' WHERE id = %s", (OURS.bot,))

        assert us.execute("SELECT name FROM bots_history").fetchall() == [("Counter of pelicans",)]


def test_a_run_of_a_bot_leaves_no_version(shared: Prepared) -> None:
    with acting(shared.app_url, OURS) as us:
        us.execute("UPDATE bots SET last_run_at = now(), next_run_at = now() WHERE id = %s", (OURS.bot,))

        assert us.execute("SELECT * FROM bots_history").fetchall() == []


def test_a_row_that_is_erased_leaves_its_last_version(shared: Prepared) -> None:
    with psycopg.connect(shared.owner_url) as owner:
        owner.execute("DELETE FROM bots WHERE id = %s", (OURS.other_bot,))
        assert owner.execute("SELECT id, change FROM bots_history").fetchall() == [(OURS.other_bot, "DELETE")]
        owner.rollback()


def test_a_transaction_that_began_earlier_and_writes_later_makes_no_period_of_negative_length(
    database: Prepared,
) -> None:
    def rename(connection: Connection, name: str) -> None:
        connection.execute("UPDATE bots SET name = %s WHERE id = %s", (name, OURS.bot))
        connection.commit()

    with psycopg.connect(database.owner_url) as early, psycopg.connect(database.owner_url) as late:
        early.execute("SELECT now()")  # begins
        rename(late, "late")
        rename(early, "early")

    assert database.rows("SELECT count(*), bool_and(valid_to > valid_from) FROM bots.bots_history") == [(2, True)]
    [(gapless,)] = database.rows(
        "SELECT max(h.valid_to) = (SELECT updated_at FROM bots.bots b WHERE b.id = %s) FROM bots.bots_history h",
        OURS.bot,
    )
    assert gapless


def test_a_bot_is_read_as_it_was_at_every_moment_of_its_life(source: Engine) -> None:
    moments = []
    with Session(source) as session, tenant(session, OURS.organization, OURS.user):
        for name in ("one", "two", "three"):
            bot = session.get_one(Bot, OURS.bot)
            bot.name = name
            bot.config.variables["name"] = name
            session.commit()
            moments.append(now(session))
            session.commit()
        soft_delete_bot(session, OURS.bot)
        session.commit()
        deleted = now(session)
        session.commit()
        restore_bot(session, OURS.bot)
        session.commit()

        found = [bot_as_of(session, OURS.bot, moment) for moment in moments]
        assert [(it.name, it.config.variables) for it in found if it] == [
            ("one", {"name": "one"}), ("two", {"name": "two"}), ("three", {"name": "three"}),
        ]  # fmt: skip
        assert bot_as_of(session, OURS.bot, deleted) is None
        restored = bot_as_of(session, OURS.bot, now(session))
        assert restored is not None
        assert restored.name == "three"
        assert bot_as_of(session, OURS.bot, moments[0] - datetime.timedelta(days=1)) is None
        assert bot_as_of(session, THEIRS.bot, now(session)) is None


def test_an_old_version_is_never_taken_for_the_row_of_today(source: Engine) -> None:
    with Session(source) as session, tenant(session, OURS.organization, OURS.user):
        before = now(session)
        session.commit()
        today = session.get_one(Bot, OURS.bot)
        today.name = "today"
        session.commit()

        then = bot_as_of(session, OURS.bot, before)

        assert then is not None
        assert then not in session
        assert (then.name, session.get_one(Bot, OURS.bot).name) == ("Counter of pelicans", "today")


def test_a_session_takes_no_old_version_for_an_object_of_its_own(source: Engine) -> None:
    with Session(source) as session, tenant(session, OURS.organization, OURS.user):
        then = audit.as_of(Bot, now(session))
        for statement in (select(then), select(User.name, then), select(then.name, then).where(then.is_active)):
            with pytest.raises(AuditError, match=r"as it was is no object of a session.*: select columns of it"):
                session.execute(statement)
        with pytest.raises(AuditError, match="as it was is no object"):
            session.query(then).all()

        assert len(session.identity_map) == 0
        assert len(session.execute(select(then.name, Bot.name).join(Bot, Bot.id == then.id)).all()) == 2


def test_deleted_rows_of_then_are_shown_when_asked_for(source: Engine) -> None:
    with Session(source) as session, tenant(session, OURS.organization, OURS.user):
        soft_delete_bot(session, OURS.bot)
        session.commit()
        then = audit.as_of(Bot, now(session))

        hidden = audit.rows(session, select(then))
        shown = audit.rows(session, select(then).execution_options(include_deleted=True))

    assert (len(hidden), len(shown)) == (1, 2)


def test_the_past_is_queried_like_the_present(source: Engine) -> None:
    with Session(source) as session, tenant(session, OURS.organization, OURS.user):
        then = audit.as_of(Bot, now(session))
        names = session.scalars(select(then.name).where(then.slug.like("%er")).order_by(then.name))

        assert list(names) == ["Counter of pelicans", "Feeder of pelicans"]


@pytest.mark.requirement("bots.security.encryption-at-rest")
def test_a_secret_has_no_past(source: Engine, database: Prepared) -> None:
    with Session(source) as session, tenant(session, OURS.organization, OURS.user):
        before = now(session)
        session.commit()
        session.get_one(Credential, OURS.credential).secret = b"another" * 9
        session.commit()
        then = audit.as_of(Credential, before)
        found = session.execute(select(then.name, then.secret)).one()
        assert (found.name, found.secret) == ("pelican", None)

    with closing(database.admin()) as admin:
        assert (
            one(admin, "SELECT count(*) FROM bots.credentials_history WHERE to_jsonb(credentials_history) ? 'secret'")
            == 0
        )


def test_settings_and_organizations_have_a_past_too(source: Engine) -> None:
    with Session(source) as session, tenant(session, OURS.organization, OURS.user):
        before = now(session)
        session.commit()
        session.get_one(Setting, OURS.setting).value = {"dark": True}
        session.get_one(Organization, OURS.organization).name = "Second"
        session.commit()
        setting, organization = audit.as_of(Setting, before), audit.as_of(Organization, before)

        both = select(setting.value, organization.name).join(organization, organization.id == setting.organization_id)
        assert session.execute(both).all() == [("pelican", "The pelicans")]


def test_without_a_tenant_a_history_is_refused_and_not_empty(source: Engine) -> None:
    with Session(source) as session:
        with pytest.raises(TenancyError, match="the session has no tenant"):
            session.execute(select(audit.history_of(Bot)))
        with tenant(session, OURS.organization):
            assert session.execute(select(audit.history_of(Bot))).all() == []


def test_a_table_without_history_and_a_moment_without_zone_are_refused() -> None:
    with pytest.raises(AuditError, match="User has no history"):
        audit.as_of(User, datetime.datetime.now(datetime.UTC))
    with pytest.raises(AuditError, match="2026-01-01T00:00:00 has no time zone"):
        audit.as_of(Bot, datetime.datetime(2026, 1, 1))
