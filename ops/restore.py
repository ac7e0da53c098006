"""`pgstack restore`: back to any second that the repository reaches."""

from __future__ import annotations

import datetime
import functools
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ops.errors import EngineError, OpsError, UnknownError
from ops.prompts import confirm
from ops.settings import settings
from ops.stack import Stack, StackOption

if TYPE_CHECKING:
    from ops.engine import Engine
    from ops.restoring.plan import Plan
    from ops.restoring.targets import Target

LOCAL, OFFSITE = "local", "offsite"
_SPARE = 1024**3  # bytes that stay free for the live cluster
restore = typer.Typer(name="restore", help="Go back to any second that the backups reach.", no_args_is_help=True)
ToOption = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="TIME|XID|LSN|NAME|latest|immediate",
        help="Where to go back to: '2026-11-21 14:30' (in your zone, or name one), '10 min ago', a transaction's "
        "number, an LSN, a restore point's name, as far as WAL is archived, or the end of the newest backup.",
    ),
]
FromOption = Annotated[
    Literal["local", "offsite", "old", "old-offsite"] | None,
    typer.Option(
        "--repository",
        help="Which to restore from; else the local one. Old: of before the key was rotated (`pgstack keys rotate`).",
    ),
]
NumberArgument = Annotated[int, typer.Argument(metavar="NUMBER", help="Which one: `pgstack restore list`.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


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
    from ops.restoring import shown  # noqa: PLC0415
    from ops.words import in_json  # noqa: PLC0415

    planned = _planned(target, Engine.connect(found.pulumi.environ), found.container("backup"), repository or LOCAL)
    if as_json:
        print(json.dumps({**asdict(planned), "possible": planned.possible}, indent=2, default=in_json))
    else:
        shown.show(planned, growing=_grows(repository))
    if not planned.possible:
        raise OpsError(shown.impossible(planned))


@restore.command()
def run(
    to: ToOption,
    stack: StackOption = None,
    repository: FromOption = None,
    swap: Annotated[bool, typer.Option("--swap", help="Then move the clients to it, as `restore swap` does.")] = False,
    database: Annotated[
        str | None, typer.Option(metavar="APP", help="Replace this one application's database, and nothing else.")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="APP.TABLE", help="Copy this one table into schema APP_before of the live one."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="With --database or --table: keep the cluster that was restored for it.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Restore into a cluster of its own beside the live one, by `pulumi up`, to look at with `pgstack psql -g NUMBER`.

    The live cluster works on, untouched. Interrupted or failed, it is finished by `pulumi up` or given up by
    `pgstack restore drop`; with --database or --table, the same command goes on.

    Examples:

    pgstack restore run --to '2026-11-21 14:30 Europe/Berlin'

    pgstack restore run --to '10 min ago' --swap

    pgstack restore run --to before-import --database maps

    pgstack restore run --to '10 min ago' --table maps.users
    """
    from ops.restoring import parts  # noqa: PLC0415 - slow imports come after what fails fast
    from ops.restoring.targets import parse  # noqa: PLC0415

    if swap + (database is not None) + (table is not None) > 1:
        raise typer.BadParameter("give one of --swap (all), --database and --table")
    if keep and database is table is None:
        raise typer.BadParameter("--keep is for --database and --table: without them, what is restored stays")
    one_table = parts.table(table) if table is not None else None
    now = datetime.datetime.now().astimezone()
    target = parse(to, now)
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415
    from ops.restoring import apart, carried, generations, shown  # noqa: PLC0415
    from ops.restoring.wal import lsn_text  # noqa: PLC0415

    engine, server = Engine.connect(found.pulumi.environ), found.container("postgres")
    part = apart.wanted(found, engine, database, one_table)
    if _grows(repository):
        _archive_all(engine, server, f"restore-{now.astimezone(datetime.UTC):%Y%m%dT%H%M%SZ}")
    if repository == OFFSITE:
        carried.wait(engine, found.container("backup"))
    planned = _planned(target, engine, found.container("backup"), repository or LOCAL)
    shown.show(planned, growing=_grows(repository))
    if not planned.possible:
        raise OpsError(shown.impossible(planned))
    _insist_on_room(planned, engine, found.container("backup"), part.size if part else 0)
    if not yes and part:
        apart.ask(part)
    if not yes and swap:
        _confirm_swap(found)
    origin = {"backup": planned.backup.label, "lsn": lsn_text(planned.stop), "timeline": str(planned.timeline)}
    if repository:
        origin["repository"] = repository
    if part:
        apart.out_of(found, engine, part, origin, str(planned.target), keep=keep)
        return
    number = generations.following(found)
    broken = swap and not engine.serves(server)  # a deployment insists that the live one serves
    generations.add(found, number, origin, at_once_live=broken)
    if not swap:
        print(f"generation {number} is restored: pgstack psql {found.apps[0]} -g {number}")
        return
    if not broken:
        generations.make_live(found, number)
    print(f"generation {number} is live: `pgstack restore undo` moves the clients back")


@restore.command()
def swap(number: NumberArgument, stack: StackOption = None, yes: YesOption = False) -> None:
    """Move the clients to a restored cluster, by `pulumi up`: they wait some moments, none fails.

    What was live before stays as it is, read only, and is at hand with `pgstack psql -g NUMBER`. The pooled URLs stay;
    the direct ones get another port (`pgstack env`).

    Example: pgstack restore swap 2
    """
    found = Stack.read(stack)
    _insist_on_one_beside(found, number)
    if not yes:
        _confirm_swap(found)
    from ops.restoring import generations  # noqa: PLC0415 - slow imports come after what fails fast

    generations.make_live(found, number)
    print(f"generation {number} is live: `pgstack restore undo` moves the clients back")


@restore.command()
def undo(
    stack: StackOption = None,
    database: Annotated[
        str | None, typer.Option(metavar="APP", help="Only this application, after `restore run --database`.")
    ] = None,
    yes: YesOption = False,
) -> None:
    """Move the clients back to the cluster (or the database) that was live before the last move, as it was then.

    What was committed since stays in the one that they leave, read only, until it is dropped. Undo that by another.

    Examples:

    pgstack restore undo

    pgstack restore undo --database maps
    """
    found = Stack.read(stack)
    if database is not None:
        from ops.restoring import apart  # noqa: PLC0415 - slow imports come after what fails fast

        print(apart.undo(found, database, yes=yes))
        return
    if not yes:
        _confirm_swap(found)
    from ops.restoring import generations  # noqa: PLC0415

    print(f"generation {generations.make_live_again(found)} is live again")


@restore.command(name="list")
def list_(stack: StackOption = None) -> None:
    """List the clusters of the stack, the live one and those beside it, and what each was restored from.

    Then the databases that `restore run --database` replaced, which are kept until they are dropped.

    Example: pgstack restore list
    """
    found = Stack.read(stack)
    from rich.console import Console  # noqa: PLC0415 - slow imports come after what fails fast

    from ops import tables  # noqa: PLC0415
    from ops.engine import Engine  # noqa: PLC0415
    from ops.restoring import apart  # noqa: PLC0415
    from ops.words import size  # noqa: PLC0415

    engine, wanted = Engine.connect(found.pulumi.environ), settings(found.name)
    live = found.container("postgres")
    rows = []
    for number in sorted({*wanted.generations, *wanted.live}):
        name = found.cluster(number)
        container = engine.container(name)
        state = container.status if container else "missing: `pulumi up` makes it"
        origin = wanted.generations.get(number)
        came = (origin.get("repository", LOCAL), origin["backup"], origin["lsn"]) if origin else ("", "", "")
        use = "live" if name == live else "read only" if number in wanted.live else "beside"
        rows.append((str(number), use, *came, state))
    tables.show(Console(highlight=False), ("number", "use", "from", "backup", "up to", "container"), rows)
    if kept := apart.kept(found, engine):
        replaced = [(it.name, it.database, size(it.size)) for it in kept]
        tables.show(Console(highlight=False), ("database", "replaced as", "size"), replaced)


@restore.command()
def drop(
    which: Annotated[
        str,
        typer.Argument(metavar="NUMBER|DATABASE", help="A cluster, or a replaced database: `pgstack restore list`."),
    ],
    stack: StackOption = None,
    yes: YesOption = False,
) -> None:
    """Remove a cluster that is not live, with its container and volumes, by `pulumi up`; or a replaced database.

    Examples:

    pgstack restore drop 2

    pgstack restore drop maps_before_20261121_143000
    """
    found = Stack.read(stack)
    if not which.isdecimal():
        from ops.restoring import apart  # noqa: PLC0415 - slow imports come after what fails fast

        apart.drop(found, which, yes=yes)
        print(f"database {which} is gone")
        return
    number = int(which)
    _insist_on_one_beside(found, number)
    if not yes:
        confirm(f"All that is only in cluster {number} goes with it, for ever. Go on?")
    from ops.restoring import generations  # noqa: PLC0415

    generations.remove(found, number)


def _insist_on_one_beside(stack: Stack, number: int) -> None:
    """Raise UnknownError unless the stack has such a cluster and it is not the live one."""
    beside = settings(stack.name).beside(stack.live)
    if number not in beside:
        there = f"there are {', '.join(map(str, beside))}" if beside else "there is none"
        raise UnknownError(
            f"stack {stack.name} has no cluster {number} beside the live one: {there} (`pgstack restore list`)"
        )


def _confirm_swap(stack: Stack) -> None:
    confirm(
        f"The clients of stack {stack.name} move to another cluster; what only the present one has stays there. Go on?"
    )


def _archive_all(engine: Engine, server: str, name: str) -> None:
    """Mark the present moment, so that all that was committed is archived."""
    from db import restore_points  # noqa: PLC0415 - slow imports come after what fails fast
    from db.errors import RestorePointError  # noqa: PLC0415

    try:
        restore_points.create(name, functools.partial(engine.query, server))
    except (EngineError, RestorePointError) as error:  # which may be why somebody restores
        print(f"only what is archived can be restored, not all that was committed: {error}", file=sys.stderr)


def _planned(target: Target, engine: Engine, container: str, name: str) -> Plan:
    from rich.console import Console  # noqa: PLC0415 - slow imports come after what fails fast

    from ops.restoring.archive import planned  # noqa: PLC0415

    with Console(stderr=True).status("reading the archive"):
        return planned(target, engine, container, name)


def _insist_on_room(plan: Plan, engine: Engine, container: str, copy: int) -> None:
    """Raise OpsError if the restored cluster, with the WAL that is replayed, would fill the disk of the live one.

    `copy`: bytes that are to be copied out of it, and are WAL again.
    """
    from ops.readings.repository import ask  # noqa: PLC0415
    from ops.words import size  # noqa: PLC0415

    wanted = plan.backup.size + plan.wal + 2 * copy + _SPARE
    for disk in ask(engine, container).disks:
        if disk.volume == "data" and disk.free < wanted:
            raise OpsError(
                f"a restored cluster needs {size(wanted)} beside the live one and {size(disk.free)} are free: free"
                " some, or drop one (`pgstack restore list`); nothing was changed"
            )


def _grows(repository: str | None) -> bool:
    """Whether the live server archives there; one of before the key was rotated stays as it is."""
    return repository is None or not repository.startswith("old")
