"""`pgstack keys rotate` and `retire`: backups with another key, in repositories of their own beside those of before."""

from __future__ import annotations

import datetime
import functools
import re
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ops import PROJECT
from ops.backup import take
from ops.errors import EngineError, OpsError
from ops.locks import alone
from ops.prompts import confirm
from ops.settings import settings
from ops.stack import Stack, StackOption

if TYPE_CHECKING:
    from ops.engine import Engine

_KEYS = f"{PROJECT}:repositoryKeys"
_SPARE = 1024**3  # bytes that stay free for the WAL that goes on coming
# the lock's folder is another one: in the usual one this would stop the present repositories as well
_DELETE = """\
conf=$1 lock=/tmp/pgstack-retire
for verb in stop "stanza-delete --force" start; do
  pgbackrest --config="$conf" --stanza=main --lock-path=$lock --log-level-console=error $verb || exit
done
"""


def rotate(stack: StackOption = None) -> None:
    """Make the backups with a new key, by `pulumi up`: a first full backup with it, and then all WAL.

    The repositories of before stay as they are, with their key, and `pgstack restore --repository old` restores from
    them, until `pgstack keys retire`. Interrupted or failed, it goes on when it is run again.

    Example: pgstack keys rotate -s staging
    """
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415 - slow imports come after what fails fast
    from ops.readings.repository import repositories, repository  # noqa: PLC0415

    engine, container = Engine.connect(found.pulumi.environ), found.container("backup")
    *others, present = settings(found.name).repository_keys
    if any(it < present for it in others):
        raise OpsError(
            f"the repositories of key {others[0]} are still there from the last rotation: once no moment before it has"
            " to be restored, `pgstack keys retire` removes them; then rotate again; `pulumi up`"
            " finishes one that failed late"
        )
    following = others[0] if others else present + 1
    if not others:
        _insist_on_room(engine, container)
    # run even if it was before: a deployment that failed is finished by it
    _deploy(found, (following, present), "nothing is rotated yet: `pgstack keys rotate` goes on")
    for name in repositories(engine, container, kind="next"):
        newest = repository(engine, container, name).newest("full")
        if newest is None or newest.failed:
            take(engine, container, "full", name)
    _archive_all(engine, found.container("postgres"))
    _deploy(found, (present, following), "the rotation is not finished: `pulumi up` finishes it")
    print(
        f"backups are made with key {following} now, which no file of before has: `pgstack keys export FILE` writes"
        " a new one"
    )


def retire(
    stack: StackOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove the repositories of before the last rotation, and their key; or give up a rotation that was not finished.

    No moment before the first backup with the present key can be restored any more.

    Example: pgstack keys retire
    """
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415 - slow imports come after what fails fast
    from ops.readings.repository import config, repositories, repository  # noqa: PLC0415

    engine, container = Engine.connect(found.pulumi.environ), found.container("backup")
    *others, present = settings(found.name).repository_keys
    if not others:
        raise OpsError(f"stack {found.name} has no other repositories than those of key {present}: nothing to retire")
    kind: Literal["old", "next"] = "old" if others[0] < present else "next"
    if kind == "old":
        oldest = []
        for name in repositories(engine, container):
            there = repository(engine, container, name)
            first = next((it for it in there.backups if it.type == "full" and not it.failed), None)
            if first is None or not there.sound:
                raise OpsError(
                    f"the {name} repository has no sound full backup ({there.message}), so the old ones stay:"
                    f" `pgstack backup now --type full --repository {name}`"
                )
            oldest.append(first.stop)
        if not yes:
            confirm(f"No moment before {max(oldest):%Y-%m-%d %H:%M:%S} UTC can be restored any more. Go on?")
    elif not yes:
        confirm(f"The rotation to key {others[0]} is given up. Go on?")
    going = repositories(engine, container, kind=kind)
    if kind == "old" and not going:
        raise OpsError("the rotation is not finished: `pulumi up` finishes it; nothing was changed")
    for name in going:
        try:
            engine.run(container, ["sh", "-c", _DELETE, "sh", config(name)])
        except EngineError as error:
            raise OpsError(f"the {name} repository could not be removed, run it again: {error}") from error
    of_the_key = re.compile(rf"-(repository|offsite)-key{'' if others[0] == 1 else f'-{others[0]}'}$")
    for urn in found.protected(lambda it: of_the_key.search(it["urn"]) is not None):
        found.pulumi.ask("state", "unprotect", urn, "--yes", stack=found.name)
    _deploy(found, (present,), f"the {kind} repositories are gone, their key is not yet: `pulumi up` goes on")
    print(f"the repositories of key {others[0]} are gone, and so is the key")


def _insist_on_room(engine: Engine, container: str) -> None:
    """Raise OpsError if another full backup would fill the disk that the archive is on."""
    from ops.readings.repository import ask  # noqa: PLC0415 - slow import
    from ops.words import size  # noqa: PLC0415

    known = ask(engine, container)
    newest = known.repository.newest("full")
    wanted = (newest.stored if newest else 0) + _SPARE
    for disk in known.disks:
        if disk.volume == "backups" and disk.free < wanted:
            raise OpsError(
                f"a full backup with another key needs {size(wanted)} beside the others and {size(disk.free)} are free:"
                " free some; nothing was changed"
            )


def _archive_all(engine: Engine, server: str) -> None:
    """Lead the old repositories past the moment from which on the new ones lead. Raises OpsError."""
    from db import restore_points  # noqa: PLC0415 - slow imports come after what fails fast
    from db.errors import RestorePointError  # noqa: PLC0415

    time.sleep(1)  # a backup's times are whole seconds, so that the new ones lead to moments from the next one on
    try:
        moment = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}"
        restore_points.create(f"rotate-{moment}", functools.partial(engine.query, server))
    except RestorePointError as error:
        raise OpsError(
            f"{error}; backups are made with the key of before, run it again once WAL is archived"
        ) from error


def _deploy(stack: Stack, keys: Sequence[int], otherwise: str) -> None:
    with alone(stack.name, stack.folder, stack.pulumi.environ):
        stack.pulumi.ask("config", "set", _KEYS, ",".join(map(str, keys)), stack=stack.name)
        try:
            stack.pulumi.run("up", "--yes", "--skip-preview", stack=stack.name)
        except (OpsError, KeyboardInterrupt):
            print(otherwise, file=sys.stderr)
            raise
