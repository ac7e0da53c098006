"""Back to any second: what a restore would keep is known to the transaction before anything is done."""

import datetime
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.deployment import Stack
from tests.stack.repository import ARCHIVE

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def pgstack(stack: Stack) -> Run:
    """`pgstack ARGS` on the shared stack; fails the test unless it ends with `code`."""

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = stack.pgstack("-s", stack.name, *arguments, check=False)
        assert done.returncode == code, f"pgstack {' '.join(arguments)} ended with {done.returncode}:\n{done}"
        assert "Traceback" not in done.stderr
        return done

    return run


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
    path = stack.execute("backup", "sh", "-c", f"ls {ARCHIVE}/*/*.zst | sort | sed -n 3p").strip()
    segment = path.rpartition("/")[2][:24]

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
