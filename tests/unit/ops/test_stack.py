from pathlib import Path

import pytest

from ops import exported
from ops.errors import NoSuchStackError, PulumiError, UnknownError
from ops.files import PRIVATE, write
from ops.pulumi import Pulumi
from ops.settings import settings
from ops.stack import Stack, named, resolve
from tests.unit.ops.conftest import certificate


def says(folder: Path, script: str) -> Pulumi:
    """A `pulumi` that runs `script`, which prints what the real one printed."""
    folder.mkdir(exist_ok=True)
    program = folder / "pulumi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Pulumi({"PATH": f"{folder}:/usr/bin:/bin"})


@pytest.mark.parametrize(
    ("chosen", "environ", "name"),
    [
        ("a", {"PGSTACK_STACK": "b", "PULUMI_STACK": "c"}, "a"),
        (None, {"PGSTACK_STACK": "b", "PULUMI_STACK": "c"}, "b"),
        (None, {"PULUMI_STACK": "organization/pgstack/c"}, "c"),
        (None, {"PULUMI_STACK": ""}, None),
    ],
)
def test_the_option_comes_before_the_environment(chosen: str | None, environ: dict[str, str], name: str | None) -> None:
    assert named(chosen, environ) == name


@pytest.mark.parametrize("name", ["../dev", "a b", "organization/pgstack/..", "/dev", "a/b/c/d"])
def test_what_can_be_no_stack_is_not_cut_down_to_one(name: str) -> None:
    with pytest.raises(UnknownError, match="is no stack's name"):
        named(name, {})


def test_without_a_choice_the_selected_stack_is_taken_and_without_one_dev(tmp_path: Path) -> None:
    assert resolve(None, says(tmp_path / "a", "echo organization/pgstack/staging")) == "staging"
    assert resolve(None, says(tmp_path / "b", "echo 'error: no stack selected' >&2; exit 255")) == "dev"


def test_a_stack_that_does_not_exist_is_named_with_those_that_do(tmp_path: Path) -> None:
    script = """case "$*" in *"stack ls"*) echo '[{"name": "dev"}, {"name": "organization/pgstack/staging"}]';;
    *) echo "error: no stack named 'nope' found" >&2; exit 255;; esac"""
    with pytest.raises(NoSuchStackError, match=r'no stack is called "nope": there are dev, staging'):
        says(tmp_path, script).ask("stack", "output", stack="nope")


def test_a_state_that_does_not_exist_yet_has_no_stacks(tmp_path: Path) -> None:
    with pytest.raises(NoSuchStackError, match="there is none yet"):
        says(tmp_path, 'echo "error: unable to open state directory" >&2; exit 255').ask("stack", "output", stack="dev")


def test_a_wrong_passphrase_is_called_so(tmp_path: Path) -> None:
    pulumi = says(tmp_path, 'echo "error: getting secrets manager: incorrect passphrase" >&2; exit 255')
    with pytest.raises(UnknownError, match="passphrase does not open stack dev"):
        pulumi.ask("stack", "output", stack="dev")


def test_other_failures_show_pulumis_own_first_error(tmp_path: Path) -> None:
    pulumi = says(tmp_path, 'echo "warning: old" >&2; echo "error: the disk is full" >&2; exit 1')
    with pytest.raises(PulumiError, match=r"^Pulumi: the disk is full$"):
        pulumi.ask("stack", "output", stack="dev")


def test_a_machine_without_the_tools_is_told_how_to_bring_them(tmp_path: Path) -> None:
    with pytest.raises(UnknownError, match="make tools"):
        Pulumi({"PATH": str(tmp_path)}).ask("stack", "ls")


def test_neither_a_stack_nor_its_urls_show_a_password(stack: Stack) -> None:
    assert "p%3Aw" in stack.url("maps", "pooled")
    assert stack.parsed("maps", "pooled").password == "p:w"
    assert "p%3Aw" not in repr(stack) + str(stack.parsed("maps", "pooled"))


def test_an_app_that_the_stack_lacks_is_refused_with_those_it_has(stack: Stack) -> None:
    with pytest.raises(UnknownError, match=r'no app "blog": its apps are dovvybuddy, maps'):
        stack.url("blog", "pooled")


def test_a_target_without_containers_is_told_apart(stack: Stack) -> None:
    managed = Stack("dev", stack.pulumi, {"target": "neon"})
    with pytest.raises(UnknownError, match="target neon, which has no pooler container"):
        managed.container("pooler")


def test_the_stamp_of_exported_keys_ends_with_the_stack_that_had_them(stack: Stack) -> None:
    assert not exported.stands(stack)
    exported.stamp(stack)
    assert exported.stands(stack)
    anew = Stack("dev", stack.pulumi, {**stack.outputs, "ca_certificate": certificate("made anew")})
    assert not exported.stands(anew)


def test_a_stacks_settings_are_its_file_over_the_projects_defaults(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("config:\n  pgstack:environment: {default: production}\n")
    assert settings("dev", tmp_path).environment == "production"
    (tmp_path / "stacks/Pulumi.dev.yaml").write_text(
        "config:\n  pgstack:environment: dev\n  pgstack:seeds: [base, demo]\n  pgstack:revisions: {maps: 0001_a}\n"
    )
    found = settings("dev", tmp_path)
    assert (found.environment, found.seeds) == ("dev", ("base", "demo"))
    assert (found.target("maps"), found.target("dovvybuddy")) == ("0001_a", "head")


def test_a_file_is_written_whole_with_its_mode_and_left_alone_when_equal(tmp_path: Path) -> None:
    path = write(tmp_path / "deep" / "file", "text", PRIVATE)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("text", 0o600)
    before = path.stat().st_ino
    assert write(path, "text", PRIVATE).stat().st_ino == before
    assert list(path.parent.iterdir()) == [path]
