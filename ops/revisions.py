"""The migration files of an app against what its database records: pending, unknown, edited after the fact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.readings.server import Database

if TYPE_CHECKING:
    from db.migrations import Revision


@dataclass(frozen=True)
class Comparison:
    """`target` is where the stack's settings want the database to be: "head", unless `migrate down` pinned it."""

    app: str
    current: str | None
    head: str | None
    target: str
    pending: tuple[Revision, ...]  # up to the target
    held_back: tuple[Revision, ...]  # after the target
    differences: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether files and database say the same and nothing is left to do."""
        return not self.pending and not self.differences


def compare(files: Sequence[Revision], database: Database, target: str = "head") -> Comparison:
    """`files` are all the app's revisions, oldest first."""
    names = [it.revision for it in files]
    differences = [
        f"{it.revision} was edited after it was applied: bring the file back, and make the change a new revision"
        for it in files
        if database.applied.get(it.revision, it.checksum) != it.checksum
    ]
    differences += [
        f"{revision} is applied but has no file here: this checkout is older than the database (git pull)"
        for revision in dict.fromkeys([*sorted(database.applied), *filter(None, [database.revision])])
        if revision not in names
    ]
    reached = names.index(database.revision) + 1 if database.revision in names else 0
    if database.revision and database.revision not in names:
        reached = len(names)  # newer than every file: nothing here is pending
    stop = len(names) if target == "head" else names.index(target) + 1 if target in names else 0
    return Comparison(
        app=database.app,
        current=database.revision,
        head=names[-1] if names else None,
        target=target,
        pending=tuple(files[reached:stop]),
        held_back=tuple(files[max(reached, stop) :]),
        differences=tuple(differences),
    )
