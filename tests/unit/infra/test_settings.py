"""The settings: what is allowed, and what a user reads about what is not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from db import apps
from infra.errors import SettingsError
from infra.selfhosted.alerts import alert_file
from infra.settings import MIB, Settings, parse

PROJECT = yaml.safe_load((Path(__file__).parents[3] / "Pulumi.yaml").read_text())
CONFIG: dict[str, Any] = PROJECT["config"]


def problems(**given: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse("pgstack", "dev", {f"pgstack:{key}": value for key, value in given.items()})
    return caught.value.problems


def test_pulumi_yaml_declares_every_setting_with_a_description_and_the_same_default() -> None:
    declared = {key.removeprefix("pgstack:"): entry for key, entry in CONFIG.items()}
    fields = {field.alias: field for field in Settings.model_fields.values() if field.alias not in {"project", "stack"}}
    assert declared.keys() == fields.keys()
    assert all(entry["description"] for entry in declared.values())
    assert parse("p", "s", {}) == parse("p", "s", {key: entry["default"] for key, entry in CONFIG.items()})


def test_every_environment_template_is_valid() -> None:
    for path in (Path(__file__).parents[3] / "environments").glob("*.yaml"):
        settings = parse("pgstack", path.stem, yaml.safe_load(path.read_text())["config"])
        assert settings.environment == path.stem


def test_nothing_set_means_production() -> None:
    assert parse("pgstack", "x", {}).environment == "production"


@pytest.mark.parametrize("name", ["a" * 41, "Blue", "pr_12", "-x", "x.y"])
def test_a_stack_s_name_makes_host_names(name: str) -> None:
    with pytest.raises(SettingsError, match="at most 40 lower-case letters, digits and hyphens"):
        parse("pgstack", name, {})


@pytest.mark.parametrize(
    "given",
    [
        '{"1": {"backup": "20261121-231620F", "lsn": "0/1", "timeline": 1}}',
        '{"2": {"backup": "latest", "lsn": "0/1", "timeline": 1}}',
        '{"2": {"backup": "20261121-231620F", "lsn": "", "timeline": 1}}',
        '{"2": {"lsn": "0/0"}}',
        "[2]",
        "{2",
    ],
)
def test_a_restored_cluster_that_names_no_backup_or_the_live_one_s_number_is_one_line(given: str) -> None:
    (line,) = problems(generations=given)

    assert line.startswith("pgstack:generations is")
    assert "leave it to `pgstack restore run` and `drop`" in line


@pytest.mark.parametrize(
    ("given", "present", "following", "old"), [("1", 1, None, None), ("2,1", 1, 2, None), ("1,2", 2, None, 1)]
)
def test_the_last_of_the_repositories_keys_is_the_present_one(
    given: str, present: int, following: int | None, old: int | None
) -> None:
    found = parse("pgstack", "x", {"pgstack:repositoryKeys": given})
    assert (found.repository_key, found.next_key, found.old_key) == (present, following, old)


@pytest.mark.parametrize("given", ["", "0", "1,1", "1,2,3", "new"])
def test_repository_keys_that_cannot_be_are_one_line(given: str) -> None:
    (line,) = problems(repositoryKeys=given)
    assert line.startswith(f'pgstack:repositoryKeys is "{given}": leave it to `pgstack keys rotate` and `retire`')


def test_embeddings_are_stored_in_one_of_three_ways() -> None:
    assert parse("pgstack", "x", {}).embeddings == "auto"
    assert problems(embeddings="json") == [
        'pgstack:embeddings is "json": give auto, vector or jsonb (stacks/Pulumi.dev.yaml)'
    ]


def test_sizes_are_powers_of_1024() -> None:
    assert parse("pgstack", "x", {"pgstack:memory": "512MB"}).memory == 512 * MIB


def test_every_bad_setting_is_reported_at_once_with_its_key_value_and_way_out() -> None:
    found = problems(memory="lots", target="mars", serverConnections="7", pooledPort="abc")
    assert len(found) == 4
    assert found[0].startswith('pgstack:target is "mars": give docker')
    assert any(
        line.startswith('pgstack:memory is "lots": give a size such as 512MB or 4GB')
        and "pulumi config set pgstack:memory 4GB" in line
        for line in found
    )
    assert any('pgstack:serverConnections is "7": give a number from 10 to 50' in line for line in found)
    assert any('pgstack:pooledPort is "abc"' in line for line in found)


def test_settings_that_do_not_fit_together_are_reported_with_those_that_are_wrong_alone() -> None:
    found = problems(
        memory="0", pooledPort="5432", directPort="5432", revisions='{"atlantis": "base", "maps": "nosuch"}',
        seeds='["demo"]',
    )  # fmt: skip
    assert [line.partition(" is ")[0].partition(" and ")[0] for line in found][:1] == ["pgstack:memory"]
    assert any("pooledPort and pgstack:directPort are both 5432" in line for line in found)
    assert any("pgstack:revisions names atlantis: known are" in line for line in found)
    assert any('pgstack:revisions holds maps at "nosuch"' in line for line in found)
    assert any("pgstack:seeds contains demo" in line for line in found)
    assert len(found) == 5
    assert all("stacks/Pulumi.dev.yaml" in line for line in found)


def test_a_setting_that_is_wrong_is_not_reported_again_for_what_it_would_fit_together_with() -> None:
    (line,) = problems(apps='["atlantis"]', revisions='{"maps": "base"}')
    assert line.startswith("pgstack:apps is")


def test_a_misspelt_key_is_no_setting_and_the_right_one_is_named() -> None:
    assert problems(memroy="1GB") == [
        "pgstack:memroy is no setting: did you mean pgstack:memory? (pulumi config rm pgstack:memroy)"
    ]


@pytest.mark.parametrize("text", ["0 2 29 2 *", "30 */4 * * *", "0 2 31 1-12/2 *", "5/20 2 * * 0"])
def test_a_schedule_that_comes_is_taken(text: str) -> None:
    assert parse("pgstack", "x", {"pgstack:backupFull": text}).backup_full == text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"apps": '["dovvybuddy", "atlantis"]'}, f"give a list, each once, of {', '.join(apps.names())}"),
        ({"apps": "maps"}, f"give a list, each once, of {', '.join(apps.names())}"),
        ({"seeds": '["base", "demo"]'}, "a production stack takes base only"),
        ({"apps": '["petsitting"]'}, "petsitting, which lives in the database of panamia: add panamia"),
        ({"pooledPort": "7000", "directPort": "7000"}, "are both 7000: give two ports"),
        ({"backupFull": "every day"}, "give five cron fields"),
        ({"backupFull": "61 2 * * 0"}, "give five cron fields"),
        ({"backupFull": "0 2 30 2 *"}, "give five cron fields"),
        ({"backupFull": "0 2 31 4,6 *"}, "give five cron fields"),
        ({"seeds": '["base", "base"]'}, "give a list, each once, of base"),
        ({"address": "localhost"}, "give an IPv4 address"),
        ({"memory": "64MB"}, "at least 256MB"),
        ({"environment": "prod"}, "give dev, preview, staging or production"),
        ({"keepFull": "0"}, "give a number from 1 to 100"),
    ],
)
def test_what_cannot_be_is_one_line(given: dict[str, str], expected: str) -> None:
    (line,) = problems(**given)
    assert expected in line
    assert "\n" not in line


def test_what_comes_first_when_wal_fills_the_disk_is_serving_or_keeping_it() -> None:
    assert parse("pgstack", "x", {}).wal_full == "serve"
    assert "give serve or stop" in problems(walFull="drop")[0]


def test_the_reserve_is_a_size_and_may_be_none() -> None:
    assert parse("pgstack", "x", {"pgstack:reserve": "0MB"}).reserve == 0
    assert "0MB for none" in problems(reserve="some")[0]


def test_where_alerts_go_is_a_secret_that_neither_a_refusal_nor_the_settings_show() -> None:
    settings = parse("pgstack", "x", {"pgstack:alert": "https://example.org/hooks/token"})
    assert "token" not in repr(settings)
    (line,) = problems(alert='https://example.org/"token')
    assert line.startswith('pgstack:alert is "***": give a URL')
    assert problems(alert="one line\nand another")


@pytest.mark.parametrize(
    ("alert", "file"),
    [
        ("", ""),
        ("https://example.org/hook", 'url = "https://example.org/hook"\n'),
        ("cat >/run/postgresql/heard", "cat >/run/postgresql/heard\n"),
    ],
)
def test_a_url_is_kept_as_curl_s_configuration_and_a_line_of_shell_as_it_is(alert: str, file: str) -> None:
    assert alert_file(alert) == file
