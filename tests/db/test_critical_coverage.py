"""The critical operations of the data layer: their own tests run every line and every branch of them.

The tests of these modules run once more, measured, in a process of their own: what some other test happens to touch
does not count. Ways other than the direct one run the same lines, and are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
CRITICAL = {
    "db/transactions.py": "tests/db/test_transactions.py",
    "db/tenancy.py": "tests/db/test_tenancy.py",
    "db/encryption.py": "tests/unit/db/test_encryption.py",
    "db/bulk.py": "tests/db/test_bulk.py",
    "db/pagination.py": "tests/db/test_pagination.py",
    "db/soft_delete.py": "tests/db/test_soft_delete.py",
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What coverage says of each module, by its path."""
    folder = tmp_path_factory.mktemp("coverage")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environ = {**inherited, "COVERAGE_FILE": str(folder / "data")}

    def coverage(*arguments: str) -> None:
        command = [sys.executable, "-m", "coverage", *arguments]
        done = subprocess.run(command, cwd=CHECKOUT, env=environ, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            pytest.fail(f"coverage {arguments[0]} failed:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")

    plain = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", "not pooled"]
    coverage("run", "-m", "pytest", *plain, *CRITICAL.values())
    coverage("json", "--fail-under=0", "-o", str(folder / "report.json"))
    files: dict[str, Any] = json.loads((folder / "report.json").read_text())["files"]
    return files


@pytest.mark.parametrize("module", CRITICAL)
def test_every_line_and_every_branch_is_run(module: str, measured: dict[str, Any]) -> None:
    found = measured[module]

    assert found["summary"]["num_branches"] > 0  # branches are measured at all
    assert (found["missing_lines"], found["missing_branches"]) == ([], [])


@pytest.mark.parametrize("module", CRITICAL)
def test_no_line_is_excused(module: str, measured: dict[str, Any]) -> None:
    """Imports for the type checker are all that never runs."""
    lines = (CHECKOUT / module).read_text().splitlines()
    excused = [lines[number - 1].strip() for number in measured[module]["excluded_lines"]]

    assert [it for it in excused if it and not it.startswith(("if TYPE_CHECKING:", "from ", "import "))] == []


def test_what_the_project_measures_are_these_modules() -> None:
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["coverage"]

    assert sorted(settings["run"]["include"]) == sorted(CRITICAL)
    assert settings["run"]["branch"] is True
    assert settings["report"]["fail_under"] == 100
