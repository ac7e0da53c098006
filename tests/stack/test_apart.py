"""One application, or one table, comes back out of the past while the others work on; one that failed to migrate, too.

The tests follow each other on one stack: each leaves it serving, with the rows that `ROWS` names.
"""

import itertools
import json
import re
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest
import tenacity

from tests.deployment import NewStack, Run, Stack
from tests.stack import runbooks
from tests.stack.revisions import add_migration

APPS = {  # what the clients of each write, and where their numbers then are
    "maps": (
        "INSERT INTO verifications (id, identifier, value, expires_at) VALUES (%s, 'load', 'x', now())",
        "SELECT id FROM maps.verifications",
    ),
    "dovvybuddy": (
        "INSERT INTO sessions (diver_profile) VALUES (jsonb_build_object('load', %s::text))",
        "SELECT diver_profile ->> 'load' FROM dovvybuddy.sessions",
    ),
}
CLIENTS = 10  # of each application
SPOIL = "INSERT INTO maps.users (id, email, name) VALUES ('row-9', '9@example.org', 'wrong')"  # no gate sees that
ROWS = [f"row-{it}" for it in range(5)]
NUMBERS = itertools.count()  # each is written once
LONGEST_STALL = 10  # seconds; the goal is 3
_WITHIN = 120  # seconds


@dataclass
class Load:
    """What the clients of an application saw: how long each transaction took in seconds, what was acknowledged."""

    took: list[float] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def world(new_stack: NewStack, pgstack: Run) -> Stack:
    """Two applications, with rows to lose and a moment to come back to, called `good`."""
    stack = new_stack(own_copy=True)
    for number, app in enumerate(APPS):
        stack.pulumi("config", "set", "--path", f"pgstack:apps[{number}]", app)
    stack.configure("seeds", "[]")
    stack.up()
    stack.admin_sql(
        "INSERT INTO maps.users (id, email, name) SELECT 'row-' || n, n || '@example.org', 'good'"
        " FROM generate_series(0, 4) n",
        "maps",
    )
    pgstack("backup", "point", "good", of=stack)
    return stack


@contextmanager
def load(stack: Stack) -> Iterator[dict[str, Load]]:
    """Clients of both applications at work through the pooler, each on one connection."""
    seen, stop = {app: Load() for app in APPS}, threading.Event()
    urls, ca_file = {app: stack.outputs[f"{app}_pooled_url"] for app in APPS}, str(stack.ca_file)

    def work(app: str) -> None:
        it = seen[app]
        try:
            with psycopg.connect(urls[app], sslrootcert=ca_file, autocommit=True) as connection:
                while not stop.is_set():
                    number, began = next(NUMBERS), time.perf_counter()
                    connection.execute(APPS[app][0], [str(number)], prepare=False)
                    it.took.append(time.perf_counter() - began)
                    it.acknowledged.append(number)
                    stop.wait(0.02)  # the load, not a wait
        except psycopg.Error as error:
            it.failures.append(str(error))

    clients = [threading.Thread(target=work, args=[app]) for app in APPS for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        until(lambda: all(it.acknowledged or it.failures for it in seen.values()), "no client got through")
        yield seen
    finally:
        stop.set()
        for client in clients:
            client.join()


def users(stack: Stack) -> list[str]:
    return stack.admin_sql("SELECT id FROM maps.users ORDER BY id", "maps").split()


def loaded(stack: Stack, database: str, app: str) -> set[int]:
    return {int(it) for it in stack.admin_sql(APPS[app][1], database).split()}


def databases(stack: Stack) -> list[str]:
    return stack.admin_sql("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1").split()


def until(condition: Callable[[], object], what: str) -> None:
    for attempt in tenacity.Retrying(
        stop=tenacity.stop_after_delay(_WITHIN), wait=tenacity.wait_fixed(0.05), reraise=True
    ):
        with attempt:
            assert condition(), what


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--table", "users"], 2, '--table "users" names no table: give APP.TABLE'),
        (["--table", "nobody.users"], 2, 'has no app "nobody": its apps are maps, dovvybuddy'),
        (["--table", "maps.maps_before.users"], 2, "maps_before is where copies are put"),
        (["--database", "nobody"], 2, 'has no app "nobody"'),
        (["--database", "maps", "--to", "2200-01-01"], 2, "is yet to come"),
        (["--database", "maps", "--to", "2020-01-01", "--yes"], 1, "is before the first backup was complete"),
        (["--database", "maps"], 1, "nobody is at a terminal to answer: give --yes"),
    ],
)
def test_what_cannot_be_brought_back_is_one_line_before_anything_is_restored(
    world: Stack, pgstack: Run, arguments: list[str], code: int, says: str
) -> None:
    given = arguments if "--to" in arguments else [*arguments, "--to", "good"]

    done = pgstack("restore", "run", *given, code=code, of=world)

    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Updating" not in done.stdout


@pytest.mark.fault(
    "a killed `restore run --database`, while it copies",
    seen="the restored cluster stays, as `restore list` and `status` say; the live database is as it was",
    outcome="survived: the same command goes on, while clients of all applications work",
)
def test_an_application_comes_back_under_load_after_a_copy_that_was_killed_and_goes_again(
    world: Stack, pgstack: Run
) -> None:
    world.admin_sql("DELETE FROM maps.users WHERE id <> 'row-0'", "maps")
    world.admin_sql("CREATE TABLE dovvybuddy.since (id int)", "dovvybuddy")
    bring = ["restore", "run", "--to", "good", "--database", "maps", "--yes"]

    killed = subprocess.Popen(
        [str(world.home / ".venv/bin/python"), "-m", "ops.main", "-s", world.name, *bring],
        cwd=world.home, env=world.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: "maps_restored" in databases(world), "no copy was begun")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert users(world) == ["row-0"]

    with load(world) as seen:
        said = pgstack(*bring, of=world).stdout
        moved = {app: len(it.acknowledged) for app, it in seen.items()}
        until(
            lambda: all(it.failures or len(it.acknowledged) > moved[app] + 50 for app, it in seen.items()),
            "clients stopped",
        )
    for app, it in seen.items():
        print(  # noqa: T201  # the figures of README
            f"\n--database maps, {app}: {len(it.took):,} transactions of {CLIENTS} clients, {len(it.failures)} failed,"
            f" longest {max(it.took):.2f} s, median {statistics.median(it.took) * 1000:.1f} ms"
        )
        assert it.failures == []
        assert max(it.took) < LONGEST_STALL

    assert "generation 2 stays" in said  # it was there before: the killed one's
    left = re.findall(r"what it was before is (maps_before_\d{8}_\d{6}): ", said)[0]
    assert databases(world) == ["dovvybuddy", "maps", left, "postgres"]
    assert users(world) == ROWS
    assert world.admin_sql("SELECT id FROM maps.users", left) == "row-0"
    there, before = loaded(world, "maps", "maps"), loaded(world, left, "maps")
    assert there
    assert before
    assert not there & before
    assert there | before == set(seen["maps"].acknowledged)
    assert loaded(world, "dovvybuddy", "dovvybuddy") == set(seen["dovvybuddy"].acknowledged)
    assert world.admin_sql("SELECT to_regclass('dovvybuddy.since') IS NOT NULL", "dovvybuddy") == "t"

    pgstack("migrate", "check", "maps", of=world)
    assert f"database {left} was replaced" in pgstack("status", of=world).stdout
    with world.connect("maps_pooled_url") as application, pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute("DELETE FROM alembic_version")

    with load(world) as seen:
        undone = pgstack("restore", "undo", "--database", "maps", "--yes", of=world).stdout
    assert [it.failures for it in seen.values()] == [[], []]
    assert users(world) == ["row-0"]
    again = re.findall(r"what it was before is (maps_before_\d{8}_\d{6})", undone)[0]
    pgstack("restore", "undo", "--database", "maps", "--yes", of=world)
    assert users(world) == ROWS
    assert again not in databases(world)

    for name in (it for it in databases(world) if "_before_" in it):
        pgstack("restore", "drop", name, "--yes", of=world)
    assert 'no database "maps" is kept' in pgstack("restore", "drop", "maps", "--yes", code=2, of=world).stderr
    assert databases(world) == ["dovvybuddy", "maps", "postgres"]
    assert world.plan() == []


def test_a_table_that_was_not_there_then_or_is_there_already_is_one_line(world: Stack, pgstack: Run) -> None:
    absent = pgstack("restore", "run", "--to", "good", "--table", "maps.since", code=1, of=world)
    assert "there was no table maps.since then: maps had accounts, alembic_version," in absent.stderr
    assert "generation 2 is restored and stays" in absent.stderr

    # what the original has of another time's tables and roles is not the copy's
    world.admin_sql("DROP TABLE maps.users CASCADE", "maps")
    said = pgstack("restore", "run", "--to", "good", "--table", "maps.users", of=world).stdout
    assert "maps.users itself is gone: this puts the copy in its place" in said
    refused = pgstack("restore", "run", "--to", "good", "--table", "maps.users", code=1, of=world)
    assert "maps_before.users is there already" in refused.stderr
    with world.connect("maps_pooled_url") as application, pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute("SELECT * FROM maps_before.users")

    pgstack("restore", "drop", "2", "--yes", of=world)
    world.admin_sql("ALTER TABLE maps_before.users SET SCHEMA maps; DROP SCHEMA maps_before", "maps")
    assert users(world) == ROWS
    check = json.loads(pgstack("migrate", "check", "maps", "--json", code=1, of=world).stdout)["maps"]
    for it in check["drift"]:
        world.admin_sql(re.findall(r"`([^`]+)`", it["text"])[-1], "maps")
    pgstack("migrate", "check", "maps", of=world)


def test_the_runbook_for_one_table_brings_its_lost_rows_back_and_leaves_the_others(world: Stack, pgstack: Run) -> None:
    when = world.admin_sql("SELECT clock_timestamp()")
    world.admin_sql("DELETE FROM maps.users WHERE id IN ('row-1', 'row-3')", "maps")
    world.admin_sql("UPDATE maps.users SET name = 'since' WHERE id IN ('row-2', 'row-4')", "maps")
    *lines, whole = runbooks.blocks("one-table-back.md")
    assert len(lines) == 5

    said = runbooks.typed(world, lines, WHEN=when, ROW="row-4")

    assert "maps_before.users is maps.users as it was" in said
    assert users(world) == ROWS
    assert world.admin_sql("SELECT name FROM maps.users WHERE id = 'row-2'", "maps") == "since"
    assert world.admin_sql("SELECT name FROM maps.users WHERE id = 'row-4'", "maps") == "good"
    pgstack("migrate", "check", "maps", of=world)
    assert "beside" not in pgstack("restore", "list", of=world).stdout
    assert world.plan() == []

    world.admin_sql("DELETE FROM maps.users", "maps")
    runbooks.typed(world, [*lines[:1], whole], WHEN=when)
    assert users(world) == []  # undone


def test_the_runbook_for_a_failed_migration_mends_it_or_goes_back_to_before_it(world: Stack, pgstack: Run) -> None:
    where, mend, one, all_of_them = runbooks.blocks("failed-migration.md")
    world.admin_sql("DELETE FROM maps.users", "maps")
    world.admin_sql("INSERT INTO maps.users (id, email, name) VALUES ('row-0', '0@example.org', 'good')", "maps")
    spoils = add_migration(world, "spoils", statement=SPOIL)
    fails = add_migration(world, "fails", statement="ALTER TABLE maps.nowhere ADD COLUMN depth int")
    failed = world.up(check=False).stdout.replace("\n", " ")
    assert f"revision {fails.stem} (maps) failed: SQLSTATE 42P01" in failed
    point = re.findall(r"as it was before this deployment: pgstack restore run --to (migrate-\w+)", failed)[0]
    assert users(world) == ["row-0", "row-9"]

    assert fails.stem in runbooks.typed(world, [where])
    mended = fails.read_text().replace("maps.nowhere", "maps.fails")
    fails.write_text(mended)
    runbooks.typed(world, [where, mend])
    assert world.admin_sql("TABLE maps.alembic_version", "maps") == fails.stem

    for path in (spoils, fails):
        path.unlink()
    world.run("git", "checkout", "--quiet", "alembic")  # the checksums
    runbooks.typed(world, [one], POINT=point)
    assert users(world) == ["row-0"]
    assert world.plan() == []

    world.admin_sql("UPDATE maps.users SET id = 'row-8'", "maps")
    runbooks.typed(world, [all_of_them], POINT=point)
    assert users_of_the_live_one(world, pgstack) == ["row-0"]


def users_of_the_live_one(stack: Stack, pgstack: Run) -> list[str]:
    """Through the pooler, which leads to the one that is live now."""
    return pgstack(
        "psql", "maps", "--", "-XqAt", "-c", "SELECT id FROM maps.users ORDER BY id", of=stack
    ).stdout.split()
