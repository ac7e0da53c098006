"""`pgstack migrate`: applying what is pending, going back, and new revisions; other verbs have their own files."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Sequence
from typing import Annotated

import typer

from ops import PROJECT, drift
from ops.errors import FAILED, OpsError, PulumiError, UnknownError
from ops.prompts import confirm
from ops.pulumi import REPO, Pulumi
from ops.settings import settings
from ops.stack import CaOption, Stack, StackOption, choose, resolve

migrate = typer.Typer(
    name="migrate", help="Plan, apply, undo, check and write migrations.", no_args_is_help=True, rich_markup_mode=None
)
App = Annotated[str | None, typer.Argument(metavar="[APP]", help="The application; all if left out.")]
Json = Annotated[bool, typer.Option("--json", help="The same for scripts, as one JSON object.")]


@migrate.command()
def up(app: App = None, stack: StackOption = None) -> None:
    """Apply what is pending, by `pulumi up`: a restore point first, then the migrations and seeds.

    An app that `migrate down` held at a revision is let go to the newest one.

    Example: pgstack migrate up -s staging
    """
    pulumi = Pulumi.prepared()
    name = resolve(stack, pulumi)
    for held in settings(name).revisions:
        if app in {None, held}:
            _unpin(pulumi, name, held)
    pulumi.run("up", "--yes", "--skip-preview", stack=name)


@migrate.command(context_settings={"ignore_unknown_options": True})  # -1 is a revision here
def down(
    app: Annotated[str, typer.Argument(metavar="APP", help="The application.")],
    revision: Annotated[str, typer.Argument(metavar="REVISION", help="Where to go: a revision, base, or -1, -2 ...")],
    stack: StackOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, though rows may be lost.")] = False,
) -> None:
    """Undo migrations, by `pulumi up`; the app stays at that revision until `pgstack migrate up`.

    Examples:

    pgstack migrate down maps -1

    pgstack migrate down dovvybuddy base -s preview-12
    """
    found = Stack.read(stack)
    found.app(app)
    from db import migrations  # noqa: PLC0415 - after what fails fast

    files = migrations.revisions(app)
    current = migrations.current(app, found.url(app, "direct"), ca_file=found.ca_file())
    target = aim(app, [it.revision for it in files], current, revision)
    names = ["base", *(it.revision for it in files)]
    undone = files[names.index(target) : names.index(current or "base")][::-1]
    if not undone:
        print(f"{app} is at {current or 'base'} already: nothing to undo")
        return
    final = [it.revision for it in undone if not it.reversible]
    if final:
        raise OpsError(f"{app}: {', '.join(final)} can not be undone (Reversible: No): restore a backup instead")
    print(f"{app} goes from {current} back to {target} by undoing, in this order:")
    for it in undone:
        print(f"  {it.revision}  {it.purpose}")
    if not yes:
        confirm("Rows of tables and columns that these added will be lost. Go on?")
    before = settings(found.name).revisions.get(app)
    _pin(found.pulumi, found.name, app, target)
    try:
        found.pulumi.run("up", "--yes", "--skip-preview", stack=found.name)
    except (OpsError, KeyboardInterrupt):
        # else the next `pulumi up`, meant for something else, would undo migrations
        if before:
            _pin(found.pulumi, found.name, app, before)
        else:
            _unpin(found.pulumi, found.name, app)
        raise


@migrate.command()
def check(
    app: App = None,
    stack: StackOption = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="Look at this database instead of a stack's; APP says whose it is."),
    ] = None,
    ca: CaOption = None,
    as_json: Json = False,
) -> None:
    """Compare live databases with the repository, history and schema: 0 if they agree, 1 if anything differs.

    Examples:

    pgstack migrate check && echo deployed

    pgstack migrate check maps --url "$POSTGRES_DIRECT_URL"
    """
    deployed = choose(stack, url, ca)
    if deployed is not None:
        names = [deployed.app(app)] if app else deployed.apps
        found = [drift.check(it, deployed.url(it, "direct"), ca_file=deployed.ca_file()) for it in names]
    elif app is None or url is None:
        raise typer.BadParameter("name the app whose database it is: pgstack migrate check APP --url ...")
    else:
        found = [drift.check(app, url, ca_file=ca)]
    if as_json:
        print(json.dumps({it.app: it.described() for it in found}, indent=2))
    else:
        print("\n".join(line for it in found for line in it.lines()))
    if not all(it.agrees for it in found):
        raise typer.Exit(FAILED)


@migrate.command()
def revision(
    app: Annotated[str, typer.Argument(metavar="APP", help="The application.")],
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="What it does, in a few words: it names the file.")],
    stack: StackOption = None,
    autogenerate: Annotated[
        bool, typer.Option("--autogenerate", help="Fill it in with how the models differ from the stack's database.")
    ] = False,
) -> None:
    """Write the next migration's file, with its header to fill in. Needs no stack unless --autogenerate.

    Example: pgstack migrate revision maps "add a slug to places"
    """
    from db.migrations import runner  # noqa: PLC0415 - loads SQLAlchemy

    found = Stack.read(stack) if autogenerate else None
    url, ca_file = (found.url(app, "direct"), found.ca_file()) if found else (None, None)
    with contextlib.redirect_stdout(io.StringIO()):  # Alembic tells the same with a longer path
        path = runner.new(app, message, url=url, ca_file=ca_file)
    print(f"{path.relative_to(REPO)}: fill in Purpose and Rollback, then `pgstack migrate plan {app}`")


def aim(app: str, names: Sequence[str], current: str | None, wanted: str) -> str:
    """The revision (or base) that `wanted` means: itself, its number, or so many back.

    Raises UnknownError for what names none, OpsError for one that is not below.
    """
    line = ["base", *names]
    at = line.index(current) if current in line else 0 if current is None else None
    if at is None:
        raise OpsError(f"{app} is at {current}, which has no file here: this checkout is older than the database")
    if re.fullmatch(r"-\d+", wanted):
        back = int(wanted[1:])
        if back > at:
            raise UnknownError(f"{app} is at {current or 'base'}, {at} revisions above base: it can't go {back} back")
        return line[at - back]
    matches = [name for name in line if name == wanted or name.startswith(f"{wanted}_")]
    if not matches:
        raise UnknownError(f'{app} has no revision "{wanted}": there are {", ".join(line)}')
    if line.index(matches[0]) > at:
        raise OpsError(f"{app} is at {current or 'base'}, below {matches[0]}: `pgstack migrate up` goes there")
    return matches[0]


def _pin(pulumi: Pulumi, stack: str, app: str, target: str) -> None:
    pulumi.ask("config", "set", "--path", f"{PROJECT}:revisions.{app}", target, stack=stack)


def _unpin(pulumi: Pulumi, stack: str, app: str) -> None:
    try:
        pulumi.ask("config", "rm", "--path", f"{PROJECT}:revisions.{app}", stack=stack)
    except PulumiError as error:
        raise OpsError(
            f"{app} is still held at its revision ({error}): pulumi config rm --path {PROJECT}:revisions.{app}"
        ) from error
