"""`pgstack backup`: take one now, name a moment to come back to, list those there are."""

from __future__ import annotations

import functools
import json
import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ops.errors import EngineError, OpsError
from ops.stack import Stack, StackOption
from ops.verify import RepositoryOption

if TYPE_CHECKING:
    from ops.engine import Engine

backup = typer.Typer(
    name="backup", help="Take a backup or name a moment to come back to; list those there are.", no_args_is_help=True
)
Type = Literal["full", "diff", "incr"]
_PERCENT = re.compile(r"DETAIL: backup file .*?([\d.]+)%\)")
_LEVELS = re.compile(r"P\d+ +(WARN|ERROR|INFO): (.*)")
_LOCKED = "[050]"  # pgBackRest's code for a lock that somebody else holds


@backup.command()
def now(
    stack: StackOption = None,
    kind: Annotated[
        Type, typer.Option("--type", help="full; diff: changes since the last full; incr: since the last of any kind.")
    ] = "incr",
    repository: RepositoryOption = None,
) -> None:
    """Take a backup in each repository, and wait until it is complete and its WAL archived.

    Example: pgstack backup now --type full
    """
    if repository and repository.startswith("old"):
        raise OpsError(f"the {repository} repository takes no more backups: `pgstack keys rotate` left it behind")
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415 - slow imports come after what fails fast
    from ops.readings.repository import repositories  # noqa: PLC0415

    engine, container = Engine.connect(found.pulumi.environ), found.container("backup")
    failed = []
    for name in repositories(engine, container, repository):
        try:
            take(engine, container, kind, name)
        except OpsError as error:
            failed.append(f"{name}: {error}")
    if failed:
        raise OpsError("; ".join(failed))


def take(engine: Engine, container: str, kind: Type, name: str) -> None:
    """One backup in one repository, with its progress. Raises OpsError."""
    from rich.console import Console  # noqa: PLC0415

    from ops.readings.repository import TYPES, repository  # noqa: PLC0415
    from ops.words import size, span  # noqa: PLC0415

    began = time.monotonic()
    errors: list[str] = []
    console, taking = Console(highlight=False), f"taking a {TYPES[kind]} backup, {name}"
    command = ["env", "PGBACKREST_LOG_LEVEL_CONSOLE=detail", "/usr/local/lib/pgstack/take-backup", kind, name]
    try:
        with console.status(taking) as line:
            for said in engine.follow(container, command):
                if match := _PERCENT.search(said):
                    line.update(f"{taking}: {float(match[1]):.0f}%")
                elif (match := _LEVELS.search(said)) and match[1] != "INFO":
                    errors.append(match[2])
                    if match[1] == "WARN":
                        console.print(match[2])
    except KeyboardInterrupt:
        print(f"the backup goes on inside {container}: `pgstack backup list` shows it when it is complete")
        raise
    except EngineError as error:
        if any(_LOCKED in it for it in errors) or _LOCKED in str(error):
            raise OpsError("another backup is being taken: wait for it (`pgstack status`), then try again") from None
        raise OpsError(f"the backup failed: {' / '.join(errors) or error}") from None
    newest = repository(engine, container, name).newest()
    if newest is None:
        raise OpsError("pgBackRest reported success but lists no backup: `pgstack logs backup`")
    print(
        f"{TYPES[newest.type]} backup {newest.label} is complete, {name}: {size(newest.size)} of database, "
        f"{size(newest.stored)} stored, in {span(time.monotonic() - began)}"
    )


@backup.command(name="list")
def list_(
    stack: StackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same for scripts, as one JSON array.")] = False,
) -> None:
    """List the backups in the repositories, oldest first in each.

    Example: pgstack backup list
    """
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415 - slow imports come after what fails fast
    from ops.readings.repository import LOCAL, lost, repositories, repository  # noqa: PLC0415
    from ops.words import ago, in_json, size, span  # noqa: PLC0415

    engine, container = Engine.connect(found.pulumi.environ), found.container("backup")
    names = (*repositories(engine, container), *repositories(engine, container, kind="old"))
    read = {name: repository(engine, container, name) for name in names}
    if as_json:
        listed = [{**asdict(it), "repository": name} for name, there in read.items() for it in there.backups]
        print(json.dumps(listed, indent=2, default=in_json))
        return
    from rich.console import Console  # noqa: PLC0415

    from ops import archiving, tables  # noqa: PLC0415

    rows = [
        (
            it.label,
            name,
            it.type,
            ago(time.time() - it.stop.timestamp()),
            span((it.stop - it.start).total_seconds()),
            size(it.size),
            size(it.stored),
        )
        for name, there in read.items()
        for it in there.backups
    ]
    columns = ("label", "where", "type", "taken", "took", "database", "stored")
    tables.show(Console(highlight=False), columns, rows)
    for loss in lost(engine, container):
        print(archiving.gap(loss, read[LOCAL].backups))
    for name, there in read.items():
        if not there.sound:
            raise OpsError(f"pgBackRest says of the {name} repository: {there.message}")


@backup.command()
def point(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call this moment: letters, digits, . _ -")],
    stack: StackOption = None,
) -> None:
    """Name this moment, so that `pgstack restore` can come back to it; wait until its WAL is archived.

    Example: pgstack backup point before-import
    """
    from db import restore_points  # noqa: PLC0415 - slow imports come after what fails fast

    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415

    engine, container = Engine.connect(found.pulumi.environ), found.container("postgres")
    lsn = restore_points.create(name, functools.partial(engine.query, container))
    print(f"restore point {name} is archived, at {lsn}: pgstack restore plan --to {name}")


@backup.command()
def points(
    stack: StackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same for scripts, as one JSON array.")] = False,
) -> None:
    """List the restore points that the archive holds, oldest first; each migration made one.

    Example: pgstack backup points
    """
    found = Stack.read(stack)
    from rich.console import Console  # noqa: PLC0415 - slow imports come after what fails fast

    from ops import tables  # noqa: PLC0415
    from ops.engine import Engine  # noqa: PLC0415
    from ops.restoring import wal  # noqa: PLC0415
    from ops.words import in_json  # noqa: PLC0415

    engine, container = Engine.connect(found.pulumi.environ), found.container("backup")
    with Console(stderr=True).status("reading the archive"):
        there = wal.points(engine, container, wal.listed(engine, container))
    if as_json:
        print(json.dumps([asdict(it) for it in there], indent=2, default=in_json))
        return
    rows = [(it.name, wal.lsn_text(it.lsn), f"{it.archived:%Y-%m-%d %H:%M:%S} UTC") for it in there]
    tables.show(Console(highlight=False), ("name", "LSN", "archived"), rows)
