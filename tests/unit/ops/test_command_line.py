"""What needs no stack: help, usage, refusals, Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.verbs import app

REPO = Path(__file__).parents[3]
VERBS = (
    "status",
    "env",
    "psql",
    "logs",
    "start",
    "stop",
    "reset",
    "seed",
    "recover",
    "migrate",
    "backup",
    "drill",
    "keys",
)


def pgstack(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.main", *arguments],
        cwd=REPO,
        env={**os.environ, "COLUMNS": "120", **environ},
        text=True,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_help_names_every_verb_and_the_exit_codes() -> None:
    shown = pgstack("--help").stdout
    assert [verb for verb in VERBS if f"\n  {verb} " not in shown] == []
    assert "130 interrupted" in " ".join(shown.split())


@pytest.mark.parametrize(
    "verb",
    [
        *VERBS[:9],
        *(f"migrate {it}" for it in ("plan", "up", "down", "check", "revision", "sum", "lint", "repair", "rehearse")),
        *("backup now", "backup list", "drill", "drill list", "keys export", "restore bare"),
    ],
)
def test_every_verb_has_an_example_in_its_help(verb: str) -> None:
    shown = CliRunner().invoke(app, [*verb.split(), "--help"], prog_name="pgstack").stdout
    assert f"pgstack {verb}" in shown.split("Example")[-1]


def test_every_revision_that_a_help_text_names_exists() -> None:
    named = {
        (app, revision)
        for path in (REPO / "ops").glob("*.py")
        for app, revision in re.findall(r"pgstack migrate \w+ (\w+) (\d{4}_\w+)", path.read_text())
    }
    assert len(named) >= 1
    assert [it for it in named if not (REPO / f"alembic/versions/{it[0]}/{it[1]}.py").exists()] == []


def test_wrong_usage_ends_with_2() -> None:
    assert pgstack("frobnicate").returncode == 2
    assert pgstack("psql", "maps", "--admin", "--direct").returncode == 2
    assert pgstack("env", "maps", "--ca-path", "/ca.crt").returncode == 2
    assert pgstack("logs", "--since", "yesterday").returncode == 2
    assert pgstack("seed", "--set", "everything").returncode == 2
    assert pgstack("migrate", "revision", "atlas", "Add a slug").returncode == 2


def test_keys_are_not_exported_into_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(REPO)
    for path in ("keys.json", str(REPO / "keys.json"), str(tmp_path / "link/keys.json")):
        refused = pgstack("keys", "export", path)
        assert refused.returncode == 1
        assert "lies in the checkout" in refused.stderr


def test_an_error_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    refused = pgstack(
        "status", "-s", "nope", PGSTACK_STATE=str(tmp_path), PULUMI_BACKEND_URL="", XDG_CACHE_HOME=str(tmp_path)
    )
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert refused.stdout == ""


def test_ctrl_c_ends_with_130_and_no_traceback(tmp_path: Path) -> None:
    slow = tmp_path / "pulumi"
    slow.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nexec sleep 30\n")
    slow.chmod(0o755)
    # a shell's own tools folder comes first on PATH: an XDG_CACHE_HOME without tools leaves only ours
    environ = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path),
        "PGSTACK_STATE": str(tmp_path),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "ops.main", "-s", "dev", "env", "maps"],
        cwd=REPO,
        env={**os.environ, **environ},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 20
        while not (tmp_path / "asked").exists() and time.monotonic() < deadline:
            os.sched_yield()
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
