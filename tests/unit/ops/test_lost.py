"""What `pgstack keys export` saved, as `pgstack restore bare` takes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from ops.errors import OpsError, UnknownError
from ops.pulumi import Pulumi
from ops.restoring.lost import Saved, put_passphrase

STORE = {"type": "s3", "endpoint": "s3.example.org", "bucket": "b", "region": "r", "key": "k", "secret": "s"}
_SELF = "urn:pulumi:blue::pgstack::pgstack:selfhosted:SelfHosted"


def resource(kind: str, urn: str, **others: Any) -> dict[str, Any]:
    return {"type": kind, "urn": f"{_SELF}{urn}", **others}


RESOURCES = [
    {"type": "pulumi:pulumi:Stack", "urn": "stack", "outputs": {"apps": ["maps"]}},
    {"type": "pulumi:providers:pulumi", "urn": "default"},
    {"type": "pulumi:providers:docker", "urn": "default_5"},
    resource("pgstack:selfhosted:SelfHosted", "::selfhosted"),
    resource("pgstack:selfhosted:Credentials", "$pgstack:selfhosted:Credentials::credentials"),
    resource("pgstack:selfhosted:Certificates", "$pgstack:selfhosted:Certificates::certificates"),
    resource("pulumi:index:Stash", "$pgstack:selfhosted:Credentials$pulumi:index:Stash::credentials-pooled-port"),
    resource("pulumi:index:Stash", "$pgstack:selfhosted:Certificates$pulumi:index:Stash::certificates-authority"),
    resource("pulumi:index:Stash", "$pulumi:index:Stash::stack-id"),
    resource("pulumi:index:Stash", "$pulumi:index:Stash::generation"),
    resource("docker:index/volume:Volume", "$docker:index/volume:Volume::storage-data"),
    resource(
        "docker:index/container:Container",
        "$docker:index/container:Container::postgres",
        inputs={"envs": ["PGSTACK_ID=6", "PGSTACK_SOURCE=packages"]},
    ),
]
FILE: dict[str, Any] = {
    "stack": "blue",
    "exported_at": "2026-11-22T06:00:00+00:00",
    "passphrase": "open",
    "repository_key": "local-key",
    "offsite_key": "offsite-key",
    "offsite": {"path": "/pgstack-blue", **STORE},
    "stack_file": "config:\n  pgstack:live: 1,2\n",
    "state": {"version": 3, "deployment": {"resources": RESOURCES, "pending_operations": [{"type": "creating"}]}},
}


def saved(folder: Path, **others: Any) -> Saved:
    path = folder / "keys.json"
    path.write_text(json.dumps({key: value for key, value in {**FILE, **others}.items() if value is not None}))
    return Saved.read(path)


def test_of_the_state_only_what_cannot_be_made_again_is_put_back(tmp_path: Path) -> None:
    deployment = saved(tmp_path).secrets()["deployment"]
    assert [it["urn"].rpartition("::")[2] for it in deployment["resources"]] == [
        *("stack", "default", "selfhosted", "credentials", "certificates"),
        *("credentials-pooled-port", "certificates-authority"),
    ]
    assert deployment["resources"][0]["outputs"] == {}
    assert "pending_operations" not in deployment


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"repository_key": None}, "is no file of `pgstack keys export`"),
        ({"state": None, "stack_file": None}, "lacks state, stack_file: an older pgstack made it"),
        ({"offsite": None}, "names no off-site repository: stack blue had none on 2026-11-22"),
        ({"offsite": {**STORE, "bucket": None}}, "the off-site repository's settings are not right: bucket"),
        ({"state": {"deployment": {}}}, "lacks state"),
    ],
)
def test_a_file_that_lacks_something_is_refused_in_one_line(tmp_path: Path, others: dict[str, Any], says: str) -> None:
    with pytest.raises(UnknownError) as refused:
        saved(tmp_path, **others)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_state_that_was_never_deployed_has_no_keys(tmp_path: Path) -> None:
    with pytest.raises(UnknownError, match="its state holds no keys"):
        saved(tmp_path, state={"deployment": {"resources": RESOURCES[:4]}}).secrets()


@pytest.mark.parametrize("text", ["", "[]", "no json", '"a word"'])
def test_any_other_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(UnknownError, match="is no file of `pgstack keys export`"):
        Saved.read(tmp_path / "keys.json")
    with pytest.raises(UnknownError, match="can't be read"):
        Saved.read(tmp_path / "nowhere.json")


def test_its_secrets_are_not_shown(tmp_path: Path) -> None:
    shown = repr(saved(tmp_path))
    assert [it for it in ("'open'", "offsite-key", "local-key") if it in shown] == []


def test_binaries_from_elsewhere_are_refused_because_their_icu_differs(tmp_path: Path) -> None:
    it = saved(tmp_path)
    it.check_source("packages")
    with pytest.raises(OpsError, match="PGSTACK_POSTGRES_SOURCE=packages"):
        it.check_source("vendor")


def test_a_passphrase_that_opens_other_stacks_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "passphrase"
    path.write_text("another")
    pulumi = Pulumi({"PULUMI_CONFIG_PASSPHRASE_FILE": str(path)})
    monkeypatch.setattr(Pulumi, "stacks", lambda _: ["green"])
    with pytest.raises(OpsError, match=r"and green need it: .* PGSTACK_STATE"):
        put_passphrase(saved(tmp_path), pulumi)
    assert path.read_text() == "another"

    monkeypatch.setattr(Pulumi, "stacks", lambda _: [])
    put_passphrase(saved(tmp_path), pulumi)
    assert path.read_text() == "open"
    assert path.stat().st_mode & 0o777 == 0o600
