"""What a migration file says of itself against what it does."""

from __future__ import annotations

import ast
import re

from db.migrations.findings import Finding
from db.migrations.revisions import Revision

# by these a revision tells whether its SQL is printed or run, or reaches the connection past what is printed
_TELLS_PRINTING = {"is_offline_mode", "as_sql", "get_bind"}
_CONNECTIONS = {"bind", "connection", "config", "run_async", "connect", "create_engine"}  # as attributes only
_COMMAND = re.compile(r"alembic -n (\S+) downgrade (\S+)")


def compare(file: Revision) -> list[Finding]:
    """Everything that is wrong with the form of `file`; it is read, not run."""
    tree = ast.parse(file.path.read_bytes())
    found = [(rule, says) for rule, says in (_promise(file, tree), _rollback(file), _asks(tree)) if says]
    if not file.filled_in:
        found.append(("purpose", "Purpose is still the template's: say why this change is needed"))
    return [Finding(file.app, file.path.name, rule, says) for rule, says in found]


def _promise(file: Revision, tree: ast.Module) -> tuple[str, str]:
    """Reversible: Yes needs a downgrade that does something, No one that raises."""
    downgrade = next(it for it in tree.body if isinstance(it, ast.FunctionDef) and it.name == "downgrade")
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


def _asks(tree: ast.Module) -> tuple[str, str]:
    """What is printed must be what is run: lint and plan judge the printed SQL."""
    for it in ast.walk(tree):
        match it:
            case ast.Attribute(attr=name) if name in _TELLS_PRINTING | _CONNECTIONS:
                pass
            case ast.Name(id=name) | ast.alias(name=name) | ast.Constant(value=str(name)) if name in _TELLS_PRINTING:
                pass
            case _:
                continue
        return "printed-is-not-run", (
            f"line {it.lineno} uses {name}: what it sends then is neither linted nor planned; ask within the SQL,"
            " or use in_batches"
        )
    return "", ""
