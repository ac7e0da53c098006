"""What a Pulumi user expects: nothing changes twice, the outputs are a contract, and stacks live side by side."""

import json
import socket
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.deployment import NewStack, Stack
from tests.stack.repository import info

APPS = ("bots", "dovvybuddy", "maps", "panamia")
URLS = {f"{app}_{way}_url" for app in APPS for way in ("pooled", "readonly", "direct")}
_ROLES = {
    *("data", "identity", "repository", "evidence", "socket", "drill"),
    *("postgres-files", "pooler-files", "backup-files", "drills-files"),
}
_LASTING = {"data", "identity", "repository", "evidence"}


@pytest.fixture(scope="module")
def lasting(new_stack: NewStack) -> Stack:
    """A second stack beside the shared one, from the production template, on less memory than that asks for."""
    it = new_stack("production")
    it.configure("memory", "512MB")
    it.run("pulumi", "up", "-s", it.name, "--yes", "--skip-preview")
    return it


@pytest.fixture
def bare(stack: Stack) -> Iterator[Stack]:
    """A stack made by `pulumi stack init` alone: no template, no setting, nothing deployed."""
    it = replace(stack, name=f"test-{uuid.uuid4().hex[:6]}", _outputs=None)
    it.run("pulumi", "stack", "init", it.name, "--non-interactive")
    yield it
    it.pulumi("stack", "rm", "--yes")


def volumes(stack: Stack) -> dict[str, str]:
    """When each volume of the stack was created, by role."""
    found = stack.engine.volumes.list(filters={"label": f"pgstack.stack={stack.prefix}"})
    return {volume.attrs["Labels"]["pgstack.role"]: volume.attrs["CreatedAt"] for volume in found}


def owned(stack: Stack) -> dict[str, list[str]]:
    """Everything on the host whose label or name says that it belongs to the stack."""
    engine, prefix = stack.engine, stack.prefix
    names = {
        "containers": [str(it.name) for it in engine.containers.list(all=True)],
        "networks": [str(it.name) for it in engine.networks.list()],
        "volumes": [str(it.name) for it in engine.volumes.list()],
    }
    return {kind: sorted(it for it in found if f"{it}-".startswith(f"{prefix}-")) for kind, found in names.items()}


def users_of(stack: Stack) -> Any:
    with stack.connect("maps_pooled_url") as connection:
        return connection.execute("SELECT count(*) FROM users").fetchone()


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    changes = json.loads(stack.pulumi("stack", "history", "--json").stdout)[0]["resourceChanges"]
    assert set(changes) == {"same"}


def test_a_preview_and_a_refresh_after_up_show_no_change(stack: Stack) -> None:
    assert stack.plan() == []
    stack.pulumi("preview", "--expect-no-changes")
    stack.pulumi("refresh", "--preview-only", "--expect-no-changes")


def test_the_checkout_stays_as_git_knows_it(stack: Stack) -> None:
    assert stack.run("git", "status", "--porcelain").stdout == ""


def test_the_outputs_are_the_contract(stack: Stack) -> None:
    shown = json.loads(stack.pulumi("stack", "output", "--json").stdout)
    assert {name for name, value in shown.items() if value == "[secret]"} == URLS
    assert "BEGIN CERTIFICATE" in shown["ca_certificate"]
    assert "BEGIN PUBLIC KEY" in shown["drills_public_key"]
    pem = {"ca_certificate", "drills_public_key"}
    assert {name: value for name, value in shown.items() if name not in {*URLS, *pem}} == {
        "target": "docker",
        "environment": "dev",
        "apps": list(APPS),
        "network": stack.prefix,
        "postgres_container": f"{stack.prefix}-postgres",
        "pooler_container": f"{stack.prefix}-pooler",
        "backup_container": f"{stack.prefix}-backup",
        "drills_container": f"{stack.prefix}-drills",
        "data_volume": f"{stack.prefix}-data",
        "backup_volume": f"{stack.prefix}-repository",
    }


def test_a_url_names_a_login_a_place_and_a_database_and_asks_for_verify_full(stack: Stack) -> None:
    ports = set()
    for app in APPS:
        for way, login, database in (
            ("pooled", f"{app}_app_1", app),
            ("readonly", f"{app}_readonly_1", f"{app}_readonly"),
            ("direct", f"{app}_owner_1", app),
        ):
            url = urlsplit(stack.outputs[f"{app}_{way}_url"])
            assert (url.scheme, url.username, url.hostname, url.path) == (
                "postgresql", login, "127.0.0.1", f"/{database}"
            )  # fmt: skip
            assert parse_qsl(url.query) == [("sslmode", "verify-full")]
            ports.add(url.port)
    assert len(ports) == 2


def test_a_stack_without_settings_is_a_production_stack_whose_volumes_are_protected(bare: Stack) -> None:
    steps = {step["newState"]["urn"].split("::")[-1]: step["newState"] for step in bare.plan()}
    assert {role for role in _ROLES if steps.get(f"storage-{role}", {}).get("protect")} == _LASTING
    assert owned(bare) == {"containers": [], "networks": [], "volumes": []}


def test_two_stacks_of_one_checkout_share_nothing(stack: Stack, lasting: Stack) -> None:
    mine, theirs = stack.outputs, lasting.outputs
    assert theirs["environment"] == "production"
    assert {urlsplit(mine[url]).port for url in URLS}.isdisjoint(urlsplit(theirs[url]).port for url in URLS)
    assert mine["ca_certificate"] != theirs["ca_certificate"]
    assert users_of(stack) == (1,)  # dev has a demo user
    assert users_of(lasting) == (0,)
    assert set(volumes(stack)) == set(volumes(lasting)) == _ROLES
    for it in (stack, lasting):
        it.pulumi("preview", "--expect-no-changes")


def test_containers_of_one_stack_do_not_reach_those_of_another(stack: Stack, lasting: Stack) -> None:
    server = lasting.container("postgres")
    (network,) = server.attrs["NetworkSettings"]["Networks"].values()
    probe = ["pg_isready", "--timeout=2", f"--host={network['IPAddress']}"]
    assert server.exec_run(probe).exit_code == 0
    assert stack.container("postgres").exec_run(probe).exit_code == 2
    named = stack.container("postgres").exec_run(["getent", "hosts", f"{lasting.prefix}-postgres"])
    assert named.exit_code == 2


def test_a_destroy_of_a_lasting_stack_is_refused_in_its_preview(lasting: Stack) -> None:
    before = owned(lasting)
    refused = lasting.pulumi("destroy", "--preview-only", check=False)
    assert refused.returncode != 0
    assert "protect" in refused.stdout + refused.stderr
    assert owned(lasting) == before


def test_a_destroy_without_preview_spares_the_data_and_what_it_is_worth_nothing_without(lasting: Stack) -> None:
    with lasting.connect("maps_pooled_url") as connection:
        connection.execute("INSERT INTO users (id, email, name) VALUES ('kept', 'k@example.org', 'K')")
    before, ca = {role: volumes(lasting)[role] for role in _LASTING}, lasting.outputs["ca_certificate"]
    refused = lasting.pulumi("destroy", "--yes", "--skip-preview", check=False)
    assert refused.returncode != 0
    assert {role: created for role, created in volumes(lasting).items() if role in _LASTING} == before
    lasting.up()
    assert users_of(lasting) == (1,)
    assert lasting.outputs["ca_certificate"] == ca
    assert len(info(lasting)["backup"]) == 1, "the repository of before, with the key of before"


def test_a_stack_declared_disposable_is_destroyed_whole_and_nothing_of_the_other(stack: Stack, lasting: Stack) -> None:
    before, written = owned(stack), volumes(stack)
    lasting.configure("environment", "preview")
    lasting.up()
    assert users_of(lasting) == (1,)  # declaring it lost nothing yet
    ports = {int(urlsplit(lasting.outputs[url]).port or 0) for url in URLS}
    lasting.run("pulumi", "destroy", "-s", lasting.name, "--yes", "--skip-preview")
    assert owned(lasting) == {"containers": [], "networks": [], "volumes": []}
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=2)
    assert (owned(stack), volumes(stack)) == (before, written)
    assert users_of(stack) == (1,)
