"""A deployment is stopped in the middle, by Ctrl-C or by the kernel; the next one ends well."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tenacity

from tests.deployment import ROLES, NewStack, Run, Stack

POINTS = {
    "at the start": r"Updating",
    "while the network is made": r"docker:index:Network network creating",
    "while files are written": r"Stash \S+-files-written creating",
    "while a container is made": r"docker:index:Container \S+ creating",
    "while the first backup is taken": r"Stash stanza creating",
    "during a migration": r"maps: migration \S+ is pending",
}


def ctrl_c(process: subprocess.Popen[str]) -> None:
    """As a terminal does it: to every process in the foreground."""
    os.killpg(process.pid, signal.SIGINT)


def kill(process: subprocess.Popen[str]) -> None:
    """As the kernel does it when memory runs out: to the one process."""
    process.kill()


def stopped(stack: Stack, point: str, stop: Callable[[subprocess.Popen[str]], None]) -> str | None:
    """What an `up` printed that is stopped when it first prints `point`; None if there was nothing of it left to do."""
    process = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack.name],
        cwd=stack.home, env=stack.env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    said, reached = [], False
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if re.search(point, line):
            reached = True
            stop(process)
            break
    said.append(process.stdout.read())
    ended = process.wait(timeout=120)
    assert reached == (ended != 0), f"{point} did not stop it, or something else did:\n{''.join(said)}"
    return "".join(said) if reached else None


def make_up(stack: Stack) -> None:
    """What `make up` runs once the tools are there (Makefile)."""
    stack.run("python3", "-m", "tools", "stack", stack.name, "--template", "dev")
    stack.up()


def test_a_container_that_a_killed_deployment_could_not_record_makes_room_for_the_next(
    stack: Stack, tmp_path: Path
) -> None:
    state = json.loads(stack.pulumi("stack", "export").stdout)
    resources = state["deployment"]["resources"]
    lost = {it["urn"] for it in resources if it["urn"].endswith("::pooler-container")}
    for it in resources:  # in the order in which they depend on each other
        if lost & set(it.get("dependencies", [])):
            lost.add(it["urn"])
    state["deployment"]["resources"] = [it for it in resources if it["urn"] not in lost]
    (tmp_path / "state.json").write_text(json.dumps(state))
    stack.pulumi("stack", "import", "--file", str(tmp_path / "state.json"))
    before = stack.container("pooler").id

    done = stack.up()

    assert f"removing container {stack.prefix}-pooler, left by a deployment that was killed" in done.stdout
    assert stack.container("pooler").id != before
    assert stack.plan() == []


@pytest.mark.fault(
    "a restore killed",
    seen="`restore run` fails and says how to go on",
    outcome="survived: `pulumi up` begins it anew and finishes it; the live cluster works on",
)
def test_a_restore_killed_while_it_copies_is_finished_by_a_plain_up(stack: Stack, pgstack: Run) -> None:
    pgstack("backup", "point", "before-the-kill")
    written = "CREATE TABLE since_the_point AS SELECT 1 AS one"
    stack.admin_sql(written, "dovvybuddy")
    command = ("-s", stack.name, "restore", "run", "--to", "before-the-kill")
    process = subprocess.Popen(
        [stack.home / ".venv/bin/python", "-m", "ops.main", *command],
        cwd=stack.home, env=stack.env, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    for attempt in tenacity.Retrying(stop=tenacity.stop_after_delay(60), wait=tenacity.wait_fixed(0.05), reraise=True):
        with attempt:  # which fails until the container is there and runs
            stack.container("restore-2").kill()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert "restore-2 ended with 137" in said
    assert "generation 2 is not ready: `pulumi up` goes on with it" in said
    assert stack.admin_sql("SELECT one FROM since_the_point", "dovvybuddy") == "1"

    stack.up()

    try:
        ask = ("psql", "dovvybuddy", "-g", "2", "--admin", "--", "-XqAt", "-c", "SELECT to_regclass('since_the_point')")
        assert pgstack(*ask).stdout == "\n"
        stack.pulumi("preview", "--expect-no-changes")
    finally:
        pgstack("restore", "drop", "2", "--yes")
        stack.admin_sql("DROP TABLE since_the_point", "dovvybuddy")


@pytest.mark.fault(
    "a deployment interrupted or killed, at six points",
    seen="the next one says what it clears away",
    outcome="survived: the next `make up` finishes it",
)
@pytest.mark.parametrize("stop", [ctrl_c, kill], ids=["Ctrl-C", "SIGKILL"])
def test_a_deployment_stopped_anywhere_is_finished_by_the_next_one_and_nothing_is_there_twice(
    new_stack: NewStack, stop: Callable[[subprocess.Popen[str]], None]
) -> None:
    stack = new_stack()
    for point in POINTS.values():
        stack.run("python3", "-m", "tools", "stack", stack.name, "--template", "dev")
        said = stopped(stack, point, stop)
        if said is None:  # what was under way at the stop before was still finished, and that was all
            stack.pulumi("destroy", "--yes", "--skip-preview")
            said = stopped(stack, point, stop)
        assert said is not None
        assert "Traceback" not in said, said

    make_up(stack)

    label: dict[str, Any] = {"label": f"pgstack.stack={stack.prefix}"}
    containers = stack.engine.containers.list(all=True, filters=label)
    assert {it.name for it in containers} == {f"{stack.prefix}-{role}" for role in ROLES}
    assert [role for role in ROLES if not stack.serves(role)] == []
    assert [it.name for it in stack.engine.networks.list(filters=label)] == [stack.prefix]
    assert stack.plan() == []
    assert stack.admin_sql("SELECT count(*) FROM dovvybuddy.destinations ", "dovvybuddy") == "1"
    assert stack.admin_sql("SELECT version_num FROM maps.alembic_version", "maps") == "0003_readers_see_no_tokens"
    assert stack.execute("backup", "pgbackrest", "--stanza=main", "info").count("full backup") >= 1
