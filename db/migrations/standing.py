"""What a database is to this checkout: empty, older, current, newer, of another line, edited, or not ours at all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg

from db import apps, connections
from db.errors import TargetError
from db.migrations import history
from db.migrations.revisions import HOME, Revision, revisions
from db.urls import DatabaseURL

Kind = Literal["empty", "older", "current", "newer", "diverged", "edited", "foreign"]
Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Standing:
    """`pending` is what `upgrade` would apply: nothing unless the database is empty or older."""

    app: str
    kind: Kind
    revision: str | None
    says: str
    pending: tuple[Revision, ...] = ()
    applied: tuple[Revision, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the files here can migrate it."""
        return self.kind in {"empty", "older", "current"}


def standing(app: str, url: str, *, ca_file: str | Path | None = None, home: Path = HOME) -> Standing:
    """Look at the database behind `url`; reads only, takes no lock.

    Raises TargetError for a login that may not look, and the errors of connecting.
    """
    apps.folder(app)
    files = revisions(app, home=home)
    with closing(connections.connect(DatabaseURL.parse(url), ca_file=ca_file)) as connection:
        try:
            return _look(connection, app, files)
        except psycopg.errors.InsufficientPrivilege as error:
            raise TargetError(
                f"{connection.info.user} may not look into schema {app} of database {connection.info.dbname}"
                f" ({error.diag.message_primary}): give the URL of its owner"
            ) from error


def _look(connection: Connection, app: str, files: Sequence[Revision]) -> Standing:
    applied, at = history.recorded(connection, app), history.current(connection, app)
    names = [file.revision for file in files]
    there = list(dict.fromkeys([*applied, *([at] if at else [])]))
    if not there:
        return _unmigrated(app, _tables(connection, app), files)
    differences = history.differences(applied, at, files)
    if unknown := [name for name in there if name not in names]:
        others = [it for it in differences if not it.startswith(("the database is at", *unknown))]
        kind, says = _from_elsewhere(names, there, unknown)
        return Standing(app, kind, at, "; ".join([says, *others]))
    if differences:
        return Standing(app, "edited", at, "; ".join(differences))
    reached = names.index(at) + 1 if at is not None else 0
    done, pending = tuple(files[:reached]), tuple(files[reached:])
    if pending:
        return Standing(app, "older", at, f"{len(pending)} pending", pending, done)
    return Standing(app, "current", at, "nothing pending", (), done)


def _unmigrated(app: str, tables: Sequence[str], files: Sequence[Revision]) -> Standing:
    if tables:
        says = f"schema {app} has {_listed(tables)} but no record of migrations: another tool made them"
        return Standing(app, "foreign", None, says)
    return Standing(app, "empty", None, f"nothing was migrated yet, {len(files)} pending", tuple(files))


def _from_elsewhere(names: Sequence[str], there: Sequence[str], unknown: Sequence[str]) -> tuple[Kind, str]:
    """Of a database that has revisions without a file here."""
    missing = [name for name in names if name not in there]
    if len(unknown) == len(there):
        return "foreign", f"it was migrated by other files than these: {_listed(unknown)}"
    if missing:
        return "diverged", f"it has {_listed(unknown)} but not {_listed(missing)}: it was migrated from another branch"
    return "newer", f"it has {_listed(unknown)} as well: this checkout is older (git pull)"


def _listed(names: Sequence[str]) -> str:
    most = 3
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _tables(connection: Connection, app: str) -> list[str]:
    rows = connection.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND c.relname <> ALL (%s) ORDER BY 1",
        (app, [history.TABLE, history.VERSION_TABLE]),
    )
    return [f"table {name}" for (name,) in rows]
