"""`pgstack migrate repair`: accept a file that differs from what was applied."""

from __future__ import annotations

from typing import Annotated

import typer

from ops.stack import CaOption, StackOption, choose


def repair(
    app: Annotated[str, typer.Argument(metavar="APP", help="The application.")],
    revision: Annotated[str, typer.Argument(metavar="REVISION", help="The applied revision, by its full name.")],
    reason: Annotated[str, typer.Option("--reason", help="Why the file differs: it stays in the history.")],
    stack: StackOption = None,
    url: Annotated[
        str | None, typer.Option("--url", help="A direct URL of any database, instead of the stack's.")
    ] = None,
    ca: CaOption = None,
) -> None:
    """Accept a migration's file as it is now, though the database has applied another text of it.

    The history keeps who did it, when and why. Nothing is migrated: what the two texts do otherwise stays different.

    Example: pgstack migrate repair maps 0003_readers_see_no_tokens --reason "a comment was put right"
    """
    found = choose(stack, url, ca)
    from db.migrations.repair import repair as accept  # noqa: PLC0415 - after what fails fast

    ca_file = found.ca_file() if found else ca
    accept(app, url or found.url(app, "direct"), revision, reason=reason, ca_file=ca_file)  # type: ignore[union-attr]
