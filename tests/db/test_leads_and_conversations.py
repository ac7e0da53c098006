"""dovvybuddy: leads are checked and written once; conversations expire and are removed in batches."""

import datetime
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event, text
from sqlalchemy.orm import Session as DatabaseSession

from db import engine, migrations
from db.apps.dovvybuddy import conversations
from db.apps.dovvybuddy.leads import capture
from db.apps.dovvybuddy.models import Session
from db.errors import DbError, LeadError
from db.urls import DatabaseURL
from tests.db.conftest import Prepare, Prepared

HOUR = datetime.timedelta(hours=1)
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def dovvybuddy(prepare: Prepare) -> Prepared:
    prepared = prepare("dovvybuddy")
    migrations.upgrade("dovvybuddy", prepared.owner_url, report=lambda _: None)
    return prepared


@pytest.fixture
def source(dovvybuddy: Prepared) -> Iterator[sqlalchemy.Engine]:
    """The application's engine on tables without leads and conversations."""
    created = engine.unpooled(DatabaseURL.parse(dovvybuddy.app_url))
    with created.begin() as connection:
        connection.execute(text("DELETE FROM leads"))
        connection.execute(text("DELETE FROM sessions"))
    yield created
    created.dispose()


@pytest.fixture
def session(source: sqlalchemy.Engine) -> Iterator[DatabaseSession]:
    with DatabaseSession(source) as opened:
        yield opened
        opened.rollback()


def expired(count: int, *, hours: float = 1) -> list[Session]:
    return [Session(expires_at=NOW - HOUR * (hours + number / 1000)) for number in range(count)]


class TestCapturingALead:
    pytestmark = pytest.mark.requirement("dovvybuddy.scope.leads")

    @pytest.mark.parametrize("kind", ["training", "trip"])
    @pytest.mark.requirement("dovvybuddy.later.jsonb")
    def test_it_keeps_the_fields_of_the_document_and_further_ones(self, session: DatabaseSession, kind: Any) -> None:
        lead = capture(
            session,
            kind,
            {"location": " Cozumel ", "dates": ["2026-12-01"], "interests": ["reef"], "budget": 900},
            diver={"agency": "PADI", "level": "AOW", "dive_count": 30, "name": "Ana"},
        )
        session.expire_all()

        assert lead.type == kind
        assert lead.diver_profile == {"agency": "PADI", "level": "AOW", "dive_count": 30, "name": "Ana"}
        assert lead.request_details == {
            "location": "Cozumel",
            "dates": ["2026-12-01"],
            "interests": ["reef"],
            "budget": 900,
        }
        assert lead.created_at is not None

    def test_a_form_that_is_sent_twice_makes_one_lead(self, session: DatabaseSession) -> None:
        key = uuid.uuid4()
        first = capture(session, "trip", {"location": "Cozumel"}, key=key)
        second = capture(session, "trip", {"location": "Bonaire"}, key=key)

        assert second.id == first.id
        assert second.request_details == {"location": "Cozumel"}
        assert session.scalar(text("SELECT count(*) FROM leads")) == 1

    def test_what_the_form_leaves_out_comes_from_the_conversation_while_it_lasts(
        self, session: DatabaseSession
    ) -> None:
        told = {"agency": "SSI", "level": "OW", "dive_count": 5}
        alive = Session(diver_profile=told)
        over = Session(diver_profile=told, expires_at=NOW - HOUR)
        session.add_all([alive, over])
        session.flush()

        form = {"agency": "", "level": " ", "dive_count": 6}
        lead = capture(session, "trip", {"location": "Cozumel"}, diver=form, guest=alive.id)
        assert lead.diver_profile == {"agency": "SSI", "level": "OW", "dive_count": 6}
        for guest in (over.id, uuid.uuid4()):
            assert capture(session, "trip", {"location": "Cozumel"}, guest=guest).diver_profile == {}

    @pytest.mark.parametrize(
        ("kind", "request_details", "diver", "complaint"),
        [
            ("boat", {"location": "x"}, {}, 'type is "boat": give training or trip'),
            ("trip", {}, {}, "request_details is empty: say what the diver wants"),
            ("trip", {"location": 5}, {}, r"request_details\.location: Input should be a valid string"),
            (
                "trip",
                {"location": "x"},
                {"dive_count": -1},
                r"diver_profile\.dive_count: .* greater than or equal to 0",
            ),
            ("trip", {"location": "x"}, {"dive_count": "many"}, r"diver_profile\.dive_count: .* valid integer"),
            ("trip", {"location": " ", "dates": ""}, {}, "request_details is empty: say what the diver wants"),
            ("trip", {"notes": ["a\0b"]}, {}, r"request_details\.notes\.0: a text cannot hold a NUL byte"),
            ("trip", {"location": "x"}, {"na\0me": 1}, r"diver_profile\.\(a key\): a text cannot hold a NUL byte"),
            ("trip", {"notes": "\ud83d"}, {}, r"request_details\.notes: .* half of a surrogate pair"),
            ("trip", {"budget": float("nan")}, {}, r"request_details\.budget: JSON knows finite numbers only"),
            ("trip", ["Cozumel"], {}, "request_details is list: give an object"),
            ("trip", {"location": "x"}, ["PADI"], "diver_profile is list: give an object"),
            ("trip", {"file": b"\xff"}, {}, "request_details: .*utf-8"),
            ("trip", {"callback": object()}, {}, "request_details: Unable to serialize unknown type"),
            ("boat", {}, {"dive_count": -1}, "type is .*; diver_profile.* request_details is empty"),
        ],
    )
    def test_what_does_not_fit_is_named_and_nothing_is_written(
        self, session: DatabaseSession, kind: Any, request_details: Any, diver: Any, complaint: str
    ) -> None:
        with pytest.raises(LeadError, match=complaint):
            capture(session, kind, request_details, diver=diver)

        assert session.scalar(text("SELECT count(*) FROM leads")) == 0


class TestExpiry:
    pytestmark = pytest.mark.requirement("dovvybuddy.sessions.cleanup")

    @pytest.mark.requirement("dovvybuddy.scope.conversations")
    def test_a_conversation_that_expired_is_not_found_before_it_is_removed(self, session: DatabaseSession) -> None:
        [over] = expired(1)
        alive = Session()
        session.add_all([over, alive])
        session.flush()

        assert conversations.living(session, alive.id) is alive
        assert conversations.living(session, over.id) is None

    def test_all_expired_ones_go_in_batches_and_the_others_stay(
        self, source: sqlalchemy.Engine, lines: list[str]
    ) -> None:
        with DatabaseSession(source) as session, session.begin():
            session.add_all([*expired(25), *(Session() for _ in range(3))])
        commits: list[object] = []
        event.listen(source, "commit", commits.append)

        assert conversations.remove_expired(source, batch=10, report=lines.append) == 25
        assert len(commits) == 3
        assert conversations.remove_expired(source, batch=10) == 0
        assert lines == ["dovvybuddy: removed 25 expired conversations"]
        with DatabaseSession(source) as session:
            assert session.scalar(text("SELECT count(*) FROM sessions WHERE expires_at > now()")) == 3
            assert session.scalar(text("SELECT count(*) FROM sessions")) == 3

    def test_the_longest_expired_go_first(self, session: DatabaseSession) -> None:
        session.add_all([*expired(2, hours=1), *expired(3, hours=48)])
        session.flush()

        assert conversations.remove_expired_batch(session, batch=3) == 3
        assert session.scalar(text("SELECT count(*) FROM sessions WHERE expires_at > now() - interval '24 hours'")) == 2

    def test_a_row_that_is_held_is_skipped_and_waited_for_by_nobody(self, source: sqlalchemy.Engine) -> None:
        with DatabaseSession(source) as session, session.begin():
            session.add_all(expired(5))
        with DatabaseSession(source) as holder:
            holder.execute(text("SELECT FROM sessions ORDER BY expires_at LIMIT 2 FOR UPDATE"))

            assert conversations.remove_expired(source) == 3
            holder.rollback()
        assert conversations.remove_expired(source) == 2

    def test_two_clean_ups_at_once_share_the_work(self, source: sqlalchemy.Engine) -> None:
        with DatabaseSession(source) as session, session.begin():
            session.add_all(expired(400))

        with ThreadPoolExecutor(4) as pool:
            removed = list(pool.map(lambda _: conversations.remove_expired(source, batch=20), range(4)))

        assert sum(removed) + conversations.remove_expired(source) == 400

    @pytest.mark.requirement("dovvybuddy.indexes.expires-at")
    def test_the_clean_up_goes_by_the_index_on_expires_at(self, source: sqlalchemy.Engine) -> None:
        with source.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO sessions (expires_at)"
                    " SELECT now() + n * interval '1 hour' FROM generate_series(-50, 20000) n"
                )
            )
        statements: list[tuple[str, Any]] = []
        event.listen(source, "before_cursor_execute", lambda *call: statements.append((call[2], call[3])))
        with DatabaseSession(source) as session:
            conversations.remove_expired_batch(session)
            statement, values = statements[-1]
            plan = session.connection().exec_driver_sql(f"EXPLAIN {statement}", values).scalars().all()

        assert any("ix_sessions_expires_at" in line for line in plan), plan

    @pytest.mark.parametrize("batch", [0, -1, 100_001])
    def test_an_impossible_batch_is_refused(self, session: DatabaseSession, batch: int) -> None:
        with pytest.raises(DbError, match=f"batch is {batch}: give a number from 1 to 100000"):
            conversations.remove_expired_batch(session, batch=batch)

    def test_a_scheduler_runs_it_as_a_module(self, dovvybuddy: Prepared, source: sqlalchemy.Engine) -> None:
        with DatabaseSession(source) as session, session.begin():
            session.add_all(expired(2))

        done = subprocess.run(
            [sys.executable, "-m", "db.apps.dovvybuddy.conversations"],
            env={**os.environ, "DATABASE_URL": dovvybuddy.app_url},
            capture_output=True,
            text=True,
            check=True,
        )

        assert done.stdout.splitlines() == ["dovvybuddy: removed 2 expired conversations"]

    @pytest.mark.parametrize(
        ("url", "line"),
        [
            ("", "DATABASE_URL is not set"),
            ("mysql://x", "mysql"),
            ("{readonly}", "conversations of dovvybuddy were not removed: cannot execute"),
        ],
    )
    def test_as_a_command_it_fails_in_one_line(self, dovvybuddy: Prepared, url: str, line: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "db.apps.dovvybuddy.conversations"],
            env={**os.environ, "DATABASE_URL": url.format(readonly=dovvybuddy.readonly_url)},
            capture_output=True,
            text=True,
            check=False,
        )

        [told] = done.stderr.splitlines()
        assert done.returncode == 1
        assert line in told
