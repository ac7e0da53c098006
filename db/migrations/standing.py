"""What a database is to this checkout: empty, older, current, newer, of another line, edited, or not ours at all.

`plan`, `check` and every run of migrations ask here, so they never differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psycopg

from db import apps, connections
from db.errors import HistoryError, TargetError
from db.migrations import history
from db.migrations.revisions import HOME, Revision, revisions
from db.migrations.snapshot import PROVIDERS
from db.urls import DatabaseURL

Kind = Literal["empty", "older", "current", "newer", "diverged", "edited", "inconsistent", "foreign"]
Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Standing:
    """`pending` is what `upgrade` would apply: nothing unless the database is empty or older.

    `applied` are the files whose schema it has, as far as can be told. `says` ends in the way out, if one is needed.
    """

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

    def require(self) -> None:
        """Raise TargetError for a database that is not ours, HistoryError for one that these files can't migrate."""
        if self.kind == "foreign":
            raise TargetError(f"{self.says}. Nothing was changed")
        if not self.agrees:
            raise HistoryError(
                f"the database's history of {self.app} and the files disagree: {self.says}. Nothing was changed"
            )


def standing(app: str, url: str, *, ca_file: str | Path | None = None, home: Path = HOME) -> Standing:
    """Look at the database behind `url`; reads only, takes no lock.

    Raises TargetError for a login that may not look, and the errors of connecting.
    """
    apps.folder(app)
    files = revisions(app, home=home)
    with closing(connections.connect(DatabaseURL.parse(url), ca_file=ca_file)) as connection:
        return look(connection, app, files)


def look(connection: Connection, app: str, files: Sequence[Revision]) -> Standing:
    """The same through a connection. Raises TargetError for a login that may not look."""
    if says := history.foreign(connection, app):
        return Standing(app, "foreign", None, says)
    applied = history.recorded(connection, app)
    try:
        at = history.current(connection, app)
    except HistoryError as error:
        return _inconsistent(app, None, [str(error)], applied, files)
    if applied or at is not None:
        return judge(app, applied, at, files)
    if says := _others(connection, app):
        return Standing(app, "foreign", None, says)
    return Standing(app, "empty", None, f"nothing was migrated yet, {len(files)} pending", tuple(files))


def judge(app: str, applied: history.Applied, at: str | None, files: Sequence[Revision]) -> Standing:
    """What a database with this record is; pure, so tested without one."""
    names = [file.revision for file in files]
    there = list(dict.fromkeys([*applied, *([at] if at else [])]))
    edited = [
        f"{it.revision} was edited after it was applied ({applied[it.revision][1]:%Y-%m-%d %H:%M} UTC)"
        for it in files
        if it.revision in applied and applied[it.revision][0] != it.checksum
    ]
    if unknown := [name for name in there if name not in names]:
        kind, says = _from_elsewhere(names, there, unknown)
        return Standing(app, kind, at, "; ".join([says, *edited]))
    reached = names.index(at) + 1 if at is not None else 0
    gaps = [f"{it} is applied but not recorded in {history.TABLE}" for it in names[:reached] if it not in applied]
    gaps += [
        f"{it} is recorded as applied but the database is at {at or 'base'}" for it in names[reached:] if it in applied
    ]
    if gaps:
        return _inconsistent(app, at, [*gaps, *edited], applied, files)
    done, pending = tuple(files[:reached]), tuple(files[reached:])
    if edited:
        way_out = (
            "bring back the file as it was applied, and make the change as a new revision; where the new text does the"
            f" same: `pgstack migrate repair {app} REVISION --reason WHY` (a dev stack can also be made anew: pgstack"
            " reset)"
        )
        return Standing(app, "edited", at, f"{'; '.join(edited)}: {way_out}", (), done)
    if pending:
        return Standing(app, "older", at, f"{len(pending)} pending", pending, done)
    return Standing(app, "current", at, "nothing pending", (), done)


def _inconsistent(
    app: str, at: str | None, gaps: Sequence[str], applied: history.Applied, files: Sequence[Revision]
) -> Standing:
    """Of a database whose two tables were not changed together, which only happens by hand."""
    reached = max((n for n, it in enumerate(files, 1) if it.revision == at or it.revision in applied), default=0)
    revision = files[reached - 1].revision if reached else "base"
    way_out = (
        f"{history.VERSION_TABLE} or {history.TABLE} was changed by hand; if the schema is that of {revision},"
        f" `alembic -n {app} stamp --purge {revision}` makes both say so"
    )
    return Standing(app, "inconsistent", at, f"{'; '.join(gaps)}: {way_out}", (), tuple(files[:reached]))


def _from_elsewhere(names: Sequence[str], there: Sequence[str], unknown: Sequence[str]) -> tuple[Kind, str]:
    """Of a database that has revisions without a file here."""
    missing = [name for name in names if name not in there]
    if len(unknown) == len(there):
        return "foreign", f"it was migrated by other files than these: {_listed(unknown)}"
    if missing:
        says = f"it has {_listed(unknown)} but not {_listed(missing)}: it was migrated from another branch"
        return "diverged", f"{says}: check that out (a dev stack can also be made anew: pgstack reset)"
    return "newer", f"it has {_listed(unknown)} as well: this checkout is older (git pull)"


def _listed(names: Sequence[str]) -> str:
    most = 3
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _others(connection: Connection, app: str) -> str:
    """Whose a database without our record is, "" if it is free for `app`.

    The schema is the sign that it is meant for this app: then others may live there too.
    """
    tables: dict[str, list[str]] = {}
    for schema, table in connection.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1, 2"
    ):
        tables.setdefault(schema, []).append(table)
    ours = [it for it in tables.pop(app, []) if it not in (history.TABLE, history.VERSION_TABLE)]
    if ours:
        return f"schema {app} has table {_listed(ours)} but no record of migrations: another tool made them"
    beside = [it for it in apps.names() if apps.host(it) == apps.host(app)]
    strange = [f"{schema}.{its[0]}" for schema, its in tables.items() if schema not in (*PROVIDERS, *beside)]
    prepared = connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (app,)).fetchone() is not None
    if strange and not prepared:
        return (
            f"database {connection.info.dbname} has no schema {app} but tables of others ({_listed(strange)}): give the"
            f" URL of {app}'s database; if it is to live here beside them, the bootstrap makes its schema"
        )
    return ""
