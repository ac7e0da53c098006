"""`pgstack drill`: restore a copy, compare it with what was committed, remove it; and what came of those before."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ops.errors import EngineError, OpsError
from ops.stack import Stack, StackOption

if TYPE_CHECKING:
    from ops.engine import Engine
    from ops.restoring.targets import Target

drill = typer.Typer(
    name="drill", help="Restore a copy and compare it with what was committed.", invoke_without_command=True
)
_PROGRAM = ("python3", "-m", "db.drills", "drill")


@drill.callback()
def run(
    context: typer.Context,
    stack: StackOption = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="TIME|XID|LSN|NAME|latest",
            help="Where the copy ends, as `pgstack restore plan` takes it; else a random moment of the ledger.",
        ),
    ] = None,
) -> None:
    """Make a drill now: restore a copy, read every table, check every index, compare all with the ledger, remove it.

    The live cluster works on. Without --to the copy ends at a random entry of the ledger, and must be what that says,
    row for row; at any other moment there is nothing to compare with, and the copy is only read and checked.

    Exit codes: 0 all is as it was, 1 it is not, each problem a line. docs/drills.md says what that proves.

    Examples:

    pgstack drill

    pgstack drill list
    """
    if context.invoked_subcommand is not None:
        return
    target = _parsed(to)
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415 - slow imports come after what fails fast

    engine, container = Engine.connect(found.pulumi.environ), found.container("drills")
    where = _where(target, engine, found.container("backup")) if target else ()
    try:
        for line in engine.follow(container, [*_PROGRAM, *where]):
            print(line, flush=True)
    except KeyboardInterrupt:
        print(f"the drill goes on inside {container}: `pgstack drill list` shows it when it is complete")
        raise
    except EngineError as error:
        raise OpsError(f"the drill did not pass: {error}") from None


@drill.command(name="list")
def list_(
    stack: StackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same for scripts, as one JSON object.")] = False,
) -> None:
    """List the drills, oldest first, once their signatures are verified.

    Exit codes: 0 the evidence is whole, 1 it was changed or cut.

    Example: pgstack drill list
    """
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415 - slow imports come after what fails fast
    from ops.readings.drills import ask  # noqa: PLC0415
    from ops.words import ago, in_json  # noqa: PLC0415

    read = ask(Engine.connect(found.pulumi.environ), found.container("drills"), found)
    if as_json:
        print(json.dumps(asdict(read), indent=2, default=in_json))
    else:
        from rich.console import Console  # noqa: PLC0415

        from ops import tables  # noqa: PLC0415

        rows = [
            (
                f"{it.began:%Y-%m-%d %H:%M}",
                it.words,
                ago(time.time() - it.at.timestamp()) if it.at else "as asked",
                str(it.tables_compared),
                _seconds(it.recovery_seconds),
                _seconds(it.recovery_point_seconds),
            )
            for it in read.drills
        ]
        columns = ("began (UTC)", "outcome", "copy of", "compared", "recovery", "point")
        tables.show(Console(highlight=False), columns, rows)
        for it in read.drills:
            for problem in it.problems:
                print(f"{it.began:%Y-%m-%d %H:%M}  {problem}")
    if read.broken:
        raise OpsError(f"the evidence was tampered with or damaged: {read.broken}")


def _seconds(amount: float | None) -> str:
    return "" if amount is None else f"{amount:.1f} s"


def _parsed(to: str | None) -> Target | None:
    if to is None:
        return None
    from ops.restoring.targets import parse  # noqa: PLC0415 - as above

    return parse(to, datetime.datetime.now().astimezone())


def _where(target: Target, engine: Engine, container: str) -> Sequence[str]:
    """The program's options for a copy that ends at `target`. Raises OpsError where nothing leads there."""
    from ops.restoring.archive import planned  # noqa: PLC0415 - as above

    plan = planned(target, engine, container)
    if not plan.possible:
        raise OpsError("that can't be restored: `pgstack restore plan` says why")
    return ("--to", plan.backup.label, str(plan.timeline), str(plan.stop))
