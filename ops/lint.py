"""`pgstack migrate lint` and `sum`: the gates that migration files pass before a database sees them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ops.errors import FAILED, UnknownError

App = Annotated[str | None, typer.Argument(metavar="[APP]", help="The application; all if left out.")]

Base = Annotated[
    str | None,
    typer.Option(
        "--base", envvar="PGSTACK_BASE", help="The branch whose files are released.", show_default="origin's, or main"
    ),
]


def lint(
    app: App = None,
    revision: Annotated[str | None, typer.Argument(metavar="[REVISION]", help="One revision; all if left out.")] = None,
    staged: Annotated[
        bool, typer.Option("--staged", help="What is about to be committed, not what lies in the folder: for the hook.")
    ] = False,
    base: Base = None,
) -> None:
    """Refuse migration files that were edited, lack their header or sum, or whose SQL would hurt a database in use.

    Files of the base branch (--base or $PGSTACK_BASE, else origin's, else main) are released; those of your own branch
    are drafts. Needs no database.
    docs/migrations.md says what each gate wants, and how to do safely what it refuses.

    Examples:

    pgstack migrate lint

    pgstack migrate lint maps 0003_readers_see_no_tokens
    """
    from db import migrations  # noqa: PLC0415 - not for help
    from db.migrations import committed, gates  # noqa: PLC0415

    names = _named(app)
    with tempfile.TemporaryDirectory(prefix="pgstack-staged-") as folder:
        home = migrations.HOME
        if staged:
            home = Path(folder)
            committed.export_staged(home)
        if revision is not None:
            only = [it.revision for it in migrations.revisions(names[0], home=home)]
            if revision not in only:
                raise UnknownError(f'{app} has no revision "{revision}": there are {", ".join(only)}')
        edited = [it for it in committed.refused(named=base, staged=staged) if it.app in names]
        found = gates.refused(names, home=home, only=revision, edited=edited)
        unseen = "" if staged else committed.unseen(named=base)
    for it in found:
        print(it)
    if unseen:
        print(unseen, file=sys.stderr)
    if found:
        raise typer.Exit(FAILED)
    print(f"{', '.join(names)}: nothing to refuse")


def write_sums(app: App = None, base: Base = None) -> None:
    """Write the checksums of new migration files into the app's sum file, to be committed with them.

    Example: pgstack migrate sum maps
    """
    from db.migrations import committed, sums  # noqa: PLC0415 - not for help

    released = committed.base(named=base)
    for name in _named(app):
        written = sums.write(name, committed.sums_at(released, name))
        print(f"{name}: {', '.join(written) if written else 'nothing new'}")


def _named(app: str | None) -> tuple[str, ...]:
    from db import apps  # noqa: PLC0415 - not for help

    if app is not None:
        apps.folder(app)
        return (app,)
    return apps.names()
