"""Back to any second: what a restore keeps is known to the transaction before, and is what comes back."""

import datetime
import json
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.deployment import Run, Stack
from tests.stack import runbooks
from tests.stack.repository import ARCHIVE


@pytest.fixture(scope="module")
def ledger(stack: Stack, pgstack: Run) -> list[tuple[int, datetime.datetime]]:
    """Number and moment of five transactions, one after the other, as the server committed them; then a point."""
    committed = []
    with stack.connect("maps_pooled_url") as connection:
        for number in range(5):
            insert = "INSERT INTO users (id, email, name) VALUES (%s, %s, 'L') RETURNING pg_current_xact_id()::text"
            row = connection.execute(insert, (f"ledger-{number}", f"l{number}@example.org")).fetchone()
            assert row is not None
            moment = stack.admin_sql(f"SELECT pg_xact_commit_timestamp('{row[0]}'::xid)")
            committed.append((int(row[0]), datetime.datetime.fromisoformat(moment)))
    assert "restore point after-ledger is archived" in pgstack("backup", "point", "after-ledger").stdout
    return committed


def planned(pgstack: Run, to: str) -> dict[str, Any]:
    found = json.loads(pgstack("restore", "plan", "--to", to, "--json").stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("number", range(4))
def test_a_time_keeps_exactly_what_was_committed_by_then(
    pgstack: Run, ledger: list[tuple[int, datetime.datetime]], number: int
) -> None:
    xid, moment = ledger[number]
    until = moment + (ledger[number + 1][1] - moment) / 2

    for target in (moment, until):
        found = planned(pgstack, target.isoformat())
        assert found["kept"]["xid"] == xid
        assert datetime.datetime.fromisoformat(found["kept"]["at"]) == moment
        assert found["possible"] is True
        assert found["discarded"] >= len(ledger) - number - 1


def test_a_transaction_a_position_and_a_name_lead_to_the_same_place(
    pgstack: Run, ledger: list[tuple[int, datetime.datetime]]
) -> None:
    xid, _ = ledger[2]
    by_number = planned(pgstack, str(xid))
    lsn = by_number["stop"]

    assert by_number["kept"]["xid"] == xid
    assert planned(pgstack, f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}")["kept"]["xid"] == xid
    assert planned(pgstack, "after-ledger")["kept"]["xid"] == ledger[-1][0]
    assert planned(pgstack, "latest")["kept"]["xid"] >= ledger[-1][0]
    assert "after-ledger" in [it["name"] for it in json.loads(pgstack("backup", "points", "--json").stdout)]


def test_the_plan_is_read_in_lines(pgstack: Run, ledger: list[tuple[int, datetime.datetime]]) -> None:
    said = dict(
        line.split(maxsplit=1) for line in pgstack("restore", "plan", "--to", str(ledger[2][0])).stdout.splitlines()
    )

    assert list(said) == ["window", "target", "backup", "WAL", "keeps", "leaves", "takes"]
    assert said["target"] == f"transaction {ledger[2][0]}"
    assert said["WAL"].endswith("all there")
    assert said["keeps"].startswith(f"all up to transaction {ledger[2][0]}, committed 20")


@pytest.mark.parametrize(
    ("to", "code", "says"),
    [
        ("2020-01-01", 1, "is before the first backup was complete"),
        ("2200-01-01", 2, "is yet to come"),
        ("in a while", 2, "is none of: a time"),
        ("4000000000", 1, "no commit of transaction 4000000000"),
        ("FFFF/0", 1, "is not archived yet"),
        ("no-such-point", 1, 'no restore point "no-such-point"'),
    ],
)
def test_a_target_that_cannot_be_is_one_line(pgstack: Run, to: str, code: int, says: str) -> None:
    done = pgstack("restore", "plan", "--to", to, code=code)

    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_missing_segment_is_named(stack: Stack, pgstack: Run, ledger: list[tuple[int, datetime.datetime]]) -> None:
    segment = planned(pgstack, str(ledger[2][0]))["first"]
    path = stack.execute("backup", "sh", "-c", f"ls {ARCHIVE}/*/{segment}-*").strip()

    with aside(stack, path):
        done = pgstack("restore", "plan", "--to", str(ledger[2][0]), code=1)

    assert f"WAL segment {segment} is not in the repository" in done.stderr
    assert "1 MISSING" in done.stdout
    assert planned(pgstack, str(ledger[2][0]))["possible"] is True


@contextmanager
def aside(stack: Stack, path: str) -> Iterator[None]:
    """A file of the repository away, and then back."""
    stack.execute("backup", "mv", path, "/var/lib/pgbackrest/aside")
    try:
        yield
    finally:
        stack.execute("backup", "mv", "/var/lib/pgbackrest/aside", path)


@pytest.fixture
def dropped(pgstack: Run) -> Iterator[None]:
    """Every restored cluster goes when the test ends."""
    yield
    for line in pgstack("restore", "list").stdout.splitlines():
        if line.split()[1:2] in (["beside"], ["read"]):
            pgstack("restore", "drop", line.split()[0], "--yes")


def rows(pgstack: Run, *of: str) -> list[str]:
    """The ledger's rows on the live cluster, or on that of `of`."""
    query = "SELECT id FROM maps.users WHERE id LIKE 'ledger-%' ORDER BY id"
    return pgstack("psql", "maps", *of, "--", "-XqAt", "-c", query).stdout.split()


@pytest.mark.usefixtures("dropped")
def test_the_runbook_for_a_point_in_time_shows_the_ledger_of_that_moment_while_the_live_cluster_goes_on(
    stack: Stack, pgstack: Run, ledger: list[tuple[int, datetime.datetime]]
) -> None:
    number = random.Random(6).randrange(4)  # noqa: S311  # seeded, and no secret
    until = ledger[number][1] + (ledger[number + 1][1] - ledger[number][1]) / 2
    live = stack.container("postgres").attrs["State"]["StartedAt"]
    others = int(stack.admin_sql("SELECT count(*) FROM maps.users WHERE id NOT LIKE 'ledger-%'", "maps"))

    lines = runbooks.blocks("restore-to-a-point-in-time.md")
    assert len(lines) >= 4
    said = runbooks.typed(stack, lines, WHEN=until.isoformat())

    assert "generation 2 is restored: pgstack psql" in said
    assert re.search(rf"^ +{others + number + 1} \|", said, re.MULTILINE)
    assert rows(pgstack) == [f"ledger-{it}" for it in range(5)]
    assert stack.container("postgres").attrs["State"]["StartedAt"] == live
    assert "beside" not in pgstack("restore", "list").stdout


@pytest.mark.fault(
    "a backup file missing while a restore runs",
    seen="`restore run` fails and says how to go on",
    outcome="survived: `pulumi up` finishes the restore once the file is back",
)
@pytest.mark.usefixtures("dropped")
def test_a_restore_that_failed_is_finished_by_a_plain_up_and_never_writes_into_the_archive(
    stack: Stack, pgstack: Run, ledger: list[tuple[int, datetime.datetime]]
) -> None:
    label = planned(pgstack, str(ledger[2][0]))["backup"]["label"]

    with aside(stack, f"/var/lib/pgbackrest/backup/main/{label}/bundle"):
        failed = pgstack("restore", "run", "--to", str(ledger[2][0]), code=1)
    assert "generation 2 is not ready: `pulumi up` goes on with it" in failed.stderr
    assert "restore-2 ended with" in failed.stdout + failed.stderr
    assert rows(pgstack) == [f"ledger-{it}" for it in range(5)]

    stack.pulumi("up", "--yes", "--skip-preview")
    assert rows(pgstack, "-g", "2") == [f"ledger-{it}" for it in range(3)]
    stack.pulumi("preview", "--expect-no-changes")

    written = "INSERT INTO maps.users (id, email, name) VALUES ('past', 'p@example.org', 'P')"
    segment = "SELECT pg_walfile_name(pg_switch_wal())"
    newest = pgstack("psql", "maps", "-g", "2", "--", "-XqAt", "-c", written, "-c", segment).stdout.strip()
    timeline = newest[:8]
    assert timeline > "00000001"
    archived = stack.execute("backup", "find", ARCHIVE, "-name", f"{timeline}*").splitlines()
    assert archived == [f"{ARCHIVE}/{timeline}.history"]  # so that what is restored next takes another one
    assert stack.admin_sql("SELECT count(*) FROM maps.users WHERE id = 'past'", "maps") == "0"


def test_a_cluster_that_is_not_there_cannot_be_dropped_or_looked_at(pgstack: Run) -> None:
    assert (
        "has no cluster 7 beside the live one: there is none" in pgstack("restore", "drop", "7", "--yes", code=2).stderr
    )
    assert "has no cluster 1 beside the live one" in pgstack("restore", "swap", "1", "--yes", code=2).stderr
    assert "there is nothing to undo" in pgstack("restore", "undo", "--yes", code=1).stderr
    assert "has no cluster 7 that is ready" in pgstack("psql", "maps", "-g", "7", code=2).stderr
