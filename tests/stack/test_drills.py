"""A restored copy is what was committed, or the drill is red and says where; what came of it can't be changed later."""

import datetime
import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import tenacity

from tests.deployment import CHECKOUT, NewStack, Run, Stack
from tests.stack.repository import info
from tests.stack.writer import writing

_COPY = "/var/lib/pgstack-drill"
_EVIDENCE = "/var/lib/pgstack-evidence/drills.jsonl"
_PROGRAM = ("python3", "-m", "db.drills")


@pytest.fixture(scope="module")
def stack(new_stack: NewStack) -> Stack:
    """A stack of two applications with rows of real applications' kind."""
    it = new_stack()
    it.configure("apps", '["dovvybuddy", "maps"]')
    it.up()
    return it


@pytest.fixture
def copy(stack: Stack) -> Iterator[Stack]:
    """The stack while there is a restored copy of it, untouched."""
    stack.execute("drills", *_PROGRAM, "restore")
    yield stack
    stack.execute("drills", *_PROGRAM, "clean")


def in_copy(stack: Stack, database: str, *statements: str) -> str:
    """What psql prints for the statements as the copy's superuser."""
    words = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", _COPY, "-U", "postgres", "-d", database]
    return stack.execute("drills", *words, *(it for one in statements for it in ("-c", one)))


def verified(stack: Stack, *, code: int) -> list[str]:
    """The lines that `verify` prints of the copy as it stands."""
    ended, output = stack.container("drills").exec_run([*_PROGRAM, "verify"])
    assert isinstance(output, bytes)
    assert ended == code, output.decode()
    return [line for line in output.decode().splitlines() if not line.startswith("checking ")]


def listed(pgstack: Run, *, code: int = 0) -> dict[str, Any]:
    found = json.loads(pgstack("drill", "list", "--json", code=code).stdout)
    assert isinstance(found, dict)
    return found


def typed(stack: Stack) -> str:
    """What the shell lines of docs/drills.md print, typed as they stand."""
    (block,) = re.findall(r"^```sh\n(.*?)^```$", (CHECKOUT / "docs/drills.md").read_text(), re.DOTALL | re.MULTILINE)
    assert "pgstack drill list" in block
    # the clone's own entry point would run the original checkout, which is installed into the shared environment
    script = 'pgstack() { .venv/bin/python -m ops.main "$@"; }\n' + block.replace(".venv/bin/pgstack", "pgstack")
    return stack.run("env", f"PGSTACK_STACK={stack.name}", "bash", "-euo", "pipefail", "-c", script).stdout


def test_the_copy_of_a_moment_at_which_applications_were_writing_is_the_ledger_s_row_for_row(
    stack: Stack, pgstack: Run
) -> None:
    with writing(stack) as writer:
        writer.write_some(50)
        stack.execute("drills", *_PROGRAM, "ledger", "--now")
        writer.write_some(50)
        said = typed(stack)  # the entry may not be archived yet: then another is made, under the same load

    drill = listed(pgstack)["drills"][-1]
    assert (drill["passed"], drill["problems"]) == (True, [])
    assert drill["tables_compared"] == int(re.findall(r"^passed: (\d+) tables", said, re.MULTILINE)[0])
    tables = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = '{}'::regnamespace"
    ours = sum(int(stack.admin_sql(tables.format(app), app)) for app in ("dovvybuddy", "maps"))
    assert drill["tables_compared"] >= ours
    assert drill["rows_compared"] >= 50
    assert 0 < drill["recovery_seconds"] < 60
    status = json.loads(pgstack("status", "--json").stdout)
    assert status["problems"] == []
    assert status["drills"]["drills"][-1]["passed"] is True


def test_a_changed_row_a_lost_row_and_another_table_are_named(copy: Stack) -> None:
    in_copy(copy, "dovvybuddy", "UPDATE dovvybuddy.dive_sites SET name = name || '.' WHERE name LIKE 'Palancar%'")
    in_copy(copy, "maps", "DELETE FROM maps.users", "CREATE TABLE maps.strange (id int)")

    told = "\n".join(verified(copy, code=1))

    assert 'problem: dovvybuddy: "dovvybuddy"."dive_sites": the copy has' in told
    assert 'problem: maps: "maps"."users": the copy has 0 rows' in told
    assert 'problem: maps: "maps"."strange": in the copy and not in the ledger' in told
    assert told.count("problem: dovvybuddy: ") == 1


def test_an_index_that_lacks_a_row_is_found_although_every_row_is_there(copy: Stack) -> None:
    primary = "'maps.users'::regclass AND indisprimary"
    in_copy(
        copy,
        "maps",
        "SET allow_system_table_mods = on",
        "SET session_replication_role = replica",
        f"UPDATE pg_index SET indisready = false WHERE indrelid = {primary}",
        "CREATE TEMP TABLE one AS TABLE maps.users",
        "DELETE FROM maps.users",
        "INSERT INTO maps.users TABLE one",
        f"UPDATE pg_index SET indisready = true WHERE indrelid = {primary}",
    )

    lacking, _ = verified(copy, code=1)

    assert re.search(r'"maps\.maps\.pk_users": ERROR: .* from table "users" lacks matching index tuple', lacking)


def test_a_heartbeat_from_after_the_target_is_told(copy: Stack) -> None:
    newest = int(in_copy(copy, "postgres", "SELECT max(number) FROM pgstack.heartbeat"))
    in_copy(copy, "postgres", f"INSERT INTO pgstack.heartbeat (number) VALUES ({newest + 1})")

    told, _ = verified(copy, code=1)

    assert told == f"problem: heartbeat {newest + 1} is in the copy, but was committed after the target"


def test_a_copy_that_ends_too_early_lacks_a_heartbeat(copy: Stack) -> None:
    newest = int(in_copy(copy, "postgres", "SELECT max(number) FROM pgstack.heartbeat"))
    in_copy(copy, "postgres", f"DELETE FROM pgstack.heartbeat WHERE number = {newest}")

    told, _ = verified(copy, code=1)

    assert told.startswith(f"problem: heartbeat {newest} was committed before the target, at 20")


def test_a_person_may_choose_the_moment(pgstack: Run) -> None:
    pgstack("backup", "point", "before-drill")

    said = pgstack("drill", "--to", "before-drill").stdout

    assert "passed: 0 tables compared with the ledger" in said
    assert listed(pgstack)["drills"][-1]["at"] is None


@tenacity.retry(stop=tenacity.stop_after_delay(60), wait=tenacity.wait_fixed(0.05), reraise=True)
def kill_the_drill_once_its_copy_serves(stack: Stack) -> None:
    killing = (
        f"test -S {_COPY}/.s.PGSQL.5432 && kill -9 $(grep -lz '^drill$' /proc/[0-9]*/cmdline | cut -d/ -f3 | head -1)"
    )
    code, output = stack.container("drills").exec_run(["bash", "-c", killing])
    assert code == 0, output


def test_drill_and_status_are_red_while_a_backup_cannot_be_restored_and_a_killed_drill_is_no_end_to_it(
    stack: Stack, pgstack: Run
) -> None:
    label = info(stack)["backup"][-1]["label"]
    with aside(stack, "backup", f"/var/lib/pgbackrest/backup/main/{label}/bundle", "/var/lib/pgbackrest/aside"):
        said = pgstack("drill", code=1)
    assert "failed: 0 tables compared" in said.stdout
    assert "problem: pgbackrest ended with" in said.stdout
    assert any(it.startswith("the last restore drill failed ") for it in problems(pgstack, code=1))
    shown = stack.execute("drills", "cat", "/var/lib/pgstack-evidence/pgstack_drills.prom")
    assert "\npgstack_drill_last_passed 0\n" in shown

    stack.container("drills").exec_run([*_PROGRAM, "drill"], detach=True)
    kill_the_drill_once_its_copy_serves(stack)
    assert "data" in stack.execute("drills", "ls", _COPY)
    pgstack("drill")

    drill = listed(pgstack)["drills"][-1]
    assert (drill["passed"], drill["interrupted_before"]) == (True, True)
    assert 0 <= drill["recovery_point_seconds"] < 240
    assert stack.execute("drills", "ls", "-A", _COPY) == ""
    assert stack.execute("drills", "sh", "-c", "grep -lx postgres /proc/[0-9]*/comm || true") == ""
    assert problems(pgstack, code=0) == []


def test_evidence_that_was_changed_or_cut_is_told(stack: Stack, pgstack: Run) -> None:
    assert listed(pgstack)["broken"] is None
    lines = stack.execute("drills", "cat", _EVIDENCE).splitlines()
    assert len(lines) >= 2

    for edit, told in (
        (r"1s/\"problems\": \[/\"problems\": [\"none\"/", "line 1 does not bear the stack's signature"),
        ("1d", "line 1 does not follow the line before it"),
        ("$d", f"{len(lines)} lines were there once, {len(lines) - 1} are left"),
    ):
        with aside(stack, "drills", _EVIDENCE, f"{_EVIDENCE}.aside"):
            stack.execute("drills", "sh", "-c", f"sed '{edit}' {_EVIDENCE}.aside >{_EVIDENCE}")
            assert told in pgstack("drill", "list", code=1).stderr
    assert listed(pgstack)["broken"] is None


def heartbeats(stack: Stack) -> list[dict[str, Any]]:
    lines = stack.execute("drills", "sh", "-c", "cat /var/lib/pgstack-evidence/heartbeats/*.jsonl").splitlines()
    return [json.loads(it) for it in lines]


def test_what_is_committed_is_followed_by_a_heartbeat_within_a_minute_noted_outside_the_cluster(stack: Stack) -> None:
    noted = heartbeats(stack)
    assert len([it for it in noted if datetime.datetime.fromisoformat(it["at"]).second < 30]) >= 2
    for it in noted:
        committed = f"pg_xact_commit_timestamp('{it['xid']}'::xid) = '{it['at']}'"
        assert stack.admin_sql(f"SELECT pg_xact_status('{it['xid']}'::xid8), {committed}") == "committed|t"
    between = [(a["last"] + 1, b["xid"] - 1, f"'{b['at']}'") for a, b in itertools.pairwise(noted)]
    between.append((noted[-1]["last"] + 1, noted[-1]["last"] + 1000, "clock_timestamp()"))
    for first, last, at in between:
        late = f"pg_xact_commit_timestamp(x::text::xid) < {at}::timestamptz - interval '75 s'"
        assert stack.admin_sql(f"SELECT count(*) FROM generate_series({first}, {last}) x WHERE {late}") == "0"
    assert int(stack.admin_sql("SELECT count(*) FROM pgstack.heartbeat")) <= 11


@tenacity.retry(stop=tenacity.stop_after_attempt(5), reraise=True)  # autovacuum may commit at that moment
def none_is_added(stack: Stack) -> None:
    stack.execute("drills", *_PROGRAM, "heartbeat")
    before = heartbeats(stack)
    stack.execute("drills", *_PROGRAM, "heartbeat")
    assert heartbeats(stack) == before


def test_a_cluster_in_which_nothing_is_committed_gets_no_heartbeat_for_a_while(stack: Stack) -> None:
    none_is_added(stack)
    before = heartbeats(stack)[-1]

    stack.admin_sql("SELECT pg_current_xact_id()")
    stack.execute("drills", *_PROGRAM, "heartbeat")

    assert heartbeats(stack)[-1]["number"] > before["number"]


def problems(pgstack: Run, *, code: int) -> list[str]:
    return list(json.loads(pgstack("status", "--json", code=code).stdout)["problems"])


@contextmanager
def aside(stack: Stack, role: str, path: str, there: str) -> Iterator[None]:
    """A file or folder away, and then back."""
    stack.execute(role, "mv", path, there)
    try:
        yield
    finally:
        stack.execute(role, "sh", "-c", f"rm -rf {path} && mv {there} {path}")
