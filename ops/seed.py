"""`pgstack seed`: write an app's seed rows now."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ops.prompts import confirm
from ops.settings import settings
from ops.stack import Stack, StackOption


def seed(
    app: Annotated[str | None, typer.Argument(metavar="[APP]", help="The application; all if left out.")] = None,
    stack: StackOption = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SET", help="base, demo or load; can be given twice. Else the stack's pgstack:seeds."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before example rows go into production.")] = False,
) -> None:
    """Write seed rows that are missing; a second run writes nothing. `pulumi up` does this too.

    `base` is what an application needs, `demo` a few rows to look at, `load` 100,000 and more a table to measure with.

    Examples:

    pgstack seed

    pgstack seed dovvybuddy --set base --set demo

    pgstack seed bots --set load -s preview-12
    """
    from db import seeds  # noqa: PLC0415 - not for help

    if unknown := [name for name in sets or () if name not in seeds.SETS]:
        raise typer.BadParameter(f'"{unknown[0]}" is no seed set: give one of {", ".join(seeds.SETS)}')
    found = Stack.read(stack)
    apps = [found.app(app)] if app else found.apps
    wanted = tuple(sets or settings(found.name).seeds)
    examples = [name for name in sets or () if name in seeds.NOT_IN_PRODUCTION]
    if examples and found.environment not in seeds.WITH_EXAMPLES and not yes:
        confirm(f"Stack {found.name} is production: write the example rows of {', '.join(examples)} into it?")
    for name in apps:
        written = seeds.seed(
            name,
            found.url(name, "direct"),
            wanted,
            ca_file=found.ca_file(),
            environment=found.environment,
            allowed_in_production=examples,
            report=_progress if "load" in wanted else _silent,
        )
        print(f"{name}: {written} rows written ({', '.join(wanted)})", flush=True)


def _progress(line: str) -> None:
    """A set of that size takes minutes; what is printed stays a line an app."""
    print(line, file=sys.stderr, flush=True)


def _silent(line: str) -> None:
    pass
