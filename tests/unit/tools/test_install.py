from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools import install, stack
from tools.errors import ToolError
from tools.places import Places

CHECKOUT = Path(__file__).parents[3]


def test_the_state_is_the_users_alone_and_its_passphrase_is_made_once(places: Places) -> None:
    install.prepare_state(places)
    made = places.passphrase.read_text()
    install.prepare_state(places)
    assert len(made) >= 32
    assert places.passphrase.read_text() == made
    assert places.state.stat().st_mode & 0o777 == 0o700
    assert places.passphrase.stat().st_mode & 0o777 == 0o600


def test_a_lost_passphrase_is_not_replaced_while_stacks_need_it(places: Places) -> None:
    install.prepare_state(places)
    (places.state / "stacks/Pulumi.dev.yaml").write_text("config: {}\n")
    (places.state / "stacks/Pulumi.shop.yaml").write_text("encryptionsalt: x\n")
    places.passphrase.unlink()

    with pytest.raises(ToolError, match=r"passphrase is gone, and only it opens shop: put it back \(`passphrase` in"):
        install.prepare_state(places)
    assert not places.passphrase.exists()

    install.prepare_state(Places.of(places.repo, {**places.environ, "PULUMI_CONFIG_PASSPHRASE": "correct horse"}))
    assert not places.passphrase.exists()
    (places.state / "stacks/Pulumi.shop.yaml").unlink()
    install.prepare_state(places)
    assert places.passphrase.exists()


def test_two_checkouts_share_their_stack_files(places: Places, tmp_path: Path) -> None:
    clone = Places.of(tmp_path / "clone", places.environ)
    clone.repo.mkdir()
    install.prepare_state(places)
    install.prepare_state(clone)
    (places.repo / "stacks/Pulumi.dev.yaml").write_text("encryptionsalt: x\n")
    assert (clone.repo / "stacks/Pulumi.dev.yaml").read_text() == "encryptionsalt: x\n"


def test_a_stacks_folder_of_the_users_own_is_not_touched(places: Places) -> None:
    (places.repo / "stacks").mkdir()
    (places.repo / "stacks/Pulumi.dev.yaml").write_text("config: {}\n")
    with pytest.raises(
        ToolError, match=r"stacks is not the link that pgstack makes: move its files to .* and remove it"
    ):
        install.prepare_state(places)
    assert (places.repo / "stacks/Pulumi.dev.yaml").read_text() == "config: {}\n"


def test_a_failing_lane_stops_what_the_other_one_runs(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from tools import commands, install; from tools.errors import ToolError\n"
        "started, log = Path(sys.argv[1]) / 'started', Path(sys.argv[1]) / 'log'\n"
        "def slow(): commands.run(['sh', '-c', f'touch {started}; exec sleep 600'], what='slow', log=log)\n"
        "def bad():\n"
        "    while not started.exists(): time.sleep(0.01)\n"
        "    raise ToolError('the other one failed')\n"
        "try: install.in_two_lanes(slow, bad)\n"
        "except ToolError as error: print(error)\n"
    )

    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "the other one failed\n"
    assert time.monotonic() - began < 30


def test_a_stack_without_a_template_of_that_name_names_those_there_are(places: Places) -> None:
    install.prepare_state(places)
    with pytest.raises(ToolError) as raised:
        stack.prepare(places, "pr-12", "pr-12")
    assert str(raised.value) == (
        'there is no template "pr-12" for the stack pr-12: give one with TEMPLATE=, of dev, production'
    )
    assert list((places.repo / "stacks").iterdir()) == []


def existing_stack(places: Places) -> Places:
    install.prepare_state(places)
    state = places.state / ".pulumi/stacks/pgstack/dev.json"
    state.parent.mkdir(parents=True)
    state.write_text("{}")
    (places.repo / "stacks/Pulumi.dev.yaml").write_text("config: {}\n")
    command = places.venv / "bin/pgstack"
    command.parent.mkdir(parents=True)
    command.write_text('#!/bin/sh\necho "$@" >> "$HOME/asked"\n')
    command.chmod(0o755)
    return places


def test_a_stack_that_exists_is_left_as_it_is(places: Places) -> None:
    stack.prepare(existing_stack(places), "dev", "production")
    assert (places.repo / "stacks/Pulumi.dev.yaml").read_text() == "config: {}\n"
    assert not (places.home / "asked").exists()


def test_a_stack_whose_settings_are_gone_is_not_deployed_with_the_defaults(places: Places) -> None:
    existing_stack(places)
    (places.repo / "stacks/Pulumi.dev.yaml").unlink()
    with pytest.raises(ToolError, match=re.escape("cp environments/production.yaml stacks/Pulumi.dev.yaml")):
        stack.prepare(places, "dev", "production")
    assert list((places.repo / "stacks").iterdir()) == []


def test_a_lock_that_a_killed_update_left_is_handed_to_recover(places: Places) -> None:
    existing_stack(places)
    lock = places.state / ".pulumi/locks/organization/pgstack/dev/0a1b.json"
    lock.parent.mkdir(parents=True)
    lock.write_text("{}")
    stack.prepare(places, "dev", "dev")
    assert (places.home / "asked").read_text() == "recover --quiet --stack dev\n"


@pytest.mark.parametrize("name", ["../x", "Blue", "a" * 41, "-x"])
def test_a_stack_name_that_makes_no_host_name_starts_no_stack(places: Places, name: str) -> None:
    with pytest.raises(ToolError, match="at most 40 lower-case letters, digits and hyphens"):
        stack.prepare(places, name, "dev")
    assert not (places.repo / "stacks").exists()
