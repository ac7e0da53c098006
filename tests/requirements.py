"""Which test proves which line of the products' requirement documents: `make docs` writes docs/requirements.md.

The lines are listed in tests/db/requirements/<app>.toml, each with its document and line and a phrase of ours. A test
names those that it proves: `@pytest.mark.requirement("bots.P1.soft-deletes")`. What the project answers elsewhere says
where: `answered_by`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/requirements.md"
_MARK = "requirement"


@dataclass(frozen=True)
class Requirement:
    """One line of a document; `answered_by` is empty where tests prove it."""

    document: str
    line: int
    says: str
    answered_by: str = ""


def listed(folder: Path = HERE / "db/requirements") -> dict[str, Requirement]:
    """All requirements by id, `<app>.<keys of the TOML table>`. Raises ValueError for an entry that lacks a part."""
    found = {}
    for path in sorted(folder.glob("*.toml")):
        for name, entry in _entries(path.stem, tomllib.loads(path.read_text())):
            try:
                found[name] = Requirement(**entry)
            except TypeError as error:
                raise ValueError(f"{path.name}: {name}: {error}") from None
    return found


def proven() -> dict[str, list[str]]:
    """Ids of tests (`path::function`, a parametrised one once) by requirement, from pytest's own collection."""
    with tempfile.NamedTemporaryFile(mode="r", suffix=".txt") as file:
        command = ["-m", "pytest", "--collect-only", "-qq", "-p", "tests.requirements", "--requirements", file.name]
        done = subprocess.run(
            [sys.executable, *command, str(HERE)], cwd=HERE.parent, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"the tests can't be collected:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        found: dict[str, list[str]] = defaultdict(list)
        for line in file.read().splitlines():
            requirement, _, test = line.partition("\t")
            if test not in found[requirement]:
                found[requirement].append(test)
    return dict(found)


def page(requirements: Mapping[str, Requirement], tests: Mapping[str, list[str]]) -> str:
    """The page: a table an app, a line a requirement."""
    lines = [
        "# Requirements and the tests that prove them",
        "Written by `make docs` from the tests' marks and tests/db/requirements; a test fails when it is stale.",
    ]
    app = ""
    for name, it in requirements.items():
        if name.partition(".")[0] != app:
            app = name.partition(".")[0]
            lines += ["", f"## {app}", "", "| requirement | where | proven by |", "| --- | --- | --- |"]
        proofs = [f"`{test.removeprefix('tests/')}`" for test in tests.get(name, [])]
        proofs += [it.answered_by] if it.answered_by else []
        lines.append(f"| {it.says} | {it.document}:{it.line} | {'<br>'.join(proofs) or '**nothing**'} |")
    return "\n".join([*lines, ""])


def problems(requirements: Mapping[str, Requirement], tests: Mapping[str, list[str]]) -> list[str]:
    """Requirements that nothing answers, answers that name a test there is not, and marks that name no requirement."""
    open_ = [f"{name}: no test proves it" for name, it in requirements.items() if not (it.answered_by or name in tests)]
    open_ += [f"{name}: there is no {it}" for name, entry in requirements.items() for it in _dead(entry.answered_by)]
    return open_ + [
        f"{its[0]} names {name}, which is not listed" for name, its in tests.items() if name not in requirements
    ]


def _dead(answer: str) -> Iterator[str]:
    """Files and tests that `answer` names and that are not there."""
    for reference in re.findall(r"tests/[\w/]+\.py(?:::\w+)*", answer):
        path, *names = reference.split("::")
        file = HERE.parent / path
        text = file.read_text() if file.exists() else ""
        if not text or any(not re.search(rf"(def|class) {name}\b", text) for name in names):
            yield reference


def _entries(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "says" in table:
        yield prefix, dict(table)
        return
    for key, value in table.items():
        yield from _entries(f"{prefix}.{key}", value)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the collection is written to, when this module is the plugin that `proven` loads."""
    parser.addoption("--requirements", metavar="FILE")


def pytest_collection_finish(session: pytest.Session) -> None:
    """One line a mark: the requirement, a tab, the test."""
    lines = [
        f"{name}\t{item.nodeid.partition('[')[0]}"
        for item in session.items
        for mark in item.iter_markers(_MARK)
        for name in mark.args
    ]
    Path(session.config.getoption("--requirements")).write_text("\n".join(lines))


def main() -> None:
    """Write the page; exit 1 and say what is open if anything is."""
    requirements, tests = listed(), proven()
    PAGE.write_text(page(requirements, tests))
    if found := problems(requirements, tests):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
