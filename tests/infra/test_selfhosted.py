"""What target docker declares, read off Pulumi's own registrations."""

import json

import pytest

from tests.infra.conftest import Declare

ROLES = {"postgres", "pooler", "backup", "drills"}
LASTING = {"data", "identity", "repository", "evidence"}


def test_the_stack_is_four_containers_on_one_network_named_after_it(declare: Declare) -> None:
    declared = declare(stack="blue")
    assert set(declared.of("container")) == {f"pgstack-blue-{role}" for role in ROLES}
    assert set(declared.of("network")) == {"pgstack-blue"}
    for name, container in declared.of("container").items():
        labels = {label["label"]: label["value"] for label in container["labels"]}
        assert labels["pgstack.stack"] == "pgstack-blue"
        assert labels["pgstack.role"] == name.removeprefix("pgstack-blue-")


def test_every_container_is_unprivileged_bounded_and_health_checked(declare: Declare) -> None:
    for container in declare().of("container").values():
        assert container["user"] == "999:999"
        assert container["readOnly"] is True
        assert container["capabilities"] == {"drops": ["ALL"]}
        assert container["securityOpts"] == ["no-new-privileges:true"]
        assert container["logOpts"] == {"max-size": "10m", "max-file": "5"}
        assert container["restart"] == "unless-stopped"
        assert container["stopTimeout"] == container["destroyGraceSeconds"] > 0
        assert container["healthcheck"]["tests"] == ["CMD", "/usr/local/bin/healthy"]


def test_a_restored_cluster_is_one_more_container_with_volumes_of_its_own_that_nobody_protects(
    declare: Declare,
) -> None:
    origin = {"backup": "20261121-231620F", "lsn": "0/48B88F8", "timeline": 1}
    declared = declare(environment="production", generations=json.dumps({"2": origin}))

    assert set(declared.of("container")) == {f"pgstack-test-{role}" for role in (*ROLES, "postgres-2")}
    container = declared.of("container")["pgstack-test-postgres-2"]
    mounted = {mount["source"] for mount in container["mounts"]}
    assert mounted == {f"pgstack-test-{it}" for it in ("data-2", "identity-2", "socket-2", "postgres-2-files")}
    assert [port["ip"] for port in container["ports"]] == ["127.0.0.1"]
    assert (container["stopSignal"], container["stopTimeout"]) == ("SIGINT", 180)
    protected = {it.inputs["name"] for it in declared.everything if it.type.startswith("docker:") and it.protect}
    assert protected == {f"pgstack-test-{it}" for it in LASTING}


def test_postgres_is_stopped_by_sigint_with_a_long_grace(declare: Declare) -> None:
    postgres = declare().of("container")["pgstack-test-postgres"]
    assert (postgres["stopSignal"], postgres["stopTimeout"]) == ("SIGINT", 180)


def test_only_two_ports_are_published_and_on_the_configured_address(declare: Declare) -> None:
    published = {
        name: [(port["ip"], port["external"], port["internal"]) for port in container["ports"]]
        for name, container in declare(address="127.0.0.2").of("container").items()
    }
    assert published == {
        "pgstack-test-postgres": [("127.0.0.2", 5432, 5432)],
        "pgstack-test-pooler": [("127.0.0.2", 6432, 6432)],
        "pgstack-test-backup": [],
        "pgstack-test-drills": [],
    }


def test_no_secret_is_in_a_container_s_environment_label_or_command(declare: Declare) -> None:
    declared = declare()
    secrets = [
        text
        for it in declared.everything
        if it.type == "pulumi:index:Stash" and it.name.startswith(("credentials", "certificates"))
        for text in _texts(it.inputs["input"])
        if "CERTIFICATE" not in text and not text.isdigit()
    ]
    assert len(secrets) >= 7  # six logins and the repository's key, beside the private keys
    shown = json.dumps([declared.of(kind) for kind in ("container", "volume", "network")], default=str)
    assert [secret for secret in secrets if secret in shown] == []


def test_an_off_site_store_s_secret_is_in_no_resource_but_the_digest_of_the_files(declare: Declare) -> None:
    given = {"type": "s3", "endpoint": "s3.example.org", "bucket": "b", "region": "r", "key": "k", "secret": "s3cr3t-s"}
    declared = declare(offsite=json.dumps(given))
    assert "stanza-offsite" in {it.name for it in declared.everything}
    assert "s3cr3t-s" not in json.dumps([it.inputs for it in declared.everything], default=str)
    assert "stanza-offsite" not in {it.name for it in declare().everything}


@pytest.mark.parametrize(
    ("environment", "kept"), [("dev", False), ("preview", False), ("staging", True), ("production", True)]
)
def test_only_dev_and_preview_may_lose_their_volumes(declare: Declare, environment: str, kept: bool) -> None:
    declared = declare(environment=environment)
    protected = {
        it.inputs["name"].rpartition("-")[2]
        for it in declared.everything
        if it.type.startswith("docker:index/volume:") and it.protect
    }
    assert protected == (LASTING if kept else set())


@pytest.mark.parametrize(("environment", "kept"), [("dev", False), ("production", True)])
def test_a_lasting_stack_also_protects_what_its_data_is_worth_nothing_without(
    declare: Declare, environment: str, kept: bool
) -> None:
    protected = {it.name for it in declare(environment=environment).everything if it.protect and "Stash" in it.type}
    wanted = {
        "stack-id", "credentials-repository-key", "credentials-offsite-key", "certificates-authority", "drills-key",
    }  # fmt: skip
    assert protected == (wanted if kept else set())


def test_the_keys_of_both_repositories_stay_in_the_state_until_they_are_retired(declare: Declare) -> None:
    given = json.dumps(
        {"type": "s3", "endpoint": "s3.example.org", "bucket": "b", "region": "r", "key": "k", "secret": "s"}
    )
    names = {
        keys: {it.name for it in declare(repositoryKeys=keys, offsite=given).everything if "-key" in it.name}
        for keys in ("1", "2,1", "1,2", "2")
    }
    first = {"credentials-repository-key", "credentials-offsite-key"}
    second = {"credentials-repository-key-2", "credentials-offsite-key-2"}
    others = {"repository-keys", "drills-key"}
    assert {it: found - others for it, found in names.items()} == {
        "1": first, "2,1": first | second, "1,2": first | second, "2": second,
    }  # fmt: skip


def test_the_data_volume_is_mounted_by_the_server_and_only_read_by_the_backups(declare: Declare) -> None:
    containers = declare().of("container")
    mounts = {
        role: {mount["target"]: mount.get("readOnly", False) for mount in containers[f"pgstack-test-{role}"]["mounts"]}
        for role in ROLES
    }
    assert mounts["postgres"]["/var/lib/postgresql"] is False
    assert mounts["backup"]["/var/lib/postgresql"] is True
    assert "/var/lib/postgresql" not in mounts["drills"]
    assert mounts["drills"]["/var/lib/pgbackrest"] is True
    assert all(mounts[role]["/etc/pgstack"] is True for role in ROLES)
    assert mounts["pooler"] == {"/etc/pgstack": True}


def test_a_drill_reaches_no_network_and_has_a_limit_of_memory_of_its_own(declare: Declare) -> None:
    containers = declare(memory="4GB").of("container")
    assert containers["pgstack-test-drills"]["networkMode"] == "none"
    assert containers["pgstack-test-drills"].get("networksAdvanced", []) == []
    assert containers["pgstack-test-drills"]["memory"] == containers["pgstack-test-drills"]["memorySwap"] == 512
    assert {it["networkMode"] for name, it in containers.items() if not name.endswith("-drills")} == {"bridge"}


def test_memory_is_a_limit_without_swap_and_shared_memory_holds_an_index_build(declare: Declare) -> None:
    postgres = declare(memory="2GB").of("container")["pgstack-test-postgres"]
    assert postgres["memory"] == postgres["memorySwap"] == 2048
    assert postgres["shmSize"] == 128 + 64


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    return [value] if isinstance(value, str) else []
