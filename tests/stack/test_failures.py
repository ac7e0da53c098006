"""What breaks on the Docker host, and what the next plain `pulumi up` makes of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.deployment import ROLES, Stack
from tests.stack.diagnostics import errors
from tests.stack.writer import writing

SOON = 30  # seconds; the provider by itself would wait for two minutes


@pytest.mark.fault(
    "one container killed, under load",
    seen="failed queries; `pgstack status` names the container",
    outcome="survived: `pulumi up` or `pgstack start` brings it back, every acknowledged row is there",
)
@pytest.mark.parametrize("role", ROLES)
def test_a_killed_container_is_back_after_a_plain_up_and_no_acknowledged_row_is_lost(stack: Stack, role: str) -> None:
    with writing(stack) as writer:
        writer.write_some()
        stack.container(role).kill()
        stack.up()
        writer.write_some()
    assert [role for role in ROLES if not stack.serves(role)] == []
    assert stack.plan() == []


@pytest.mark.fault(
    "containers, network and configuration removed",
    seen="failed queries; `pgstack status` names what is gone",
    outcome="survived: `pulumi up` makes all of it again, every row is there",
)
def test_removed_containers_networks_and_files_come_back_and_every_row_is_there(stack: Stack) -> None:
    before = stack.admin_sql("TABLE dovvybuddy.destinations", "dovvybuddy")
    with writing(stack) as writer:
        writer.write_some()
        for role in ROLES:
            stack.container(role).remove(force=True)
        stack.engine.networks.get(stack.prefix).remove()
        for role in ROLES:
            stack.engine.volumes.get(f"{stack.prefix}-{role}-files").remove()
        stack.engine.volumes.get(f"{stack.prefix}-socket").remove()
        # one at a time, as some do for Docker over ssh: hooks then share few threads with everything else
        stack.pulumi("up", "--yes", "--skip-preview", "--parallel", "1")
        writer.write_some()
    assert stack.admin_sql("TABLE dovvybuddy.destinations", "dovvybuddy") == before
    stack.execute("backup", "pgbackrest", "--stanza=main", "check")
    assert stack.plan() == []


def test_a_container_that_does_not_serve_fails_the_next_up_although_nothing_is_to_be_changed(stack: Stack) -> None:
    pooler = stack.container("pooler")
    pooler.pause()
    try:
        (line,) = errors(stack.up(check=False))
    finally:
        pooler.unpause()
    assert f"container {stack.prefix}-pooler is paused" in line
    assert stack.up().returncode == 0
    assert stack.plan() == []


@pytest.mark.fault(
    "the data volume emptied",
    seen="the server refuses to start: `data volume ... is empty, but stack ... has cluster`",
    outcome="detected: nothing is initialised over it",
)
def test_an_emptied_data_volume_is_refused_with_the_reason_and_never_initialised(stack: Stack) -> None:
    with set_aside(stack, "data"):
        began = time.monotonic()
        (line,) = errors(stack.up(check=False))
        assert time.monotonic() - began < SOON
        assert f"data volume {stack.prefix}-data is empty" in line
        assert "pgstack reset begins anew; nothing was initialised" in line
        assert inside(stack, "data", "find /volume -name PG_VERSION") == ""
    assert stack.up().returncode == 0
    assert stack.admin_sql("SELECT count(*) FROM dovvybuddy.destinations", "dovvybuddy") == "1"


@pytest.mark.fault(
    "the data volume of another cluster",
    seen="the server refuses to start: `data volume ... holds cluster`",
    outcome="detected: nothing is touched",
)
def test_another_clusters_data_is_refused_with_the_reason_and_left_alone(stack: Stack) -> None:
    with set_aside(stack, "data"):
        inside(
            stack, "data", "mkdir /volume/16 && initdb --pgdata=/volume/16/main --auth=reject >/dev/null", user="999"
        )
        (line,) = errors(stack.up(check=False))
        assert f"data volume {stack.prefix}-data holds cluster" in line
        assert "mount its data volume or restore a backup" in line
        assert "shut down" in inside(stack, "data", "pg_controldata /volume/16/main")
    assert stack.up().returncode == 0


def test_another_stacks_volume_is_refused_with_the_reason(stack: Stack) -> None:
    theirs = "11111111-2222-3333-4444-555555555555"
    with set_aside(stack, "identity"):
        inside(
            stack,
            "identity",
            f"printf 'stack_id={theirs}\\nsystem_identifier=1\\nsource=packages\\n' > /volume/cluster",
        )
        (line,) = errors(stack.up(check=False))
        assert f'identity volume {stack.prefix}-identity belongs to stack "{theirs}"' in line
        assert "mount this stack's own volumes" in line
    assert stack.up().returncode == 0
    assert stack.plan() == []


def inside(stack: Stack, role: str, script: str, user: str = "0") -> str:
    """What a shell prints that has the volume `role` at /volume and the one that keeps its files at /aside."""
    image = stack.container("backup").attrs["Config"]["Image"]
    volumes = {
        f"{stack.prefix}-{role}": {"bind": "/volume", "mode": "rw"},
        f"{stack.prefix}-aside": {"bind": "/aside", "mode": "rw"},
    }
    said: bytes = stack.engine.containers.run(image, ["bash", "-c", script], volumes=volumes, user=user, remove=True)
    return said.decode().strip()


@contextmanager
def set_aside(stack: Stack, role: str) -> Iterator[None]:
    """The server is stopped and the volume empty; afterwards what it held is back, and the server is not running."""
    label = {"pgstack.stack": stack.prefix}  # so that it goes with the stack, whatever happens
    aside = stack.engine.volumes.create(f"{stack.prefix}-aside", labels=label)
    empty = "find /volume -mindepth 1 -delete"
    stack.container("postgres").stop()
    inside(stack, role, f"cp -a /volume/. /aside/ && {empty}")
    try:
        yield
    finally:
        stack.container("postgres").stop()
        inside(stack, role, f"{empty} && cp -a /aside/. /volume/")
        aside.remove()
