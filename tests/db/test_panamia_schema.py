"""How panamia's tables behave: what they keep, refuse and take along, and what the queries find in them."""

import asyncio
import datetime
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session as DatabaseSession

from db import engine, migrations, seeds
from db.apps.panamia import models, queries
from db.apps.panamia.models import Notification, Profile, SocialActor, SocialStatus, User
from db.apps.panamia.queries import Position
from db.apps.panamia.seeds.demo import ANA, ANSWER, BEA, CARO, POST
from db.async_engine import async_engine, dispose_async
from db.errors import DbError
from db.ids import is_cuid
from db.urls import DatabaseURL
from tests.db.conftest import Prepare, Prepared
from tests.db.panamia_columns import GROUP_OF, JSONB

NOON = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def panamia(prepare: Prepare) -> Prepared:
    prepared = prepare("panamia")
    migrations.upgrade("panamia", prepared.owner_url, report=lambda _: None)
    seeds.seed("panamia", prepared.owner_url, ["base", "demo"], environment="dev", report=lambda _: None)
    return prepared


@pytest.fixture
def session(panamia: Prepared) -> Iterator[DatabaseSession]:
    """The application's session on the seeded database; what it does is rolled back."""
    with DatabaseSession(engine.unpooled(DatabaseURL.parse(panamia.app_url))) as opened:
        yield opened
        opened.rollback()


def test_the_demo_set_puts_a_row_into_every_table(panamia: Prepared) -> None:
    for table in GROUP_OF:
        assert panamia.rows(f"SELECT count(*) > 0 FROM panamia.{table}") == [(True,)], table


@pytest.mark.requirement("panamia.keys.cuid2", "panamia.keys.generated")
def test_the_application_makes_the_key_of_a_row_that_has_none(session: DatabaseSession) -> None:
    user = User(name="New")
    session.add(user)
    session.flush()

    assert is_cuid(user.id)


@pytest.mark.requirement("panamia.keys.generated")
def test_the_database_makes_no_key(panamia: Prepared) -> None:
    with psycopg.connect(panamia.app_url) as app, pytest.raises(psycopg.errors.NotNullViolation):
        app.execute("INSERT INTO users (name) VALUES ('keyless')")


@pytest.mark.parametrize("table", GROUP_OF)
@pytest.mark.requirement("panamia.timestamps.updated-at")
def test_an_update_of_any_table_moves_updated_at_whatever_the_client_says(panamia: Prepared, table: str) -> None:
    with psycopg.connect(panamia.app_url) as app:
        before = app.execute(f"SELECT max(updated_at), clock_timestamp() FROM {table}").fetchone()
        app.execute(f"UPDATE {table} SET updated_at = '2000-01-01', created_at = created_at")
        after = app.execute(f"SELECT min(updated_at) FROM {table}").fetchone()
        assert before is not None
        assert after is not None
        assert after[0] > before[1] > before[0]
        app.rollback()


@pytest.mark.requirement("panamia.timestamps.updated-at")
def test_the_model_has_the_new_updated_at_after_a_flush(session: DatabaseSession) -> None:
    user = session.get_one(User, ANA)
    before = user.updated_at
    user.name = "Ana Maria"
    session.flush()

    assert user.updated_at > before


@pytest.mark.requirement("panamia.timestamps.updated-at")
def test_an_async_session_has_it_too(panamia: Prepared) -> None:
    async def change() -> bool:
        async with AsyncSession(async_engine(panamia.app_url)) as opened:
            user = await opened.get_one(User, ANA)
            before = user.updated_at
            user.name = "Ana Maria"
            await opened.flush()
            moved = user.updated_at > before
            await opened.rollback()
        await dispose_async()
        return moved

    assert asyncio.run(change())


@pytest.mark.parametrize(
    ("table", "column"),
    [
        pytest.param(table, name, marks=pytest.mark.requirement(f"panamia.jsonb.{table}"))
        for table, names in JSONB.items()
        for name in names
    ],
)
@pytest.mark.requirement("panamia.jsonb.flexible")
def test_a_json_column_takes_objects_and_arrays_and_no_bare_value(panamia: Prepared, table: str, column: str) -> None:
    with psycopg.connect(panamia.app_url) as app:
        for given in ('{"a": [1]}', "[]"):
            app.execute(f"UPDATE {table} SET {column} = %s", (given,))
        for given in ("null", '"text"', "5", "true"):
            with pytest.raises(psycopg.errors.CheckViolation, match=f"ck_{table}_{column}"), app.transaction():
                app.execute(f"UPDATE {table} SET {column} = %s", (given,))
        app.rollback()


def refused(session: DatabaseSession, what: str, *rows: Any) -> None:
    def write() -> None:
        with session.begin_nested():
            session.add_all(rows)

    with pytest.raises(IntegrityError, match=what):
        write()


def test_names_that_differ_in_case_only_are_one_name(session: DatabaseSession) -> None:
    refused(session, "uq_users_screenname", User(screenname="ANA"))
    refused(session, "uq_user_lists_name", models.UserList(user_id=CARO, name="bakers"))
    refused(session, "uq_newsletter_signups_email", models.NewsletterSignup(email="Dora@Example.com"))
    refused(
        session,
        "uq_social_actors_handle",
        SocialActor(username="Ana", domain="PANAMIA.example", uri="x", inbox_url="x"),
    )


def test_nobody_follows_mentors_or_lists_in_vain(session: DatabaseSession) -> None:
    refused(session, "ck_user_follows_not_oneself", models.UserFollow(follower_id=ANA, followed_id=ANA))
    refused(session, "uq_user_follows", models.UserFollow(follower_id=CARO, followed_id=ANA))
    refused(session, "ck_interactions_target", models.Interaction(user_id=ANA, kind="view"))
    refused(
        session,
        "ck_mentor_sessions_not_oneself",
        models.MentorSession(mentor_id=ANA, mentee_id=ANA, topic="x", scheduled_at=NOON),
    )


def test_a_mentor_cannot_promise_one_hour_twice_but_can_after_a_cancellation(session: DatabaseSession) -> None:
    def promised(status: str) -> models.MentorSession:
        return models.MentorSession(mentor_id=ANA, mentee_id=CARO, topic="x", status=status, scheduled_at=NOON)

    session.add_all([promised("scheduled"), promised("cancelled"), promised("pending")])
    session.flush()

    refused(session, "uq_mentor_sessions_hour", promised("in_progress"))


def test_an_article_is_not_published_without_its_date(session: DatabaseSession) -> None:
    refused(
        session,
        "ck_articles_published_at",
        models.Article(slug="x", title="x", content="x", status="published"),
    )


def test_what_a_user_wrote_stays_when_they_leave_and_what_they_did_goes(session: DatabaseSession) -> None:
    session.execute(text("DELETE FROM users WHERE id = :id"), {"id": ANA})

    def count(statement: str) -> Any:
        return session.scalar(text(statement))

    assert count("SELECT count(*) FROM articles WHERE slug = 'what-to-do-with-mangos' AND author_id IS NULL") == 1
    assert count(f"SELECT count(*) FROM social_statuses WHERE id = '{POST}'") == 0
    assert count(f"SELECT count(*) FROM social_statuses WHERE id = '{ANSWER}' AND in_reply_to_id IS NULL") == 1
    for table in ("accounts", "sessions", "mentor_sessions", "user_follows", "user_list_members"):
        assert count(f"SELECT count(*) FROM {table}") == 0, table


def test_a_user_is_known_by_a_session_that_lives(session: DatabaseSession) -> None:
    session.add(models.Session(session_token="over", user_id=BEA, expires=NOON - datetime.timedelta(days=9999)))
    session.add(models.Session(session_token="alive", user_id=BEA, expires=NOON + datetime.timedelta(days=9999)))
    session.flush()

    found = queries.user_by_session(session, "alive")
    assert found is not None
    assert found.id == BEA
    assert queries.user_by_session(session, "over") is None
    assert queries.user_by_session(session, "nobody's") is None


def test_an_old_screen_name_still_leads_to_its_member_until_somebody_takes_it(session: DatabaseSession) -> None:
    def owner(name: str) -> str | None:
        found = queries.user_by_screenname(session, name)
        return None if found is None else found.id

    queries.rename(session, session.get_one(User, ANA), "anita")
    queries.rename(session, session.get_one(User, ANA), "Anita")
    session.flush()

    assert (owner("ANITA"), owner("ana"), owner("ana_bakes"), owner("nobody")) == (ANA, ANA, ANA, None)
    queries.rename(session, session.get_one(User, BEA), "ana")
    session.flush()
    assert owner("ana") == BEA
    assert session.scalar(text("SELECT count(*) FROM screenname_history")) == 3


@pytest.mark.requirement("panamia.keys.sortable", "panamia.corrections.cuid2")
def test_pages_go_by_created_at_and_id_and_miss_nothing_of_one_instant(session: DatabaseSession) -> None:
    session.add_all(Notification(user_id=BEA, type="system", message=str(n), created_at=NOON) for n in range(25))
    session.add_all(
        Notification(user_id=BEA, type="system", message=str(n), created_at=NOON + datetime.timedelta(minutes=n))
        for n in range(25, 50)
    )
    session.flush()

    seen: list[Notification] = []
    page = queries.notifications(session, BEA, size=7)
    while page:
        seen += page
        page = queries.notifications(session, BEA, after=Position.of(page[-1]), size=7)

    assert len(seen) == len({it.id for it in seen}) == 50
    assert [it.message for it in seen[:25]] == [str(n) for n in range(49, 24, -1)]
    assert seen[0].read_at is None
    seen[0].read_at = NOON
    assert len(queries.notifications(session, BEA, unread=True, size=100)) == 49


@pytest.mark.parametrize("size", [0, -1, 1001])
def test_an_impossible_page_is_refused(session: DatabaseSession, size: int) -> None:
    with pytest.raises(DbError, match=f"size is {size}: give a number from 1 to 1000"):
        queries.published(session, size=size)


def test_the_directory_finds_active_profiles_of_a_category_by_the_gin_index(session: DatabaseSession) -> None:
    session.get_one(Profile, next(it.id for it in queries.profiles_in(session, "food"))).is_active = False
    assert [it.name for it in queries.profiles_in(session, "food")] in (["Ana's kitchen"], ["Bea's kitchen"])
    [caro] = queries.profiles_in(session, "art")
    assert caro.name == "Caro's kitchen"
    assert queries.profiles_in(session, "art", after=Position.of(caro)) == []
    assert queries.profiles_in(session, "nothing") == []

    session.execute(text("SET LOCAL enable_seqscan = off"))
    session.execute(text("SET LOCAL enable_indexscan = off"))
    statements: list[tuple[str, Any]] = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *call: statements.append((call[2], call[3])))
    queries.profiles_in(session, "food")
    statement, values = statements[-1]
    plan = session.connection().exec_driver_sql(f"EXPLAIN {statement}", values).scalars().all()
    assert any("ix_profiles_categories" in line for line in plan), plan


def test_a_timeline_shows_ones_own_what_is_addressed_to_one_and_what_those_one_follows_say(
    session: DatabaseSession,
) -> None:
    def actor(user: str) -> SocialActor:
        return session.scalars(select(SocialActor).where(SocialActor.user_id == user)).one()

    def seen(user: str) -> set[str]:
        return {it.id for it in queries.timeline(session, actor(user))}

    secret = SocialStatus(actor_id=actor(ANA).id, uri="secret", content="x", visibility="direct")
    session.add(secret)
    session.flush()

    assert seen(ANA) == {POST, ANSWER, secret.id}
    assert seen(BEA) == {POST, ANSWER}
    assert seen(CARO) == set()


def test_published_articles_come_newest_first_and_drafts_do_not(session: DatabaseSession) -> None:
    for days in range(5):
        session.add(
            models.Article(
                slug=f"a{days}",
                title="x",
                content="x",
                status="published",
                published_at=NOON + datetime.timedelta(days=days),
            )
        )
    session.flush()

    first = queries.published(session, size=3)
    last = first[-1]
    assert last.published_at is not None
    second = queries.published(session, before=(last.published_at, last.id), size=10)

    assert [it.slug for it in first + second] == ["a4", "a3", "a2", "a1", "a0", "what-to-do-with-mangos"]
