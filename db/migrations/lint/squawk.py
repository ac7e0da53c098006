"""squawk (https://squawkhq.com) over the statements of revisions: one process for all of them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from db.errors import RevisionError
from db.migrations.statements import Statement

_OLDEST_SERVER = "15.0"
# rules of taste (docs/conventions.md has ours), of timeouts (the runner sets them) and of frames (Alembic makes them);
# DETACH CONCURRENTLY, cut short by a timeout, leaves a partition whose rows are not found and that blocks what follows
_STYLE = (
    "ban-char-field,ban-create-domain-with-constraint,ban-uncommitted-transaction,prefer-bigint-over-int,"
    "prefer-bigint-over-smallint,prefer-identity,prefer-robust-stmts,prefer-text-field,prefer-timestamp-tz,"
    "require-enum-value-ordering,require-lock-timeout,require-statement-timeout,require-timeout-settings,"
    "transaction-nesting,ban-concurrent-index-creation-in-transaction,require-concurrent-partition-detach"
)
_GENERAL = "constraint-missing-not-valid"
"""Said of every constraint, beside the rule that is about its kind."""


@dataclass(frozen=True)
class Warning:  # noqa: A001  # squawk's own word
    """`at` is the statement's number in its revision."""

    at: int
    rule: str
    says: str


def warnings(revisions: Sequence[Sequence[Statement]]) -> list[list[Warning]]:
    """What squawk says of each revision. Raises RevisionError where it can't be run."""
    found: list[list[Warning]] = [[] for _ in revisions]
    with tempfile.TemporaryDirectory(prefix="pgstack-lint-") as scratch:
        files: dict[str, tuple[int, list[int]]] = {}
        for number, statements in enumerate(revisions):
            path, text, lines = Path(scratch) / f"{number:04d}.sql", "", []
            for statement in statements:
                lines.append(text.count("\n"))
                text += f"{statement.text};\n"
            path.write_text(text)
            files[str(path)] = (number, lines)
        for it in _reported(list(files), scratch):
            number, lines = files[str(it["file"])]
            at = max(index for index, line in enumerate(lines) if line <= int(str(it["line"])))
            found[number].append(Warning(at, str(it["rule_name"]), " ".join(str(it["message"]).split())))
    return [[it for it in its if it.rule != _GENERAL or _alone(it, its)] for its in found]


def _alone(warning: Warning, others: Sequence[Warning]) -> bool:
    return not any(it.at == warning.at and it.rule != warning.rule for it in others)


def _reported(paths: Sequence[str], folder: str) -> list[dict[str, object]]:
    options = ("--reporter=json", f"--pg-version={_OLDEST_SERVER}", f"--exclude={_STYLE}", "--assume-in-transaction")
    command = [str(Path(sys.executable).with_name("squawk")), *options, *paths]
    try:
        done = subprocess.run(command, text=True, capture_output=True, check=False, cwd=folder)
        reported: list[dict[str, object]] = json.loads(done.stdout or "[]")
    except (OSError, ValueError) as error:
        raise RevisionError(f"squawk can't lint: {error}; `make python` installs it") from error
    if done.returncode and not reported:
        raise RevisionError(f"squawk can't lint: {' '.join(done.stderr.split())}")
    return reported
