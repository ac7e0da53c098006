from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[3]


def test_plain_make_explains_every_target() -> None:
    said = subprocess.check_output(["make", "--no-print-directory"], cwd=CHECKOUT, text=True)
    targets = set(re.findall(r"(?m)^([a-z]+):", (CHECKOUT / "Makefile").read_text())) - {"python"}
    assert set(re.findall(r"(?m)^  make ([a-z]+) +\S", said)) == targets


def test_what_ci_runs_is_make_test() -> None:
    script = CHECKOUT / ".ci/run"
    assert script.stat().st_mode & 0o111
    assert script.read_text().splitlines()[-1] == "exec make test"


def test_every_error_before_an_installation_is_one_line_and_a_failure(tmp_path: Path) -> None:
    for arguments in (["shell"], ["stack", "dev"]):
        done = subprocess.run(
            [sys.executable, "-m", "tools", *arguments],
            cwd=CHECKOUT,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PGSTACK_POSTGRES_SOURCE": "apt"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == 'pgstack: error: PGSTACK_POSTGRES_SOURCE is "apt": give packages or vendor, or unset it\n'
