"""`pgstack restore`: back to any second that the repository reaches."""

from __future__ import annotations

import datetime
import functools
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ops import PROJECT
from ops.errors import EngineError, OpsError, UnknownError
from ops.prompts import confirm
from ops.settings import settings
from ops.stack import Stack, StackOption

if TYPE_CHECKING:
    from ops.engine import Engine
    from ops.restoring.plan import Plan
    from ops.restoring.targets import Target

LOCAL = "local"
_SPARE = 1024**3  # bytes that stay free for the live cluster
restore = typer.Typer(name="restore", help="Go back to any second that the backups reach.", no_args_is_help=True)
ToOption = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="TIME|XID|LSN|NAME|latest",
        help="Where to go back to: '2026-11-21 14:30' (in your zone, or name one), '10 min ago', a transaction's "
        "number, an LSN, a restore point's name, or as far as WAL is archived.",
    ),
]


FromOption = Annotated[
    Literal["local", "offsite"] | None, typer.Option("--repository", help="Which to restore from; else the local one.")
]
GenerationArgument = Annotated[int, typer.Argument(metavar="NUMBER", help="Which one: `pgstack restore list`.")]


@restore.command(name="plan")
def plan_(
    to: ToOption,
    stack: StackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same for scripts, as one JSON object.")] = False,
    repository: FromOption = None,
) -> None:
    """Show what a restore would bring back and what it would leave out. Changes nothing, and needs no running server.

    Example: pgstack restore plan --to '10 min ago'
    """
    from ops.restoring.targets import parse  # noqa: PLC0415 - slow imports come after what fails fast

    target = parse(to, datetime.datetime.now().astimezone())
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415
    from ops.words import in_json  # noqa: PLC0415

    planned = _planned(target, Engine.connect(found.pulumi.environ), found.container("backup"), repository or LOCAL)
    if as_json:
        print(json.dumps({**asdict(planned), "possible": planned.possible}, indent=2, default=in_json))
    else:
        _show(planned)
    if not planned.possible:
        raise OpsError(_impossible(planned))


@restore.command()
def run(to: ToOption, stack: StackOption = None, repository: FromOption = None) -> None:
    """Restore into a cluster of its own beside the live one, by `pulumi up`, to look at with `pgstack psql -g NUMBER`.

    The live cluster works on, untouched. Interrupted or failed, it is finished by `pulumi up` or given up by
    `pgstack restore drop`.

    Example: pgstack restore run --to '2026-11-21 14:30 Europe/Berlin'
    """
    from ops.restoring.targets import parse  # noqa: PLC0415 - slow imports come after what fails fast

    now = datetime.datetime.now().astimezone()
    target = parse(to, now)
    found = Stack.read(stack)
    from db import restore_points  # noqa: PLC0415
    from db.errors import RestorePointError  # noqa: PLC0415
    from ops.engine import Engine  # noqa: PLC0415
    from ops.restoring.wal import lsn_text  # noqa: PLC0415

    engine, server = Engine.connect(found.pulumi.environ), found.container("postgres")
    name = f"restore-{now.astimezone(datetime.UTC):%Y%m%dT%H%M%SZ}"
    try:  # with it, all that was committed is archived
        restore_points.create(name, functools.partial(engine.query, server))
    except (EngineError, RestorePointError) as error:  # which may be why somebody restores
        print(f"only what is archived can be restored, not all that was committed: {error}", file=sys.stderr)
    planned = _planned(target, engine, found.container("backup"), repository or LOCAL)
    _show(planned)
    if not planned.possible:
        raise OpsError(_impossible(planned))
    _insist_on_room(planned, engine, found.container("backup"))
    number = max([1, *settings(found.name).generations]) + 1
    origin = {"backup": planned.backup.label}
    if repository:
        origin["repository"] = repository
    if planned.stop is not None:
        origin["lsn"] = lsn_text(planned.stop)
    given = [
        it for key, value in origin.items() for it in ("--plaintext", f"{PROJECT}:generations.{number}.{key}={value}")
    ]
    found.pulumi.ask("config", "set-all", "--path", *given, stack=found.name)
    try:
        found.pulumi.run("up", "--yes", "--skip-preview", stack=found.name)
    except (OpsError, KeyboardInterrupt):
        ways = f"`pulumi up` goes on with it, `pgstack restore drop {number}` gives it up"
        print(f"generation {number} is not ready: {ways}", file=sys.stderr)
        raise
    print(f"generation {number} is restored: pgstack psql {found.apps[0]} -g {number}")


@restore.command(name="list")
def list_(stack: StackOption = None) -> None:
    """List the restored clusters, and what each was restored from.

    Example: pgstack restore list
    """
    found = Stack.read(stack)
    from rich.console import Console  # noqa: PLC0415 - slow imports come after what fails fast

    from ops import tables  # noqa: PLC0415
    from ops.engine import Engine  # noqa: PLC0415

    engine = Engine.connect(found.pulumi.environ)
    rows = []
    for number, origin in sorted(settings(found.name).generations.items()):
        container = engine.container(f"{found.prefix}-postgres-{number}")
        state = container.status if container else "missing: `pulumi up` makes it"
        rows.append((str(number), origin["backup"], origin.get("lsn") or "the backup's end", state))
    if rows:
        tables.show(Console(highlight=False), ("number", "backup", "up to", "container"), rows)
    else:
        print("there is no restored cluster: `pgstack restore run --to ...` makes one")


@restore.command()
def drop(
    number: GenerationArgument,
    stack: StackOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a restored cluster with its container and volumes, by `pulumi up`. The live one can't be named.

    Example: pgstack restore drop 2
    """
    found = Stack.read(stack)
    known = settings(found.name).generations
    if number not in known:
        there = f"there are {', '.join(map(str, sorted(known)))}" if known else "there is none"
        raise UnknownError(f"stack {found.name} has no restored cluster {number}: {there} (`pgstack restore list`)")
    if not yes:
        confirm(f"What was changed in restored cluster {number} goes with it. Go on?")
    found.pulumi.ask("config", "rm", "--path", f"{PROJECT}:generations.{number}", stack=found.name)
    found.pulumi.run("up", "--yes", "--skip-preview", stack=found.name)


def _planned(target: Target, engine: Engine, container: str, name: str) -> Plan:
    from rich.console import Console  # noqa: PLC0415 - slow imports come after what fails fast

    from ops.readings.repository import repositories, repository  # noqa: PLC0415
    from ops.restoring import wal  # noqa: PLC0415
    from ops.restoring.plan import plan  # noqa: PLC0415

    with Console(stderr=True).status("reading the archive"):
        repositories(engine, container, name)
        there = repository(engine, container, name)
        read = functools.partial(wal.read, engine, container, repository=name)
        return plan(target, there.backups, wal.listed(engine, container, name), read)


def _insist_on_room(plan: Plan, engine: Engine, container: str) -> None:
    """Raise OpsError if the restored cluster, with the WAL that is replayed, would fill the disk of the live one."""
    from ops.readings.repository import ask  # noqa: PLC0415
    from ops.words import size  # noqa: PLC0415

    wanted = plan.backup.size + plan.wal + _SPARE
    for disk in ask(engine, container).disks:
        if disk.volume == "data" and disk.free < wanted:
            raise OpsError(
                f"a restored cluster needs {size(wanted)} beside the live one and {size(disk.free)} are free: free"
                " some, or drop one (`pgstack restore list`); nothing was changed"
            )


def _show(plan: Plan) -> None:
    for name, said in _lines(plan):
        print(f"{name:<12} {said}")


def _lines(plan: Plan) -> list[tuple[str, str]]:
    from ops.words import ago, size, span  # noqa: PLC0415

    now = datetime.datetime.now(datetime.UTC)
    began, ended = plan.window
    kept = "no transaction since the backup"
    if plan.kept:
        kept = f"all up to transaction {plan.kept.xid}, committed {_at(plan.kept.at)}"
    discarded = "nothing that is archived"
    if plan.discarded and plan.newest:
        discarded = f"{plan.discarded:,} transactions after it, the last committed {_at(plan.newest.at)}"
    segments = "all there" if not plan.missing else f"{len(plan.missing)} MISSING"
    lines = [
        ("window", f"{_at(began)} to {_at(ended)}"),
        ("target", str(plan.target)),
        (
            "backup",
            f"{plan.backup.label}, {plan.backup.type}, complete {_at(plan.backup.stop)}, {size(plan.backup.size)}",
        ),
        ("WAL", f"{plan.first} to {plan.last}, {size(plan.wal)}, {segments}"),
        ("keeps", kept),
        ("leaves out", discarded),
        ("takes", f"about {span(plan.seconds)}"),
    ]
    if plan.target.at is not None:
        lines[1] = ("target", f"{plan.target}, {ago((now - plan.target.at).total_seconds())}")
    if plan.target.kind == "latest" or (plan.target.at is not None and plan.target.at > plan.archived):
        archived = f"WAL up to {_at(plan.archived)}; `pgstack restore run` has the live server archive the rest first"
        lines.insert(4, ("archived", archived))
    return lines


def _impossible(plan: Plan) -> str:
    if plan.missing:
        return (
            f"WAL segment {plan.missing[0]} is not in the repository: backup {plan.backup.label} leads to the end of"
            " the segment before it, and no further; choose an earlier target"
        )
    return f"backup {plan.backup.label} holds pages with wrong checksums: `pgstack backup list` shows older ones"


def _at(moment: datetime.datetime) -> str:
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"
