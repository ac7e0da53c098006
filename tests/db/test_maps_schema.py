"""The schema of maps: the document's first, then Better Auth's on top of rows that are there."""

import datetime
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import inspect
from sqlalchemy.orm import Session as DatabaseSession

from db import engine, migrations
from db.apps.maps.models import Session, User
from db.apps.maps.queries import user_by_email, user_by_token
from db.errors import TimeZoneError
from db.urls import DatabaseURL
from tests.db.conftest import Prepare, Prepared

TIMESTAMP = "timestamp without time zone"
FIRST = {
    "users": {
        "id": ("text", True, None),
        "email": ("text", True, None),
        "email_verified": ("boolean", False, "false"),
        "name": ("text", False, None),
        "image": ("text", False, None),
        "created_at": (TIMESTAMP, True, "now()"),
        "updated_at": (TIMESTAMP, True, "now()"),
    },
    "sessions": {
        "id": ("text", True, None),
        "user_id": ("text", True, None),
        "expires_at": (TIMESTAMP, True, None),
        "created_at": (TIMESTAMP, True, "now()"),
    },
}
HEAD = {
    "users": {
        **FIRST["users"],
        "email_verified": ("boolean", True, "false"),
        "name": ("text", True, "''::text"),
    },
    "sessions": {
        **FIRST["sessions"],
        "token": ("text", True, "(gen_random_uuid())::text"),
        "ip_address": ("text", False, None),
        "user_agent": ("text", False, None),
        "updated_at": (TIMESTAMP, True, "now()"),
    },
    "accounts": {
        "id": ("text", True, None),
        "account_id": ("text", True, None),
        "provider_id": ("text", True, None),
        "user_id": ("text", True, None),
        "access_token": ("text", False, None),
        "refresh_token": ("text", False, None),
        "id_token": ("text", False, None),
        "access_token_expires_at": (TIMESTAMP, False, None),
        "refresh_token_expires_at": (TIMESTAMP, False, None),
        "scope": ("text", False, None),
        "password": ("text", False, None),
        "created_at": (TIMESTAMP, True, "now()"),
        "updated_at": (TIMESTAMP, True, "now()"),
    },
    "verifications": {
        "id": ("text", True, None),
        "identifier": ("text", True, None),
        "value": ("text", True, None),
        "expires_at": (TIMESTAMP, True, None),
        "created_at": (TIMESTAMP, True, "now()"),
        "updated_at": (TIMESTAMP, True, "now()"),
    },
}


def at(prepare: Prepare, target: str) -> Prepared:
    prepared = prepare("maps")
    migrations.upgrade("maps", prepared.owner_url, target=target, report=lambda _: None)
    return prepared


@pytest.fixture(scope="module")
def first(prepare: Prepare) -> Prepared:
    return at(prepare, "0001_initial_schema")


@pytest.fixture(scope="module")
def head(prepare: Prepare) -> Prepared:
    return at(prepare, "head")


def columns(prepared: Prepared, table: str) -> dict[str, tuple[Any, ...]]:
    rows = prepared.rows(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)"
        " FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
        " WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped",
        f"maps.{table}",
    )
    return {row[0]: row[1:] for row in rows}


def constraints(prepared: Prepared, table: str) -> dict[str, str]:
    rows = prepared.rows(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype <> 'n'",
        f"maps.{table}",
    )
    return {name: definition for name, definition in rows}  # noqa: C416  # dict() cannot be typed from rows


@pytest.mark.parametrize("table", FIRST)
@pytest.mark.requirement(
    "maps.rules.first-schema",
    "maps.migrations.generated",
    "maps.tables.users",
    "maps.tables.sessions",
    "maps.corrections.first-schema",
    "maps.objectives.users",
    "maps.objectives.sessions",
    "maps.integration.structure",
    "maps.scope.no-other-tables",
)
def test_the_first_schema_has_exactly_the_documents_columns(first: Prepared, table: str) -> None:
    assert columns(first, table) == FIRST[table]


@pytest.mark.requirement(
    "maps.rules.first-schema",
    "maps.migrations.generated",
    "maps.rules.cascade",
    "maps.scope.no-indexes",
    "maps.criteria.cascade",
)
def test_the_first_schema_has_the_documents_keys_and_nothing_else(first: Prepared) -> None:
    assert constraints(first, "users") == {"pk_users": "PRIMARY KEY (id)", "uq_users_email": "UNIQUE (email)"}
    assert constraints(first, "sessions") == {
        "pk_sessions": "PRIMARY KEY (id)",
        "fk_sessions_user_id_users": "FOREIGN KEY (user_id) REFERENCES maps.users(id) ON DELETE CASCADE",
    }
    assert first.rows(
        "SELECT indexname FROM pg_indexes WHERE schemaname = 'maps' AND tablename IN ('users', 'sessions') ORDER BY 1"
    ) == [("pk_sessions",), ("pk_users",), ("uq_users_email",)]


@pytest.mark.parametrize("table", HEAD)
@pytest.mark.requirement(
    "maps.auth.better-auth",
    "maps.migrations.applied",
    "maps.corrections.better-auth",
    "maps.scope.better-auth-later",
    "maps.edge.empty",
    "maps.testing.fresh",
    "maps.integration.sql",
    "maps.integration.applies",
)
def test_the_head_has_exactly_what_better_auth_needs(head: Prepared, table: str) -> None:
    assert columns(head, table) == HEAD[table]


@pytest.mark.parametrize(
    ("table", "name", "definition"),
    [
        ("users", "uq_users_email", "UNIQUE (email)"),
        ("sessions", "uq_sessions_token", "UNIQUE (token)"),
        (
            "sessions",
            "fk_sessions_user_id_users",
            "FOREIGN KEY (user_id) REFERENCES maps.users(id) ON DELETE CASCADE",
        ),
        (
            "accounts",
            "fk_accounts_user_id_users",
            "FOREIGN KEY (user_id) REFERENCES maps.users(id) ON DELETE CASCADE",
        ),
    ],
)
def test_the_head_has_better_auths_constraints(head: Prepared, table: str, name: str, definition: str) -> None:
    assert constraints(head, table)[name] == definition


@pytest.mark.parametrize("name", ["ix_sessions_user_id", "ix_accounts_user_id", "ix_verifications_identifier"])
def test_the_head_has_better_auths_indexes(head: Prepared, name: str) -> None:
    assert head.rows("SELECT 1 FROM pg_indexes WHERE schemaname = 'maps' AND indexname = %s", name) == [(1,)]


@pytest.mark.requirement(
    "maps.rules.cascade", "maps.auth.better-auth", "maps.rules.orphans", "maps.criteria.cascade", "maps.integration.raw"
)
def test_a_user_takes_its_sessions_and_accounts_along(head: Prepared) -> None:
    with psycopg.connect(head.app_url) as app:
        app.execute("INSERT INTO users (id, email, name) VALUES ('u', 'u@example.com', 'U')")
        app.execute("INSERT INTO sessions (id, user_id, token, expires_at) VALUES ('s', 'u', 't', now())")
        app.execute("INSERT INTO accounts (id, account_id, provider_id, user_id) VALUES ('a', 'u', 'credential', 'u')")
        app.execute("DELETE FROM users")
        assert app.execute("SELECT FROM sessions UNION ALL SELECT FROM accounts").fetchall() == []


@pytest.mark.requirement("maps.tables.users")
def test_a_second_user_with_the_same_address_is_refused(head: Prepared) -> None:
    with psycopg.connect(head.app_url) as app, pytest.raises(psycopg.errors.UniqueViolation, match="uq_users_email"):
        app.execute("INSERT INTO users (id, email) VALUES ('a', 'x@example.com'), ('b', 'x@example.com')")


@pytest.fixture
def with_rows(prepare: Prepare) -> Prepared:
    """The first schema with rows as an application of then could have written them."""
    prepared = at(prepare, "0001_initial_schema")
    with psycopg.connect(prepared.app_url) as app:
        app.execute(
            "INSERT INTO users (id, email, name, email_verified) VALUES"
            " ('named', 'ada@example.com', 'Ada', true),"
            " ('nameless', 'bob@example.com', NULL, NULL),"
            " ('odd', '@example.com', NULL, false)"
        )
        app.execute(
            "INSERT INTO sessions (id, user_id, expires_at, created_at)"
            " SELECT 's' || n, 'named', '2030-01-01', '2020-01-01' FROM generate_series(1, 50) n"
        )
    return prepared


@pytest.mark.requirement("maps.auth.better-auth", "maps.auth.prepared")
def test_the_second_revision_keeps_rows_and_fills_in_what_they_lack(with_rows: Prepared) -> None:
    migrations.upgrade("maps", with_rows.owner_url, report=lambda _: None)

    assert with_rows.rows("SELECT id, name, email_verified FROM maps.users ORDER BY id") == [
        ("named", "Ada", True),
        ("nameless", "bob", False),
        ("odd", "@example.com", False),
    ]
    [(tokens, shortest, unchanged)] = with_rows.rows(
        "SELECT count(DISTINCT token), min(length(token)), bool_and(updated_at = created_at) FROM maps.sessions"
    )
    assert (tokens, shortest, unchanged) == (50, 36, True)


def test_the_previous_release_goes_on_writing_after_the_second_revision(with_rows: Prepared) -> None:
    migrations.upgrade("maps", with_rows.owner_url, report=lambda _: None)

    with psycopg.connect(with_rows.app_url) as app:
        app.execute("INSERT INTO users (id, email) VALUES ('new', 'new@example.com')")
        app.execute("INSERT INTO sessions (id, user_id, expires_at) VALUES ('new', 'new', now())")


@pytest.mark.requirement("maps.scope.rollback")
def test_the_second_revision_can_be_undone_with_rows_and_done_again(with_rows: Prepared) -> None:
    migrations.upgrade("maps", with_rows.owner_url, report=lambda _: None)
    migrations.downgrade("maps", with_rows.owner_url, target="0001_initial_schema", report=lambda _: None)

    for table, expected in FIRST.items():
        assert columns(with_rows, table) == expected
    assert with_rows.rows("SELECT (SELECT count(*) FROM maps.users), (SELECT count(*) FROM maps.sessions)") == [(3, 50)]

    migrations.upgrade("maps", with_rows.owner_url, report=lambda _: None)
    assert columns(with_rows, "sessions") == HEAD["sessions"]


def test_instants_come_back_as_they_went_in_whatever_the_sessions_time_zone(head: Prepared) -> None:
    moment = datetime.datetime(2026, 7, 1, 12, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    source = engine.unpooled(DatabaseURL.parse(head.app_url))
    with DatabaseSession(source) as session:
        session.connection().exec_driver_sql("SET LOCAL TimeZone = 'America/Cancun'")
        session.add(User(id="t", email="t@example.com", name="T", created_at=moment))
        session.flush()
        session.expire_all()
        assert session.get_one(User, "t").created_at == moment
        session.rollback()


def test_a_change_by_the_models_moves_updated_at(head: Prepared) -> None:
    source = engine.unpooled(DatabaseURL.parse(head.app_url))
    with DatabaseSession(source) as session:
        user = User(
            id="c", email="c@example.com", name="C", updated_at=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        )
        session.add(user)
        session.flush()
        user.name = "D"
        session.flush()
        assert "updated_at" not in inspect(user).unloaded
        assert abs(user.updated_at - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=5)
        session.rollback()


def test_a_naive_datetime_is_refused(head: Prepared) -> None:
    source = engine.unpooled(DatabaseURL.parse(head.app_url))
    with DatabaseSession(source) as session:
        session.add(User(id="t", email="t@example.com", name="T", created_at=datetime.datetime(2026, 7, 1)))
        with pytest.raises(TimeZoneError, match="2026-07-01T00:00:00 has no time zone: pass an aware datetime"):
            session.flush()


@pytest.mark.requirement("maps.stack.orm", "maps.migrations.verified", "maps.stack.tables")
def test_users_are_found_by_address_and_by_a_session_that_lives(head: Prepared) -> None:
    hour = datetime.timedelta(hours=1)
    now = datetime.datetime.now(datetime.UTC)
    source = engine.unpooled(DatabaseURL.parse(head.app_url))
    with DatabaseSession(source) as session:
        user = User(id="q", email="q@example.com", name="Q")
        session.add(user)
        session.add(Session(id="q1", user=user, token="alive", expires_at=now + hour))
        session.add(Session(id="q2", user=user, token="over", expires_at=now - hour))
        session.flush()

        assert user_by_email(session, " Q@Example.com ") is user
        assert user_by_token(session, "alive") is user
        assert user_by_token(session, "over") is None
        session.rollback()


def test_the_admin_sees_no_table_of_ours_in_public(head: Prepared) -> None:
    with closing(head.admin()) as admin:
        assert admin.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchone() == (0,)
