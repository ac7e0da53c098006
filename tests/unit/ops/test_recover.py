import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.errors import OpsError
from ops.locks import check_nobody_works, check_unlocked, locks
from ops.pulumi import Pulumi
from ops.recover import Known, belongs

RAN, NEVER = "2026-11-21T11:00:36.116795567Z", "0001-01-01T00:00:00Z"


def container(started: str, *networks: str) -> dict[str, Any]:
    return {
        "State": {"StartedAt": started},
        "NetworkSettings": {"Networks": {f"name of {it}": {"NetworkID": it} for it in networks}},
    }


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / ".pulumi/locks/organization/pgstack/dev").mkdir(parents=True)
    return {"PULUMI_BACKEND_URL": f"file://{tmp_path}"}


def lock(environ: dict[str, str], pid: int, host: str = "") -> None:
    """A lock file as Pulumi 3.259 writes it."""
    folder = Path(environ["PULUMI_BACKEND_URL"].removeprefix("file://")) / ".pulumi/locks/organization/pgstack/dev"
    content = {
        "pid": pid,
        "username": "ada",
        "hostname": host or socket.gethostname(),
        "timestamp": "2026-11-21T10:58:11.123456789Z",
    }
    (folder / "88fe9e78-a339-475e-be17-2686796776ba.json").write_text(json.dumps(content))


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_lock_whose_process_is_gone_is_dead(environ: dict[str, str]) -> None:
    lock(environ, dead_process())
    assert [it.dead for it in locks("dev", environ)] == [True]
    check_nobody_works("dev", environ)


def test_a_verb_that_deploys_names_the_way_out_of_a_dead_lock(environ: dict[str, str]) -> None:
    check_unlocked("dev", environ)
    pid = dead_process()
    lock(environ, pid)
    with pytest.raises(OpsError, match=rf"process {pid} was killed .*: `pgstack recover -s dev`, then `pulumi up`"):
        Pulumi(environ).run("up", stack="dev")


def test_a_lock_whose_number_went_to_another_program_is_dead(environ: dict[str, str]) -> None:
    lock(environ, os.getpid())  # lives, but is no Pulumi
    assert [it.dead for it in locks("dev", environ)] == [True]


def test_a_lock_that_was_cut_short_by_a_crash_is_dead(environ: dict[str, str]) -> None:
    lock(environ, 1)
    locks("dev", environ)[0].path.write_text('{"pid": 12')
    assert [it.dead for it in locks("dev", environ)] == [True]


def test_a_living_pulumi_is_named_and_nothing_goes_on(environ: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "pulumi"
    program.write_text("#!/bin/sh\necho ready\nread nothing\n")
    program.chmod(0o755)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as living:
        assert living.stdout
        living.stdout.readline()  # until then the process may still have its parent's name
        lock(environ, living.pid)
        with pytest.raises(OpsError, match=rf"process {living.pid} of ada@.* since 2026-11-21T10:58:11"):
            check_nobody_works("dev", environ)
        living.communicate()


def test_a_lock_of_another_machine_may_be_alive(environ: dict[str, str]) -> None:
    lock(environ, dead_process(), host="elsewhere")
    with pytest.raises(OpsError, match="ada@elsewhere"):
        check_nobody_works("dev", environ)


def test_a_backend_that_is_no_folder_has_no_locks_of_ours() -> None:
    assert locks("dev", {"PULUMI_BACKEND_URL": "s3://somewhere"}) == []


def test_the_state_knows_containers_and_networks_by_their_ids() -> None:
    state = {
        "deployment": {
            "resources": [
                {"type": "pulumi:pulumi:Stack"},
                {"type": "docker:index/container:Container", "id": "c1"},
                {"type": "docker:index/network:Network", "id": "n1"},
            ]
        }
    }
    assert Known.of(state) == Known(frozenset({"c1"}), frozenset({"n1"}))
    assert Known.of({"deployment": None}) == Known(frozenset(), frozenset())


@pytest.mark.parametrize(
    ("attributes", "ours"),
    [
        (container(NEVER, "n1"), True),
        (container(NEVER, ""), True),
        (container(RAN, "n1"), True),
        (container(RAN, "n2"), False),
        (container(RAN, "n1", "n2"), False),
    ],
)
def test_a_container_that_ran_on_a_network_of_another_state_is_not_ours(attributes: dict[str, Any], ours: bool) -> None:
    assert belongs(attributes, frozenset({"n1"})) is ours


def test_a_lock_whose_killed_holder_nobody_reaped_is_dead(environ: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "pulumi"
    shutil.copy("/bin/true", program)
    holder = subprocess.Popen([program])  # waited for last: until then it is a zombie of that name
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    lock(environ, holder.pid)
    assert [it.dead for it in locks("dev", environ)] == [True]
    holder.wait()
