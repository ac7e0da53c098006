"""What people get wrong: each with one clear line, a non-zero exit, nothing created and nothing lost."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tenacity

from tests.deployment import ROLES, NewStack, Stack
from tests.stack.diagnostics import errors
from tests.stack.second_daemon import StackOnSecondDaemon, missing, second_daemon


@pytest.fixture(scope="module")
def started(new_stack: NewStack) -> Stack:
    """A stack that was never deployed, and never is."""
    return new_stack()


@pytest.fixture
def fresh(started: Stack) -> Iterator[Stack]:
    """The same; a test that gets anything of it created fails."""
    assert owned(started) == []
    yield started
    assert owned(started) == []


BAD_SETTINGS = {
    "an unknown target": ({"target": "mars"}, ['pgstack:target is "mars": give docker (']),
    "an unknown application": ({"apps": '["maps", "nope"]'}, ["pgstack:apps is", "of bots, dovvybuddy, maps"]),
    "memory that is no size": ({"memory": "lots"}, ['pgstack:memory is "lots": give a size such as 512MB or 4GB']),
    "a misspelt key": ({"memroy": "4GB"}, ["pgstack:memroy is no setting: did you mean pgstack:memory?"]),
    "a port that is no number": ({"pooledPort": "abc"}, ['pgstack:pooledPort is "abc": give a port from 1 to 65535']),
    "an address of another host": (
        {"address": "203.0.113.7"},
        ["pgstack:address is 203.0.113.7, which this host can't bind (Cannot assign requested address)", "127.0.0.1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "words"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_a_bad_setting_is_named_with_its_value_and_what_is_allowed(
    fresh: Stack, settings: dict[str, str], words: list[str]
) -> None:
    with fresh.configured(**settings):
        (line,) = refusal(fresh.up(check=False))
    for word in words:
        assert word in line


def test_all_bad_settings_are_reported_at_once_whatever_their_types(fresh: Stack) -> None:
    with fresh.configured(memory="lots", directPort="abc", serverConnections="51", target="mars"):
        lines = refusal(fresh.up(check=False))
    assert [line.split()[0] for line in lines] == [
        "pgstack:target", "pgstack:memory", "pgstack:directPort", "pgstack:serverConnections"
    ]  # fmt: skip


def test_an_address_of_another_host_does_not_take_a_running_stack_down(stack: Stack) -> None:
    before = {role: stack.container(role).id for role in ROLES}
    with stack.configured(address="203.0.113.7"):
        (line,) = refusal(stack.up(check=False))
    assert line.startswith("pgstack:address is 203.0.113.7, which this host can't bind")
    assert {role: stack.container(role).id for role in ROLES} == before
    assert [role for role in ROLES if not stack.serves(role)] == []


@pytest.mark.parametrize("key", ["pooledPort", "directPort"])
def test_a_port_that_is_taken_is_named_before_anything_is_created(fresh: Stack, key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with fresh.configured(**{key: str(port)}):
            (line,) = refusal(fresh.up(check=False))
    assert line.startswith(f"port {port} on 127.0.0.1 can't be bound (Address already in use): stop what listens there")
    assert f"pulumi config set pgstack:{key} PORT" in line


def test_without_a_docker_daemon_the_address_and_the_way_out_are_named(fresh: Stack, tmp_path: Path) -> None:
    nowhere = f"unix://{tmp_path}/docker.sock"
    stack = replace(fresh, env=fresh.env | {"DOCKER_HOST": nowhere})
    (line,) = refusal(stack.up(check=False))
    assert line == (
        f"no Docker Engine answers at {nowhere} (No such file or directory): start it (`make tools` does), "
        "or point DOCKER_HOST at one"
    )
    make = stack.run("python3", "-m", "tools", "install", check=False)
    assert make.returncode != 0
    assert f"no Docker engine answers at {nowhere}" in make.stderr.strip().splitlines()[-1]


def test_without_a_docker_daemon_a_deployed_stack_keeps_its_state(stack: Stack, tmp_path: Path) -> None:
    # the refresh comes before the program, resource by resource, so here it takes more than one line to say it
    before = stack.pulumi("stack", "export").stdout
    lines = errors(replace(stack, env=stack.env | {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}).up(check=False))
    assert any("Is the docker daemon running?" in line for line in lines)
    assert urns(stack.pulumi("stack", "export").stdout) == urns(before)
    assert stack.plan() == []


def test_in_a_shell_that_was_not_prepared_the_line_that_prepares_it_is_named(fresh: Stack) -> None:
    stack = replace(fresh, env={name: value for name, value in fresh.env.items() if name != "PGSTACK_TOOLS"})
    (line,) = refusal(stack.up(check=False))
    assert line.startswith('PGSTACK_TOOLS is "", which has no manifest.json: run `make tools`')
    assert 'eval "$(python3 -m tools shell)"' in line


def test_a_wrong_passphrase_is_refused_and_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("wrong")
    stranger = replace(stack, env=stack.env | {"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "passphrase")})
    (line,) = refusal(stranger.up(check=False))
    assert "incorrect passphrase" in line  # Pulumi's own words: the program is not even started
    status = stranger.pgstack("status", "--stack", stack.name, check=False)
    assert status.returncode != 0
    assert status.stderr == (
        f"pgstack: the passphrase does not open stack {stack.name}: PULUMI_CONFIG_PASSPHRASE or the file that "
        f"PULUMI_CONFIG_PASSPHRASE_FILE names ({tmp_path}/passphrase) is not the one it was made with\n"
    )
    assert stack.plan() == []


def test_a_disk_that_is_nearly_full_is_refused_before_anything_is_created(fresh: Stack) -> None:
    if lacking := missing():
        pytest.skip(f"not run: a deployment onto a disk that is nearly full ({lacking})")
    with second_daemon(size="64m") as daemon:
        there = StackOnSecondDaemon.of(fresh, daemon)
        (line,) = refusal(there.up(check=False))
        assert "MB are free under" in line
        assert str(daemon.data) in line
        assert "2048 MB are needed: free some" in line
        assert owned(there) == []


def test_an_unknown_template_is_answered_with_those_there_are_and_no_stack_is_started(fresh: Stack) -> None:
    name = f"{fresh.name}-x"
    done = fresh.run("python3", "-m", "tools", "stack", name, "--template", "nope", check=False)
    assert done.returncode != 0
    assert (done.stdout + done.stderr).strip() == (
        f'pgstack: error: there is no template "nope" for the stack {name}: '
        "give one with TEMPLATE=, of dev, preview, production"
    )
    assert name not in fresh.run("pulumi", "stack", "ls").stdout


def test_the_second_of_two_deployments_at_once_is_refused_and_the_first_goes_on(stack: Stack) -> None:
    with deploying(stack) as first:
        second = stack.up(check=False)
        prepared = stack.run("python3", "-m", "tools", "stack", stack.name, "--template", "dev", check=False)
    assert first.returncode == 0
    (line,) = refusal(second)
    assert "the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end" in line
    assert f"(pid {first.pid})" in second.stderr
    assert prepared.returncode != 0
    assert f"process {first.pid} of" in prepared.stderr
    assert "wait for it" in prepared.stderr
    assert stack.plan() == []


@contextmanager
def deploying(stack: Stack) -> Iterator[subprocess.Popen[bytes]]:
    """A `pulumi up` that holds the stack's lock, alive, while the block runs, and goes on after it."""
    process = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack.name],
        cwd=stack.home, env=stack.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    locks = Path(stack.env["PGSTACK_STATE"]) / ".pulumi/locks/organization/pgstack" / stack.name
    for attempt in tenacity.Retrying(stop=tenacity.stop_after_delay(30), wait=tenacity.wait_fixed(0.02), reraise=True):
        with attempt:
            assert any(path.suffix == ".json" for path in locks.iterdir())
    process.send_signal(signal.SIGSTOP)  # it would be done before others have begun
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.wait(timeout=120)


def refusal(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of the one error that a refused command ends with."""
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "unhandled" not in said.lower()
    last = done.stdout.partition("\nDiagnostics:\n")[2] or done.stderr
    assert [line.split()[0] for line in last.splitlines() if "error:" in line] == ["error:"], said
    return errors(done)


def owned(stack: Stack) -> list[Any]:
    """What the Docker host has of the stack."""
    label: dict[str, Any] = {"label": f"pgstack.stack={stack.prefix}"}
    engine = stack.engine
    return [
        *engine.containers.list(all=True, filters=label),
        *engine.networks.list(filters=label),
        *engine.volumes.list(filters=label),
    ]


def urns(state: str) -> list[str]:
    """The resources of an exported state."""
    return [line.strip() for line in state.splitlines() if line.strip().startswith('"urn"')]
