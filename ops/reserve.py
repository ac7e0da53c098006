"""`pgstack reserve`: the room on the data volume that is kept for the day when its disk is full."""

from __future__ import annotations

import io
import tarfile

import typer
from docker.errors import APIError, NotFound

from ops.engine import Engine, first_line
from ops.errors import EngineError, OpsError
from ops.stack import Stack, StackOption
from ops.words import size

_FOLDER, _FILE = "/var/lib/postgresql", "reserve"  # infra/selfhosted/reserve.py
_POSTGRES_UID = 999
reserve = typer.Typer(name="reserve", help="Room that is kept for the day when the disk is full.", no_args_is_help=True)


@reserve.callback()
def _group() -> None:
    """Without it, Typer would make the only command the group itself."""


@reserve.command()
def free(stack: StackOption = None) -> None:
    """Give up the reserve, so that a server on a full disk can start and work. Needs no running server.

    It buys time: the runbook docs/runbooks/disk-full.md says what to do with it. `pulumi up` makes the reserve again.

    Example: pgstack reserve free
    """
    found = Stack.read(stack)
    engine, name = Engine.connect(found.pulumi.environ), found.container("postgres")
    held = _size(engine, name)
    if held == 0:
        raise OpsError("there is no reserve to free: `pulumi up` makes it where the disk has room for it")
    # a file in its place, put there by the engine: that needs neither a process in the container nor room for one
    emptied = io.BytesIO()
    with tarfile.open(fileobj=emptied, mode="w") as tar:
        entry = tarfile.TarInfo(_FILE)
        entry.uid = entry.gid = _POSTGRES_UID
        entry.mode = 0o600
        tar.addfile(entry)
    try:
        engine.existing(name).put_archive(_FOLDER, emptied.getvalue())
    except APIError as error:
        raise EngineError(f"the reserve could not be freed: {first_line(error)}") from error
    print(
        f"freed {size(held)} under volume {found.outputs['data_volume']}: a server that could not start for want of it"
        " does within a minute; `pulumi up` makes the reserve again once there is room"
    )


def _size(engine: Engine, name: str) -> int:
    """Bytes of the reserve, 0 if there is none or it was freed."""
    try:
        _, described = engine.existing(name).get_archive(f"{_FOLDER}/{_FILE}")
    except NotFound:
        return 0
    except APIError as error:
        raise EngineError(f"the reserve could not be looked at: {first_line(error)}") from error
    return int(described["size"]) if described else 0
