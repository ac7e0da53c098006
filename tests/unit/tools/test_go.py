from __future__ import annotations

import json
import platform
import re
from pathlib import Path

import pytest

from tools import go, versions
from tools.errors import ToolError
from tools.places import MODULES, Places

CHECKOUT = Path(__file__).parents[3]


def script(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def without_go(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A machine of a kind that no package of Go exists for, and with no Go of its own."""
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(go, "USUAL_FOLDER", str(tmp_path / "nowhere"))
    (tmp_path / "bin").mkdir()
    return Places.of(places.repo, {"HOME": str(places.home), "PATH": str(tmp_path / "bin")})


def test_a_machine_without_go_is_told_what_is_missing_in_one_line(without_go: Places) -> None:
    with pytest.raises(ToolError) as raised:
        go.bring(without_go, go.Build("tool", "supercronic", "example.org/tool", "1.0"), usually="1 min")
    assert str(raised.value) == (
        "Go 1.26 or newer is needed to build what has no download here, and this machine has none; "
        "install Go from https://go.dev/dl and run this again (no package of it for riscv64)"
    )
    assert list((without_go.cache / "artifacts").iterdir()) == []


def test_a_go_that_is_too_old_is_named(without_go: Places, tmp_path: Path) -> None:
    script(tmp_path / "bin/go", "echo go version go1.19.8 linux/amd64")
    with pytest.raises(ToolError, match=r"and .*/bin/go says: go version go1\.19\.8 linux/amd64; install Go"):
        go.toolchain(without_go)


def test_a_go_that_is_new_enough_is_used(without_go: Places, tmp_path: Path) -> None:
    script(tmp_path / "bin/go", "echo go version go1.31.0 linux/riscv64")
    assert go.toolchain(without_go) == tmp_path / "bin/go"


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing(without_go: Places, tmp_path: Path) -> None:
    script(
        tmp_path / "bin/go", '[ "$1" = version ] && echo go version go1.31.0 || { echo "no space left" >&2; exit 2; }'
    )
    with pytest.raises(
        ToolError,
        match=r"tool 1\.0 failed \(go exited 2\): no space left; a Go module proxy .* \(all of it: .*tool\.log\)",
    ):
        go.bring(without_go, go.Build("tool", "supercronic", "example.org/tool", "1.0"), usually="1 min")
    assert list((without_go.cache / "artifacts").iterdir()) == []


def test_go_is_told_to_keep_to_the_committed_sums(without_go: Places, tmp_path: Path) -> None:
    build = 'for a; do case $p in -o) echo built > "$a";; esac; p=$a; done'
    record = f'{build}; echo "$@" >> "$HOME/asked"; pwd >> "$HOME/asked"'
    script(tmp_path / "bin/go", f'[ "$1" = version ] && echo go version go1.31.0 && exit\n{record}')
    folder = go.bring(without_go, go.Build("tool", "supercronic", "example.org/tool", "1.0"), usually="1 min")
    asked, where = (without_go.home / "asked").read_text().splitlines()
    assert (folder / "tool").read_text() == "built\n"
    assert asked.startswith("build -mod=readonly ")
    assert where == str(MODULES / "supercronic")


@pytest.mark.parametrize(
    ("said", "release"),
    [("go version go1.26.8 linux/amd64", (1, 26)), ("go version go1.27rc1 linux/arm64", (1, 27)), ("nothing", ())],
)
def test_gos_release_is_read_from_what_it_says(said: str, release: tuple[int, ...]) -> None:
    assert go.release(said) == release


def test_every_module_is_pinned_and_needs_no_newer_go_than_we_ask_for() -> None:
    for module in MODULES.iterdir():
        assert (module / "go.sum").stat().st_size > 0
        assert go.release(re.sub(r"(?m)^go ", "go", (module / "go.mod").read_text())) <= versions.GO_NEEDED


def test_modules_sdks_and_tools_are_of_the_same_releases() -> None:
    requirements = (CHECKOUT / "requirements.txt").read_text()
    assert f"\npulumi=={versions.PULUMI} " in requirements
    assert f"\npulumi-docker=={versions.DOCKER_PLUGIN} " in requirements
    assert f"pulumi/pkg/v3 v{versions.PULUMI}\n" in (MODULES / "pulumi-cli/go.mod").read_text()
    assert f"pulumi/sdk/v3 v{versions.LANGUAGE_HOST}\n" in (MODULES / "language-python/go.mod").read_text()
    assert f"aptible/supercronic v{versions.SUPERCRONIC}\n" in (MODULES / "supercronic/go.mod").read_text()
    assert json.dumps(versions.DOCKER_PLUGIN) in (MODULES / "docker-plugin/main.go").read_text()
