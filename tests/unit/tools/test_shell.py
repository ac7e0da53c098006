from __future__ import annotations

import hashlib
import json
import subprocess
import time
from pathlib import Path

import pytest

from tools import cache, pulumi_cli, shell
from tools.errors import ToolError
from tools.places import Places


def program(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)
    return path


def test_a_bare_shell_gets_everything_that_plain_pulumi_needs(places: Places) -> None:
    state = places.home / ".local/state/pgstack"
    assert shell.environment(places.repo, places.environ) == {
        "PATH": f"{places.repo}/.venv/bin:{places.tools}/bin:/usr/bin:/bin",
        "PGSTACK_TOOLS": str(places.tools),
        "PULUMI_BACKEND_URL": f"file://{state}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": f"{state}/passphrase",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_HOME": f"{places.tools}/pulumi",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PULUMI_BACKEND_URL", "s3://states"),
        ("PULUMI_CONFIG_PASSPHRASE_FILE", "/run/secrets/passphrase"),
        ("PULUMI_SKIP_UPDATE_CHECK", "0"),
    ],
)
def test_what_the_user_chose_stays(places: Places, name: str, value: str) -> None:
    assert shell.environment(places.repo, {**places.environ, name: value})[name] == value


@pytest.mark.parametrize("passphrase", ["correct horse", ""])
def test_a_passphrase_of_the_users_own_is_not_overridden_by_our_file(places: Places, passphrase: str) -> None:
    found = shell.environment(places.repo, {**places.environ, "PULUMI_CONFIG_PASSPHRASE": passphrase})
    assert not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & set(found)


def test_an_engine_of_the_users_own_stays(places: Places) -> None:
    assert "DOCKER_HOST" not in shell.environment(places.repo, {**places.environ, "DOCKER_HOST": "ssh://db@host"})


def test_preparing_a_shell_twice_changes_nothing(places: Places) -> None:
    once = {**places.environ, **shell.environment(places.repo, places.environ)}
    assert {**once, **shell.environment(places.repo, once)} == once


def test_tools_of_an_older_version_leave_the_path(places: Places) -> None:
    old = f"{places.cache}/0123456789ab"
    environ = {**places.environ, "PATH": f"{old}/bin:/usr/bin", "PULUMI_HOME": f"{old}/pulumi"}
    found = shell.environment(places.repo, environ)
    assert old not in found["PATH"]
    assert found["PULUMI_HOME"] == f"{places.tools}/pulumi"


def test_state_and_cache_move_where_the_user_says(repo: Path, tmp_path: Path) -> None:
    environ = {"HOME": "/nowhere", "PGSTACK_STATE": str(tmp_path / "s"), "XDG_CACHE_HOME": str(tmp_path / "c")}
    found = shell.environment(repo, environ)
    assert found["PULUMI_BACKEND_URL"] == f"file://{tmp_path}/s?metadata=skip"
    assert found["PGSTACK_TOOLS"].startswith(f"{tmp_path}/c/pgstack/")


def test_the_current_docker_context_becomes_docker_host(places: Places) -> None:
    docker = places.home / ".docker"
    meta = docker / "contexts/meta" / hashlib.sha256(b"colima").hexdigest() / "meta.json"
    cache.write(docker / "config.json", json.dumps({"currentContext": "colima"}))
    with pytest.raises(ToolError, match='the docker context "colima" cannot be read'):
        shell.environment(places.repo, places.environ)
    cache.write(meta, json.dumps({"Endpoints": {"docker": {"Host": "unix:///colima.sock"}}}))
    assert shell.environment(places.repo, places.environ)["DOCKER_HOST"] == "unix:///colima.sock"


def test_an_installed_plugin_keeps_the_users_own_pulumi_home(places: Places) -> None:
    program(places.home / ".pulumi" / places.plugin, "plugin")
    assert "PULUMI_HOME" not in shell.environment(places.repo, places.environ)


def test_an_installed_pulumi_that_is_new_enough_is_used_and_asked_once(repo: Path, home: Path, tmp_path: Path) -> None:
    own = program(tmp_path / "own/pulumi", "v3.300.1; echo asked >> $HOME/asked")
    program(tmp_path / "own/pulumi-language-python", "host")
    places = Places.of(repo, {"HOME": str(home), "PATH": f"{tmp_path}/own:/usr/bin:/bin"})
    assert pulumi_cli.own(places) is None
    assert pulumi_cli.look(places) == pulumi_cli.look(places) == own
    assert str(places.tools) not in shell.environment(repo, places.environ)["PATH"]
    assert (home / "asked").read_text() == "asked\n"


@pytest.mark.parametrize("said", ["v3.258.9", "v4.0.0", "dev", "v3.300.0; exit 1"])
def test_an_installed_pulumi_that_does_not_fit_is_passed_over(
    repo: Path, home: Path, tmp_path: Path, said: str
) -> None:
    program(tmp_path / "own/pulumi", said)
    program(tmp_path / "own/pulumi-language-python", "host")
    places = Places.of(repo, {"HOME": str(home), "PATH": f"{tmp_path}/own:/usr/bin:/bin"})
    assert pulumi_cli.look(places) is None
    assert f":{places.tools}/bin:" in shell.environment(repo, places.environ)["PATH"]


def test_an_installed_pulumi_is_looked_at_again_when_it_was_replaced(repo: Path, home: Path, tmp_path: Path) -> None:
    program(tmp_path / "own/pulumi", "v3.1.0")
    program(tmp_path / "own/pulumi-language-python", "host")
    places = Places.of(repo, {"HOME": str(home), "PATH": f"{tmp_path}/own:/usr/bin:/bin"})
    assert pulumi_cli.look(places) is None
    upgraded = program(tmp_path / "own/pulumi", "v3.259.0")
    assert pulumi_cli.look(places) == upgraded


def test_a_pulumi_without_its_language_host_is_passed_over(repo: Path, home: Path, tmp_path: Path) -> None:
    program(tmp_path / "own/pulumi", "v3.300.1")
    places = Places.of(repo, {"HOME": str(home), "PATH": f"{tmp_path}/own"})
    assert pulumi_cli.look(places) is None


def test_the_printed_lines_survive_a_shell_whatever_the_path(tmp_path: Path) -> None:
    repo = tmp_path / 'it\'s a "$(checkout)"'
    repo.mkdir()
    places = Places.of(repo, {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    cache.write(places.tools / "manifest.json", "{}")
    lines = shell.exports(repo, places.environ)
    done = subprocess.run(
        ["sh", "-c", f'{lines}\nprintf "%s" "$PATH"'],
        env=dict(places.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == shell.environment(repo, places.environ)["PATH"]


def test_a_shell_before_the_installation_is_told_to_install(places: Places) -> None:
    with pytest.raises(ToolError, match="the tools are not installed yet: python3 -m tools install"):
        shell.exports(places.repo, places.environ)


def test_preparing_a_shell_takes_less_than_fifty_milliseconds(places: Places) -> None:
    def seconds() -> float:
        began = time.perf_counter()
        shell.environment(places.repo, places.environ)
        return time.perf_counter() - began

    assert min(seconds() for _ in range(5)) < 0.05
