"""`pgstack seed`: write an app's seed rows now."""

from __future__ import annotations

from typing import Annotated

import typer

from ops.settings import settings
from ops.stack import Stack, StackOption


def seed(
    app: Annotated[str | None, typer.Argument(metavar="[APP]", help="The application; all if left out.")] = None,
    stack: StackOption = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SET", help="base or demo; can be given twice. Else the stack's pgstack:seeds."),
    ] = None,
) -> None:
    """Write seed rows that are missing or differ; a second run writes nothing. `pulumi up` does this too.

    Examples:

    pgstack seed

    pgstack seed dovvybuddy --set base --set demo
    """
    from db import seeds  # noqa: PLC0415 - not for help

    if unknown := [name for name in sets or () if name not in seeds.SETS]:
        raise typer.BadParameter(f'"{unknown[0]}" is no seed set: give {" or ".join(seeds.SETS)}')
    found = Stack.read(stack)
    apps = [found.app(app)] if app else found.apps
    wanted = tuple(sets or settings(found.name).seeds)
    for name in apps:
        written = seeds.seed(
            name,
            found.url(name, "direct"),
            wanted,
            ca_file=found.ca_file(),
            environment=found.environment,
            report=lambda _: None,
        )
        print(f"{name}: {written} rows written ({', '.join(wanted)})", flush=True)
