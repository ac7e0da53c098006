"""Everything that can be wrong with migration files before a database is asked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from db.migrations import headers, sums
from db.migrations.findings import Finding
from db.migrations.lint import lint
from db.migrations.revisions import HOME, revisions


def refused(
    apps: Iterable[str], *, home: Path = HOME, only: str | None = None, edited: Iterable[Finding] = ()
) -> list[Finding]:
    """Headers, bytes, sums and SQL of the files in `home`; `only` is one revision, None is all.

    `edited` is what `committed.edited` found; it is told once. Raises RevisionError for files that are no line of
    revisions at all, or whose SQL can't be printed.
    """
    told = list(edited)
    known = {(it.app, it.file) for it in told}
    for app in apps:
        files = revisions(app, home=home)
        found = [it for file in files for it in headers.compare(file)]
        found += sums.compare(app, sums.listed(app, home), files, complete=True)
        told += [it for it in found if (it.app, it.file) not in known]
        told += lint(app, home=home)
    return [it for it in told if only is None or it.file == f"{only}.py"]
