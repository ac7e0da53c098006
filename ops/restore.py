"""`pgstack restore`: back to any second that the repository reaches."""

from __future__ import annotations

import datetime
import functools
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ops.errors import OpsError
from ops.stack import Stack, StackOption

if TYPE_CHECKING:
    from ops.restoring.plan import Plan

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


@restore.command(name="plan")
def plan_(
    to: ToOption,
    stack: StackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same for scripts, as one JSON object.")] = False,
) -> None:
    """Show what a restore would bring back and what it would leave out. Changes nothing, and needs no running server.

    Example: pgstack restore plan --to '10 min ago'
    """
    from ops.restoring.targets import parse  # noqa: PLC0415 - slow imports come after what fails fast

    target = parse(to, datetime.datetime.now().astimezone())
    found = Stack.read(stack)
    from rich.console import Console  # noqa: PLC0415

    from ops.engine import Engine  # noqa: PLC0415
    from ops.readings.repository import repository  # noqa: PLC0415
    from ops.restoring import wal  # noqa: PLC0415
    from ops.restoring.plan import plan  # noqa: PLC0415
    from ops.words import in_json  # noqa: PLC0415

    engine, container = Engine.connect(found.pulumi.environ), found.container("backup")
    console = Console(highlight=False)
    with Console(stderr=True).status("reading the archive"):
        there = repository(engine, container)
        read = functools.partial(wal.read, engine, container)
        worked_out = plan(target, there.backups, wal.listed(engine, container), read)
    if as_json:
        print(json.dumps({**asdict(worked_out), "possible": worked_out.possible}, indent=2, default=in_json))
    else:
        for name, said in _lines(worked_out):
            console.print(f"{name:<12} {said}", soft_wrap=True)
    if not worked_out.possible:
        raise OpsError(_impossible(worked_out))


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
