"""The host is gone with everything on it: the stack comes back from the off-site repository and the exported keys."""

import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.deployment import NewStack, Stack
from tests.stack import object_store, runbooks
from tests.stack.test_offsite import carried, configure, until_carried

_WORDS = "SELECT name FROM dovvybuddy.destinations WHERE country = 'Nowhere' ORDER BY created_at"


@dataclass
class World:
    """A stack with an off-site repository that outlives it, and what its users keep elsewhere."""

    stack: Stack
    keys: Path
    url: str
    ca: Path

    def pgstack(self, *arguments: str) -> str:
        """What the command prints of the stack."""
        return self.stack.pgstack("-s", self.stack.name, *arguments).stdout

    def say(self, word: str) -> datetime.datetime:
        """Commit a word as an application that knows its old URL; when it was committed."""
        with psycopg.connect(self.url, sslrootcert=str(self.ca)) as connection:
            insert = "INSERT INTO destinations (name, country) VALUES (%s, 'Nowhere')"
            connection.execute(insert, [word])
        with psycopg.connect(self.url, sslrootcert=str(self.ca)) as connection:
            row = connection.execute("SELECT clock_timestamp()").fetchone()
            assert row is not None
            moment: datetime.datetime = row[0]
            return moment

    def words(self) -> list[str]:
        """What such an application reads."""
        with psycopg.connect(self.url, sslrootcert=str(self.ca)) as connection:
            return [str(it[0]) for it in connection.execute(_WORDS).fetchall()]

    def carry(self) -> str:
        """The name of a segment that was just finished, once it is in the store, as all before it are."""
        sql = "SELECT pg_logical_emit_message(true, 'test', ''); SELECT pg_walfile_name(pg_switch_wal())"
        segment = self.pgstack("psql", "dovvybuddy", "--admin", "--", "-XqAt", "-c", sql).split()[-1]
        until_carried(self.stack, segment)
        return segment

    def lose(self) -> None:
        """The host with its volumes, the state and the stack file; there is another one, prepared by `make tools`."""
        stack, of_it = self.stack, {"label": f"pgstack.stack={self.stack.prefix}"}
        labelled: dict[str, Any] = {"filters": of_it}
        for container in stack.engine.containers.list(all=True, **labelled):
            container.remove(force=True)
        for volume in stack.engine.volumes.list(**labelled):
            volume.remove()
        for network in stack.engine.networks.list(**labelled):
            network.remove()
        state = Path(stack.env["PGSTACK_STATE"])
        shutil.rmtree(state)
        (state / "stacks").mkdir(parents=True, mode=0o700)
        (state / "passphrase").write_text(uuid.uuid4().hex)


@pytest.fixture(scope="module")
def world(new_stack: NewStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    stack, elsewhere = new_stack("preview", own_copy=True), tmp_path_factory.mktemp("elsewhere")
    stack.configure("apps", '["dovvybuddy"]')
    with object_store.elsewhere(stack) as store:
        configure(stack, store.settings())
        stack.up()
        stack.pgstack("-s", stack.name, "keys", "export", str(elsewhere / "keys.json"))
        (elsewhere / "ca.crt").write_text(stack.outputs["ca_certificate"])
        yield World(stack, elsewhere / "keys.json", stack.outputs["dovvybuddy_pooled_url"], elsewhere / "ca.crt")


def test_a_stack_that_is_not_lost_is_left_alone(world: World) -> None:
    stack = world.stack
    refused = stack.pgstack("restore", "bare", str(world.keys), "--yes", check=False)
    assert refused.returncode == 1
    assert f"stack {stack.name} is not lost here" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert stack.serves("postgres")
    assert stack.plan() == []


@pytest.mark.fault(
    "the host lost with all volumes, state and settings",
    seen="nothing answers",
    outcome="survived: the runbook for a lost host rebuilds the stack from the off-site repository and the exported"
    " keys; what was carried off-site is there, passwords, CA and pooled URLs stay",
)
def test_the_runbook_for_a_lost_host_brings_back_what_was_carried_off_site(world: World) -> None:
    stack = world.stack
    world.say("before")
    moment = world.say("at the time")
    world.say("carried")
    world.carry()
    there = carried(stack)
    world.lose()

    said = runbooks.typed(stack, runbooks.blocks("lost-host.md"), KEYS=str(world.keys))

    assert f"stack {stack.name} is back, as cluster 2" in said
    assert "healthy" in said
    assert "the local archive takes nothing" not in said
    assert world.words() == ["before", "at the time", "carried"]
    assert stack.plan() == []
    # since clients were let in, the new host is what was live; before, it was the lost one
    assert world.carry()[:8] == "00000002"
    let_in = stack.container("pooler").attrs["State"]["StartedAt"]
    for at, timeline in ((moment.isoformat(), 1), (let_in[:26] + "Z", 2)):
        plan = ("restore", "plan", "--to", at, "--repository", "offsite", "--json")
        assert json.loads(world.pgstack(*plan))["timeline"] == timeline
    assert there <= carried(stack)
    world.pgstack("backup", "verify")


def test_the_rebuilt_stack_goes_back_to_any_moment_by_the_off_site_repository_and_moves_its_clients_there(
    world: World,
) -> None:
    since = world.say("since")
    world.say("regretted")

    to = ("--to", since.isoformat(), "--repository", "offsite")
    assert "generation 3 is live" in world.pgstack("restore", "run", *to, "--swap", "--yes")

    assert world.words() == ["before", "at the time", "carried", "since"]
    listed = [line.split()[:3] for line in world.pgstack("restore", "list").splitlines()[2:]]
    assert [it[0] for it in listed] == ["2", "3"]
    assert listed[1][1:] == ["live", "offsite"]
    world.say("later")
    assert world.carry()[:8] == "00000003"
    world.pgstack("backup", "verify")


def test_a_rebuilding_that_was_killed_goes_on_by_the_same_command(world: World) -> None:
    stack = world.stack
    world.lose()
    kept = json.loads(world.keys.read_text())
    world.keys.write_text(json.dumps({**kept, "offsite": {**kept["offsite"], "keepFull": 3}}))
    asked = stack.pgstack("restore", "bare", str(world.keys), check=False)
    assert "nobody is at a terminal" in asked.stderr
    assert asked.stdout.startswith("window")
    assert not stack.config_file.exists()

    command = ["python3", "-m", "ops.main", "restore", "bare", str(world.keys), "--yes"]
    process = subprocess.Popen(
        command, cwd=stack.home, env=stack.env, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    reached = next((line for line in process.stdout if re.search(r"generation-2-filled creating", line)), None)
    os.killpg(process.pid, signal.SIGKILL)
    assert reached, process.stdout.read()
    process.wait(timeout=60)

    said = stack.pgstack("restore", "bare", str(world.keys), "--yes").stdout

    assert f"going on with stack {stack.name}" in said
    assert world.words() == ["before", "at the time", "carried", "since", "later"]
    assert "repo1-retention-full=3" in stack.execute("backup", "cat", "/etc/pgstack/offsite.conf")
    assert world.carry()[:8] > "00000003"
    assert stack.plan() == []
    assert "not lost here" in stack.pgstack("restore", "bare", str(world.keys), "--yes", check=False).stderr
