"""What applications declare for every day becomes a line of the schedule, run by the owner's login and nobody else."""

import os
import subprocess
from pathlib import Path

import pytest

from db import apps
from infra.selfhosted import maintenance
from infra.selfhosted.backups import crontab
from infra.selfhosted.postgres import pg_hba_conf
from infra.settings import parse

ALL = apps.names()


def test_an_applications_statements_are_its_packages_and_most_have_none() -> None:
    assert apps.maintenance("bots") == ("SELECT bots.make_partitions()", "CALL bots.apply_retention()")
    assert apps.maintenance("maps") == ()
    assert maintenance.maintained(["maps", "bots"]) == ["bots"]


def test_the_schedule_has_a_line_for_each_maintained_application_at_the_settings_time() -> None:
    settings = parse("pgstack", "dev", {"pgstack:maintenance": "5 4 * * *"})
    [line] = [line for line in crontab(settings).splitlines() if "psql" in line]
    assert line.startswith("5 4 * * * psql -XqAt -v ON_ERROR_STOP=1 -h /run/postgresql -U bots_owner_1 -d bots -c ")
    without = parse("pgstack", "dev", {"pgstack:apps": '["maps"]'})
    assert "psql" not in crontab(without)


@pytest.mark.parametrize("status", [0, 3])
def test_how_the_statements_ended_is_kept_and_is_how_the_line_ends(tmp_path: Path, status: int) -> None:
    """Run as the scheduler runs it: by sh; psql is a program that writes down what it was given."""
    psql = tmp_path / "psql"
    psql.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/given\nexit {status}\n')
    psql.chmod(0o755)
    command = maintenance.crontab("* * * * *", ["bots"]).removeprefix("* * * * * ")
    command = command.replace("/run/postgresql/maintenance-", f"{tmp_path}/maintenance-")

    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["/bin/sh", "-c", command], env={"PATH": path}, check=False, capture_output=True)

    assert done.returncode == status
    ended, at = (tmp_path / "maintenance-bots").read_text().split()
    assert (int(ended), len(at)) == (status, 10)
    assert (tmp_path / "given").read_text().splitlines()[-4:] == [
        "-c", "SELECT bots.make_partitions()", "-c", "CALL bots.apply_retention()",
    ]  # fmt: skip


def test_the_socket_lets_in_the_superuser_and_maintained_owners_each_in_its_own_database_and_nobody_else() -> None:
    local = [line.split() for line in pg_hba_conf(ALL).splitlines() if line.startswith("local")]
    assert local == [
        ["local", "all", "postgres", "peer"],
        ["local", "bots", "bots_owner_1", "peer", "map=maintenance"],
        ["local", "all", "all", "reject"],
    ]
    assert maintenance.ident(ALL).splitlines() == ["maintenance  postgres  bots_owner_1"]
    assert "map" not in pg_hba_conf(["maps"])
