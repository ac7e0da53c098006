"""What a migration file says of itself against what it does, and the bytes it is written in."""

from __future__ import annotations

import ast
import re

from db.migrations.findings import Finding
from db.migrations.revisions import Revision

_COMMAND = re.compile(r"alembic -n (\S+) downgrade (\S+)")


def compare(file: Revision) -> list[Finding]:
    """Everything that is wrong with the form of `file`; it is read, not run."""
    data = file.path.read_bytes()
    found = [(rule, says) for rule, says in (_bytes(data), _promise(file, data.decode()), _rollback(file)) if says]
    if not file.filled_in:
        found.append(("purpose", "Purpose is still the template's: say why this change is needed"))
    return [Finding(file.app, file.path.name, rule, says) for rule, says in found]


def _bytes(data: bytes) -> tuple[str, str]:
    """The whole project's files are ASCII with LF: they read and compare the same on every machine."""
    for number, line in enumerate(data.split(b"\n"), 1):
        if b"\r" in line:
            return "line-ends", f"line {number} ends in CRLF or CR: write LF (git config core.autocrlf input)"
        if not line.isascii():
            character = next(it for it in line.decode(errors="replace") if not it.isascii())
            return "ascii", f"line {number} has {character!a}, which is not ASCII"
    return "", ""


def _promise(file: Revision, text: str) -> tuple[str, str]:
    """Reversible: Yes needs a downgrade that does something, No one that raises."""
    downgrade = next(
        (it for it in ast.parse(text).body if isinstance(it, ast.FunctionDef) and it.name == "downgrade"), None
    )
    if downgrade is None:
        return "reversible", "there is no function downgrade: write one, which raises where nothing can be undone"
    raises = isinstance(downgrade.body[-1], ast.Raise)
    if file.reversible and raises:
        return "reversible", "Reversible is Yes, but downgrade raises: write No, or what undoes it"
    if file.reversible and not any(isinstance(it, ast.Call) for it in ast.walk(downgrade)):
        return "reversible", "Reversible is Yes, but downgrade does nothing: write what undoes it, or No"
    if not file.reversible and not raises:
        return "reversible", "Reversible is No, but downgrade does not end in `raise`: it would claim success"
    return "", ""


def _rollback(file: Revision) -> tuple[str, str]:
    """A command in Rollback goes to the revision below this one, of this app."""
    command = _COMMAND.search(file.rollback)
    wanted = (file.app, file.down_revision or "base")
    if file.reversible and command and command.groups() not in (wanted, (file.app, "-1")):
        return (
            "rollback",
            f"Rollback says `{command[0]}`: undoing this is `alembic -n {wanted[0]} downgrade {wanted[1]}`",
        )
    return "", ""
