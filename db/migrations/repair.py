"""Accepting a file that differs from what a database has applied: the history then says who did it, when and why."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from db import connections, engine
from db.errors import RevisionError
from db.migrations import history, lock, session, sums
from db.migrations.revisions import HOME, revisions
from db.urls import DatabaseURL


def repair(
    app: str,
    url: str,
    revision: str,
    *,
    reason: str,
    ca_file: str | Path | None = None,
    home: Path = HOME,
    report: Callable[[str], None] = print,
) -> None:
    """Record the checksum of `revision`'s file as the applied one. What the revision did is neither undone nor redone.

    Raises RevisionError where there is no reason, no such revision, nothing to accept, or a sum file that knows the
    file otherwise; else what `upgrade` raises before it begins.
    """
    if not reason.strip():
        raise RevisionError("a repair needs a reason: what made the file differ from what was applied?")
    files = {file.revision: file for file in revisions(app, home=home)}
    if revision not in files:
        raise RevisionError(f'{app} has no revision "{revision}": there are {", ".join(files)}')
    sums.verify(app, tuple(files.values()), home, drafts=True)
    source = engine.unpooled(DatabaseURL.parse(url), ca_file=ca_file, name="pgstack repair")
    with (
        closing(connections.connect(DatabaseURL.parse(url), ca_file=ca_file, name="pgstack repair")) as control,
        source.connect() as connection,
    ):
        session.refuse_transaction_pooler(control, connection)
        with lock.held(control, f"migrations of {app}", report):
            session.check_target(control, app)
            history.prepare(control, app)
            applied = history.recorded(control, app).get(revision)
            if applied is None:
                raise RevisionError(f"{revision} ({app}) is not applied there: there is nothing to repair")
            if applied[0] == files[revision].checksum:
                raise RevisionError(f"{revision} ({app}) is applied as the file has it: there is nothing to repair")
            history.repaired(control, app, files[revision], " ".join(reason.split()))
    report(f"{app}: {revision} is accepted as the file has it now: {' '.join(reason.split())}")
