"""What a container of a stack may do, and that no edit makes a preview replace or delete what holds data."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.deployment import ROLES, Stack

_NO_CAPABILITY = "0000000000000000"


@pytest.fixture(params=ROLES)
def inspected(request: pytest.FixtureRequest, stack: Stack) -> dict[str, Any]:
    """What `docker inspect` says of each container."""
    attributes: dict[str, Any] = stack.container(request.param).attrs
    return attributes


def test_a_container_is_not_root_and_can_change_nothing_but_its_volumes(inspected: dict[str, Any]) -> None:
    host = inspected["HostConfig"]
    assert inspected["Config"]["User"] == "999:999"
    assert host["Privileged"] is False
    assert host["ReadonlyRootfs"] is True
    assert (host["CapAdd"], host["CapDrop"]) == (None, ["ALL"])
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert {mount["Type"] for mount in inspected["Mounts"]} == {"volume"}
    assert not host["Devices"]
    assert (host["PidMode"], host["UsernsMode"]) == ("", "")


def test_a_container_s_log_is_bounded_and_it_is_given_time_to_stop(inspected: dict[str, Any]) -> None:
    host = inspected["HostConfig"]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    wanted = {
        "postgres": ("SIGINT", 180), "pooler": ("SIGINT", 30), "backup": ("SIGTERM", 60), "drills": ("SIGTERM", 30),
    }  # fmt: skip
    role = inspected["Config"]["Labels"]["pgstack.role"]
    assert (inspected["Config"]["StopSignal"], inspected["Config"]["StopTimeout"]) == wanted[role]
    assert inspected["Config"]["Healthcheck"]["Test"] == ["CMD", "/usr/local/bin/healthy"]


def test_the_server_has_the_memory_that_was_set_and_no_swap(stack: Stack) -> None:
    host = stack.container("postgres").attrs["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 1024**3
    assert stack.admin_sql("SHOW shared_buffers") == "256MB"


@pytest.mark.parametrize("role", ROLES)
def test_no_process_is_root_or_has_a_capability_or_can_get_one(stack: Stack, role: str) -> None:
    # a process may end between its name being listed and its file being read
    read = "cat /proc/[0-9]*/status 2>/dev/null | grep -E '^(Uid|CapEff|CapPrm|CapBnd|NoNewPrivs):'"
    fields = stack.execute(role, "sh", "-c", read)
    seen = {(name, *values) for name, *values in (line.split() for line in fields.splitlines())}
    assert seen == {
        ("Uid:", "999", "999", "999", "999"),
        ("CapEff:", _NO_CAPABILITY),
        ("CapPrm:", _NO_CAPABILITY),
        ("CapBnd:", _NO_CAPABILITY),
        ("NoNewPrivs:", "1"),
    }


@pytest.mark.parametrize("role", ROLES)
def test_nothing_can_be_written_outside_the_volumes_and_tmp(stack: Stack, role: str) -> None:
    refused = stack.container(role).exec_run(["sh", "-c", "touch /usr/local/bin/x || touch /etc/pgstack/x"])
    assert refused.exit_code != 0
    assert isinstance(refused.output, bytes)
    assert refused.output.count(b"Read-only file system") == 2


def test_two_ports_are_published_and_on_the_loopback_address_only(stack: Stack) -> None:
    bound = {
        role: [
            (internal, binding["HostIp"])
            for internal, bindings in stack.container(role).attrs["NetworkSettings"]["Ports"].items()
            for binding in bindings or []
        ]
        for role in ROLES
    }
    published = {"postgres": [("5432/tcp", "127.0.0.1")], "pooler": [("6432/tcp", "127.0.0.1")]}
    assert bound == {"backup": [], "drills": [], **published}


def test_another_address_of_the_host_answers_on_neither_port(stack: Stack) -> None:
    network = stack.engine.networks.get(stack.outputs["network"])
    other = network.attrs["IPAM"]["Config"][0]["Gateway"]  # the host's own address on the stack's bridge
    for role, internal in (("postgres", "5432/tcp"), ("pooler", "6432/tcp")):
        port = int(stack.container(role).attrs["NetworkSettings"]["Ports"][internal][0]["HostPort"])
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((other, port), timeout=5)


def setting(**settings: str) -> Callable[[Stack, Path], list[dict[str, Any]]]:
    def edit(stack: Stack, _: Path) -> list[dict[str, Any]]:
        with stack.configured(**settings):
            return stack.plan()

    return edit


def file(name: str, old: str, new: str) -> Callable[[Stack, Path], list[dict[str, Any]]]:
    def edit(stack: Stack, home: Path) -> list[dict[str, Any]]:
        clone = stack.clone(home)
        text = (clone.home / name).read_text()
        assert old in text
        (clone.home / name).write_text(text.replace(old, new))
        return clone.plan()

    return edit


EDITS = {
    "memory and serverConnections": setting(memory="768MB", serverConnections="30"),
    "slowQuery and keepFull": setting(slowQuery="501", keepFull="3"),
    "address": setting(address="0.0.0.0"),  # noqa: S104 - only a preview
    "ports": setting(pooledPort="26432", directPort="25432"),
    "environment and seeds": setting(environment="production", seeds='["base"]'),
    "apps": setting(apps='["maps"]'),
    "a label": file("infra/selfhosted/stack.py", "LABEL_ROLE: role}", 'LABEL_ROLE: role, "pgstack.team": "divers"}'),
    "the label's name": file("infra/selfhosted/stack.py", '"pgstack.role"', '"pgstack.part"'),
    "the images": file("docker/postgres/healthy", "set -euo pipefail", "set -euo pipefail # edited"),
    "the project's description": file("Pulumi.yaml", "A team's whole Postgres", "All of a team's Postgres"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_no_edit_makes_a_preview_replace_or_delete_a_volume(stack: Stack, tmp_path: Path, edit: str) -> None:
    plan = EDITS[edit](stack, tmp_path / "clone")
    assert plan or edit == "the project's description", "the edit changed nothing, so it proves nothing"
    touched = {step["urn"].split("::")[-1]: step["op"] for step in plan if "docker:index/volume:Volume" in step["urn"]}
    assert touched == {}
