"""Reasons for breaking a rule: `# pgstack: allow RULE: reason` in the file.

One holds for the whole file; but where rows are lost, each statement needs its own.

For revisions that were released before there was a lint, which are never edited: alembic/versions/<app>/verdicts.toml.
"""

from __future__ import annotations

import io
import re
import tokenize
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from db.errors import RevisionError
from db.migrations.findings import Finding
from db.migrations.lint.rules import ONE_REASON_EACH
from db.migrations.revisions import Revision, folder

VERDICTS = "verdicts.toml"
_ALLOW = re.compile(r"# pgstack: allow\b(?: (?P<rule>[a-z-]+): (?P<reason>\S.*))?")


def unexcused(file: Revision, refused: Sequence[Finding], verdicts: Mapping[str, str]) -> list[Finding]:
    """What no reason was given for, and reasons that were given for nothing."""
    found, left = list[Finding](), Counter[str]()
    for comment in _comments(file):
        if not (allow := _ALLOW.match(comment)):
            continue
        if allow["rule"]:
            left[allow["rule"]] += 1
        else:
            says = f'"{comment}" gives no rule or no reason: write `# pgstack: allow RULE: reason`'
            found.append(Finding(file.app, file.path.name, "allow", says))
    needed = Counter(it.rule for it in refused)
    for it in refused:
        if left[it.rule] and it.rule in ONE_REASON_EACH:
            left[it.rule] -= 1
        elif not left[it.rule] and it.rule not in verdicts:
            found.append(it)
    unused = {rule for rule in (*left, *verdicts) if not needed[rule]} | {it for it in ONE_REASON_EACH if left[it]}
    return found + [
        Finding(file.app, file.path.name, "unused-allow", f"no statement needs it for {rule}: take the reason away")
        for rule in sorted(unused)
    ]


def given(app: str, home: Path) -> dict[str, dict[str, str]]:
    """Reasons by revision and rule, of the file of verdicts. Raises RevisionError for one that is no TOML."""
    path = folder(app, home) / VERDICTS
    try:
        return tomllib.loads(path.read_text()) if path.exists() else {}
    except tomllib.TOMLDecodeError as error:
        raise RevisionError(f"{path.relative_to(home)}: {error}") from error


def _comments(file: Revision) -> list[str]:
    text = file.path.read_bytes().decode()
    return [it.string for it in tokenize.generate_tokens(io.StringIO(text).readline) if it.type == tokenize.COMMENT]
