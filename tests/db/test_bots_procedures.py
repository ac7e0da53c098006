"""Claiming, partitions, retention and time travel: what the stored functions and procedures of bots do."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError

from db import apps, engine
from db.apps.bots import maintenance
from db.urls import DatabaseURL
from tests.db.bots_world import OURS, THEIRS, acting, add_bot, migrated, one
from tests.db.conftest import Connection, Prepare, Prepared

pytestmark = pytest.mark.requirement("bots.P2.stored-procedures")
CALLS = (
    "purge_deleted('90 days')",
    "purge_history('90 days')",
    "purge_sessions()",
    "apply_retention()",
    "retire_partitions('bot_logs', '3 months')",
)


@pytest.fixture(scope="module")
def database(prepare: Prepare) -> Prepared:
    return migrated(prepare)


@pytest.fixture
def fresh(prepare: Prepare) -> Prepared:
    return migrated(prepare)


@pytest.fixture
def owner(database: Prepared) -> Iterator[Connection]:
    with psycopg.connect(database.owner_url) as connection:
        yield connection
        connection.rollback()


def test_many_workers_claim_each_due_bot_exactly_once(fresh: Prepared) -> None:
    with psycopg.connect(fresh.owner_url) as owner:
        for number in range(30):
            add_bot(owner, created_by_id=OURS.user, slug=f"due-{number}", schedule="@daily", next_run_at="2001-01-01Z")
    start = threading.Barrier(6)

    def worker(name: int) -> list[uuid.UUID]:
        claimed: list[uuid.UUID] = []
        start.wait()
        while True:
            with psycopg.connect(fresh.app_url) as connection:
                connection.execute("SELECT set_config('app.organization_id', %s, true)", (str(OURS.organization),))
                row = connection.execute("SELECT bot_id FROM claim_due_bot(%s)", (f"worker {name}",)).fetchone()
            if row is None:
                return claimed
            claimed.append(row[0])

    with ThreadPoolExecutor(6) as pool:
        claimed = [bot for found in pool.map(worker, range(6)) for bot in found]

    assert len(claimed) == len(set(claimed)) == 30
    assert fresh.rows(
        "SELECT count(*), count(DISTINCT bot_id), bool_and(status = 'running' AND trigger = 'schedule'"
        " AND started_at IS NOT NULL AND lease_expires_at > now()) FROM bots.bot_runs WHERE worker IS NOT NULL"
    ) == [(30, 30, True)]
    assert fresh.rows(
        "SELECT bool_and(next_run_at > now() AND last_run_at IS NOT NULL) FROM bots.bots WHERE slug LIKE 'due-%%'"
    ) == [(True,)]


def test_a_claim_that_another_holds_is_skipped_and_not_waited_for(database: Prepared) -> None:
    with acting(database.owner_url, OURS) as setup:
        for slug in ("first", "second"):
            add_bot(setup, slug=slug, next_run_at="2001-01-01Z" if slug == "first" else "2002-01-01Z")
        setup.commit()
    with acting(database.app_url, OURS) as one_worker, acting(database.app_url, OURS) as another:
        another.execute("SET LOCAL lock_timeout = '1ms'")
        claimed = [
            one(it, "SELECT b.slug FROM claim_due_bot('w') r JOIN bots b ON b.id = r.bot_id")
            for it in (one_worker, another)
        ]

    assert claimed == ["first", "second"]
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("DELETE FROM bots WHERE slug IN ('first', 'second')")


@pytest.mark.parametrize("change", ["is_active = false", "deleted_at = now()", "next_run_at = '2999-01-01Z'"])
def test_a_bot_that_is_not_due_is_not_claimed(database: Prepared, change: str) -> None:
    with acting(database.app_url, OURS) as us:
        bot = add_bot(us, next_run_at="2001-01-01Z")
        us.execute(f"UPDATE bots SET {change} WHERE id = %s", (bot,))

        assert us.execute("SELECT * FROM claim_due_bot('w')").fetchall() == []


def test_a_deleted_organizations_bots_rest(fresh: Prepared) -> None:
    with acting(fresh.app_url, OURS) as us:
        add_bot(us, next_run_at="2001-01-01Z")
        us.execute("UPDATE organizations SET deleted_at = now()")

        assert us.execute("SELECT * FROM organizations_with_work()").fetchall() == []
        assert us.execute("SELECT * FROM claim_due_bot('w')").fetchall() == []


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO bots (organization_id, name, slug, schedule, next_run_at, config)"
        " SELECT organization_id, 'x', 'x', '@daily', '2001-01-01Z', '{\"timezone\": \"Mars\"}' FROM bots LIMIT 1",
        "UPDATE bots SET schedule = '@daily', next_run_at = '2001-01-01Z', config = '{\"timezone\": \"Mars\"}'",
    ],
)
def test_a_time_zone_that_would_stop_every_claim_is_refused_when_the_bot_is_written(
    database: Prepared, change: str
) -> None:
    with (
        acting(database.app_url, OURS) as us,
        pytest.raises(psycopg.errors.InvalidParameterValue, match='time zone "Mars" not recognized'),
    ):
        us.execute(change)


def test_a_bot_without_schedule_runs_once_at_its_time(database: Prepared) -> None:
    with acting(database.app_url, OURS) as us:
        bot = add_bot(us, next_run_at="2001-01-01Z")

        assert one(us, "SELECT scheduled_for = '2001-01-01Z' FROM claim_due_bot('w')") is True
        assert one(us, "SELECT next_run_at FROM bots WHERE id = %s", bot) is None
        assert us.execute("SELECT * FROM claim_due_bot('w')").fetchall() == []


def test_a_run_whose_worker_is_gone_times_out_and_says_whose_it_was(database: Prepared) -> None:
    with acting(database.app_url, OURS) as us:
        add_bot(us, next_run_at="2001-01-01Z")
        run = one(us, "SELECT id FROM claim_due_bot('worker 7', '-1 s')")

        assert one(us, "SELECT count(*) FROM organizations_with_work()") == 1
        assert one(us, "SELECT expire_runs()") == 1
        assert one(us, "SELECT status::text, error_message, finished_at = now() FROM bot_runs WHERE id = %s", run) == (
            "timed_out", "worker worker 7 was not heard of again", True,
        )  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("login", ["app_url", "readonly_url"])
def test_only_the_owner_retires_and_erases(database: Prepared, login: str, call: str) -> None:
    with acting(getattr(database, login), OURS) as us, pytest.raises(psycopg.errors.InsufficientPrivilege):
        us.execute(f"CALL bots.{call}")


def test_deleted_rows_are_erased_after_their_time_with_all_that_hangs_on_them(fresh: Prepared) -> None:
    with closing(fresh.admin()) as admin:  # no login of the app can set a deletion's time
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE bots.bots SET deleted_at = now() - interval '91 days' WHERE id = %s", (OURS.bot,))
        admin.execute("UPDATE bots.bots SET deleted_at = now() - interval '89 days' WHERE id = %s", (OURS.other_bot,))
        admin.execute("UPDATE bots.roles SET deleted_at = now() - interval '91 days' WHERE id = %s", (OURS.role,))
    with psycopg.connect(fresh.owner_url) as owner:
        assert one(owner, "CALL purge_deleted('90 days')") == 2

        left = owner.execute("SELECT id FROM bots WHERE organization_id = %s", (OURS.organization,)).fetchall()
        assert left == [(OURS.other_bot,)]
        for table in ("bot_runs", "bot_logs", "credentials", "session_recordings", "tasks"):
            assert one(owner, f"SELECT count(*) FROM {table} WHERE organization_id = %s", OURS.organization) == 0
            assert one(owner, f"SELECT count(*) FROM {table} WHERE organization_id = %s", THEIRS.organization) == 1


def test_an_organization_is_erased_with_everything_that_is_its_own(fresh: Prepared) -> None:
    with closing(fresh.admin()) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE bots.organizations SET deleted_at = now() - interval '91 days' WHERE id = %s", (OURS.organization,)
        )
    with psycopg.connect(fresh.owner_url) as owner:
        owner.execute("CALL purge_deleted('90 days')")
        owner.execute("CALL purge_history('90 days')")

        tables = owner.execute(
            "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'bots'"
            " AND column_name = 'organization_id' AND table_name !~ '_\\d{4}_\\d\\d$'"
        ).fetchall()
        assert len(tables) == 24
        for (table,) in tables:
            assert one(owner, f"SELECT count(*) FROM {table} WHERE organization_id = %s", OURS.organization) == 0, table
        assert one(owner, "SELECT count(*) FROM bots") == 2


@pytest.mark.parametrize("keep", ["'0 days'", "'-1 day'", "NULL"])
@pytest.mark.parametrize("procedure", ["purge_deleted", "purge_history"])
def test_nothing_is_erased_the_same_day(owner: Connection, procedure: str, keep: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="give a day at least"):
        owner.execute(f"CALL {procedure}({keep})")


def test_expired_sessions_go(owner: Connection) -> None:
    owner.execute("UPDATE sessions SET expires_at = now() - interval '1 s' WHERE id = %s", (OURS.session,))

    assert one(owner, "CALL purge_sessions()") == 1


@pytest.mark.requirement("bots.P2.partitioning")
def test_a_log_line_lands_in_its_months_partition(database: Prepared) -> None:
    with acting(database.app_url, OURS) as us:
        for month in range(4):
            as_expected = one(
                us,
                "INSERT INTO bot_logs (organization_id, bot_id, message, created_at)"
                " VALUES (%s, %s, 'x', now() + make_interval(months => %s))"
                " RETURNING tableoid::regclass::text = 'bot_logs_' || to_char(created_at, 'YYYY_MM')",
                OURS.organization,
                OURS.bot,
                month,
            )
            assert as_expected is True


@pytest.mark.requirement("bots.P2.partitioning")
def test_a_line_beyond_the_partitions_is_refused_because_there_is_no_default_one(database: Prepared) -> None:
    with acting(database.app_url, OURS) as us, pytest.raises(psycopg.errors.CheckViolation, match="no partition"):
        us.execute(
            "INSERT INTO bot_logs (organization_id, bot_id, message, created_at)"
            " VALUES (%s, %s, 'x', now() + interval '5 months')",
            (OURS.organization, OURS.bot),
        )


@pytest.mark.requirement("bots.P2.partitioning")
def test_the_application_makes_partitions_ahead_and_a_second_call_makes_none(fresh: Prepared) -> None:
    app = engine.unpooled(DatabaseURL.parse(fresh.app_url))
    with app.begin() as connection:
        before = maintenance.covered_until(connection)
        assert maintenance.make_partitions(connection, ahead=5) == 4
        assert maintenance.make_partitions(connection, ahead=5) == 0
        after = maintenance.covered_until(connection)

    assert {name: (after[name] - before[name]).days // 29 for name in after} == {"activity_logs": 2, "bot_logs": 2}  # type: ignore[operator]
    [(granted, forced, policies)] = fresh.rows(
        "SELECT bool_or(g.grantee <> c.relowner), bool_and(c.relrowsecurity AND c.relforcerowsecurity),"
        " array_agg(DISTINCT p.polname::text) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " JOIN pg_policy p ON p.polrelid = c.oid,"
        " aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) g WHERE c.relkind = 'r'"
    )
    assert (granted, forced, policies) == (False, True, ["owner"])


@pytest.mark.requirement("bots.P2.partitioning")
def test_callers_at_once_make_each_partition_once(fresh: Prepared) -> None:
    def call(_: int) -> int:
        with psycopg.connect(fresh.app_url) as app:
            made = one(app, "SELECT make_partitions(6)")
            assert isinstance(made, int)
            return made

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(call, range(4))) == 6


@pytest.mark.requirement("bots.P2.partitioning")
def test_who_finds_all_partitions_made_waits_for_nobody(fresh: Prepared) -> None:
    with psycopg.connect(fresh.app_url) as maker, psycopg.connect(fresh.app_url) as other:
        maker.execute("SELECT make_partitions(4)")
        other.execute("SET LOCAL lock_timeout = '1ms'")
        assert one(other, "SELECT make_partitions(3)") == 0


@pytest.mark.parametrize("ahead", [-1, 37, None])
def test_partitions_are_made_for_0_to_36_months(database: Prepared, ahead: int | None) -> None:
    with psycopg.connect(database.app_url) as app, pytest.raises(psycopg.errors.InvalidParameterValue):
        app.execute("SELECT make_partitions(%s)", (ahead,))


@pytest.mark.requirement("bots.P2.partitioning")
def test_a_partition_is_retired_when_all_of_it_is_older(fresh: Prepared) -> None:
    with psycopg.connect(fresh.owner_url) as owner:
        for months in (5, 4, 3):
            owner.execute("SELECT make_partition('bot_logs', (now() - make_interval(months => %s))::date)", (months,))
        owner.execute(
            "INSERT INTO bot_logs (organization_id, bot_id, message, created_at)"
            " SELECT organization_id, bot_id, message, now() - interval '4 months' FROM bot_logs"
        )
        assert one(owner, "CALL retire_partitions('bot_logs', '3 months')") == 2
        assert one(owner, "CALL retire_partitions('bot_logs', '3 months')") == 0
        assert one(owner, "SELECT count(*) FROM bot_logs") == 2
        assert one(owner, "SELECT partitions FROM partition_horizon() WHERE parent = 'bot_logs'") == 5


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("CALL retire_partitions('bot_logs', '27 days')", "give a month at least"),
        ("CALL retire_partitions('bot_logs', NULL)", "give a month at least"),
        ("CALL retire_partitions('users', '1 year')", "users is not partitioned by month"),
        ("SELECT make_partition('users', now()::date)", "users is not partitioned by month"),
    ],
)
def test_what_is_young_or_not_partitioned_is_not_retired(owner: Connection, call: str, told: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=told):
        owner.execute(call)


@pytest.mark.requirement("bots.P2.partitioning")
def test_retention_does_all_of_it(fresh: Prepared) -> None:
    with psycopg.connect(fresh.owner_url) as owner:
        owner.execute("SELECT make_partition('activity_logs', (now() - interval '3 years')::date)")
        owner.execute("UPDATE sessions SET expires_at = now() - interval '1 s'")
    source = engine.unpooled(DatabaseURL.parse(fresh.owner_url))
    with source.begin() as connection:
        maintenance.apply(connection)
        maintenance.apply(connection, maintenance.Retention(bot_logs=datetime.timedelta(days=31)))
        assert connection.scalar(text("SELECT count(*) FROM sessions")) == 0
        assert connection.scalar(text("SELECT sum(partitions) FROM partition_horizon()")) == 8


@pytest.mark.requirement("bots.P2.partitioning")
def test_a_scheduler_makes_partitions_although_the_clean_up_fails(fresh: Prepared) -> None:
    with closing(fresh.admin()) as admin:
        [(name,)] = fresh.rows(
            "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'bots.bot_logs'::regclass"
        )
        admin.execute(f"DROP TABLE {name}")
    source = engine.unpooled(DatabaseURL.parse(fresh.owner_url))
    told: list[str] = []

    with pytest.raises(DataError, match="give a day at least"):
        maintenance.maintain(source, maintenance.Retention(deleted=datetime.timedelta()), report=told.append)

    assert told == ["bots: made 1 partitions"]
    assert fresh.rows("SELECT to_regclass(%s) IS NOT NULL", name) == [(True,)]


@pytest.mark.requirement("bots.P2.partitioning")
def test_what_a_stack_runs_daily_makes_partitions_first_and_erases_what_is_old(fresh: Prepared) -> None:
    newest = "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'bots.bot_logs'::regclass"
    [(name,)] = fresh.rows(newest)
    with psycopg.connect(fresh.owner_url, autocommit=True) as owner:
        owner.execute(f"DROP TABLE {name}")
        owner.execute("INSERT INTO users (id, email, name) VALUES (%s, 'a@example.com', 'A')", (uuid.UUID(int=8),))
        owner.execute(
            "INSERT INTO sessions (user_id, token_hash, expires_at) VALUES (%s, %s, now() - interval '1 s')",
            (uuid.UUID(int=8), bytes(range(32))),
        )
        for statement in apps.maintenance("bots"):
            owner.execute(statement.encode())

    assert fresh.rows(newest) == [(name,)]
    assert fresh.rows("SELECT count(*) FROM bots.sessions WHERE user_id = %s", uuid.UUID(int=8)) == [(0,)]


@pytest.mark.requirement("bots.P2.partitioning")
def test_the_schedulers_command_needs_the_owners_url_and_says_what_it_did(fresh: Prepared) -> None:
    def command(**given: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "POSTGRES_DIRECT_URL"} | given
        command = [sys.executable, "-m", "db.apps.bots.maintenance"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert command().stderr == "POSTGRES_DIRECT_URL is not set: give it the owner's direct URL\n"
    refused = command(POSTGRES_DIRECT_URL=fresh.app_url)
    assert refused.returncode == 1
    assert re.fullmatch(
        r"the maintenance of bots failed: permission denied for \w+ apply_retention; it needs the owner's direct URL\n",
        refused.stderr,
    )
    done = command(POSTGRES_DIRECT_URL=fresh.owner_url)
    assert done.stderr == ""
    assert re.fullmatch(
        r"bots: made 0 partitions\nbots: activity_logs has partitions until (\S+), bot_logs has partitions until \1\n",
        done.stdout,
    )


def test_a_partition_that_is_queried_by_time_is_the_only_one_read(database: Prepared) -> None:
    with acting(database.app_url, OURS) as us:
        plan = us.execute(
            "EXPLAIN SELECT * FROM bot_logs WHERE bot_id = %s AND created_at >= date_trunc('month', now())"
            " AND created_at < date_trunc('month', now()) + interval '1 day'",
            (OURS.bot,),
        ).fetchall()

    assert "Subplans Removed: 3" in str(plan)
