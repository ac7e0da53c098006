"""The stack's clusters as its settings name them; each change of them is carried out by `pulumi up`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from ops import PROJECT
from ops.engine import Engine
from ops.errors import OpsError
from ops.locks import alone
from ops.pulumi import Pulumi
from ops.settings import Settings, settings
from ops.stack import Stack

_SCHEMA = "**::schema"  # infra/schema.py's step, by the end of its URN


def following(stack: Stack) -> int:
    """The number of the next cluster: none is given twice as long as one above it is there."""
    return after(settings(stack.name))


def after(wanted: Settings) -> int:
    """The number above all that the settings name."""
    return max((*wanted.live, *wanted.generations)) + 1


def from_origin(stack: Stack, origin: Mapping[str, str]) -> int | None:
    """The number of a cluster that was never live and is, or will be, what `origin` leads to; None without one."""
    wanted = settings(stack.name)
    for number, known in wanted.generations.items():
        if number not in wanted.live and _moment(known) == _moment(origin):
            return number
    return None


def add(stack: Stack, number: int, origin: Mapping[str, str], *, at_once_live: bool) -> None:
    """Restore cluster `number` from `origin`: beside the live one, or `at_once_live`, where that one does not serve."""
    given = {f"generations.{number}.{key}": value for key, value in origin.items()}
    if at_once_live:
        given["live"] = _text((*settings(stack.name).live, number))
    ways = f"`pulumi up` goes on with it, `pgstack restore drop {number}` gives it up"
    if at_once_live:
        ways = f"`pulumi up` goes on with it, `pgstack restore undo` and `pgstack restore drop {number}` give it up"
    with _alone(stack):
        _set(stack.pulumi, stack.name, given)
        _up(stack, f"generation {number} is not ready: {ways}", migrate=at_once_live)


def complete(stack: Stack, number: int) -> None:
    """Go on with what may have been interrupted while cluster `number` was restored."""
    with _alone(stack):
        _up(stack, f"generation {number} is not ready: `pulumi up` goes on with it")


def begin(pulumi: Pulumi, stack: str, number: int, origin: Mapping[str, str]) -> None:
    """Have cluster `number` be the only one that ever was, in one step; its deployment is the caller's."""
    given = {f"generations.{number}.{key}": value for key, value in origin.items()}
    _set(pulumi, stack, {**given, "live": _text([number])})


def forget_others(pulumi: Pulumi, stack: str, number: int) -> None:
    """No cluster but that one is declared any more."""
    for other in set(settings(stack).generations) - {number}:
        pulumi.ask("config", "rm", "--path", f"{PROJECT}:generations.{other}", stack=stack)


def make_live(stack: Stack, number: int) -> None:
    """Move the clients to cluster `number`; the one before it stays, read only."""
    otherwise = f"clients may not be at generation {number} yet: `pulumi up` goes on, `pgstack restore list` says"
    with _alone(stack):
        moves = settings(stack.name).live
        if moves[-1] != number:  # else it is the move that was not finished
            _set(stack.pulumi, stack.name, {"live": _text((*moves, number))})
        _up(stack, otherwise, migrate=True)


def make_live_again(stack: Stack) -> int:
    """Move the clients to the cluster that was live before; returns its number. Raises OpsError if there is none."""
    moves = settings(stack.name).live
    if len(moves) == 1:
        raise OpsError(f"stack {stack.name} has no cluster that was live before: there is nothing to undo")
    make_live(stack, moves[-2])
    return moves[-2]


def remove(stack: Stack, number: int) -> None:
    """Remove cluster `number`, which is not the live one, with its container and volumes."""
    with _alone(stack):
        wanted = settings(stack.name)
        if number in wanted.live:
            for urn in stack.protected(lambda it: it.get("outputs", {}).get("name") in _volumes(stack, number)):
                stack.pulumi.ask("state", "unprotect", urn, "--yes", stack=stack.name)
            rest = [it for it in wanted.live if it != number]
            _set(stack.pulumi, stack.name, {"live": _text([it for it, _ in itertools.groupby(rest)])})
        if number in wanted.generations:
            stack.pulumi.ask("config", "rm", "--path", f"{PROJECT}:generations.{number}", stack=stack.name)
        _up(stack, f"cluster {number} is not gone yet: `pulumi up` goes on")
    engine = Engine.connect(stack.pulumi.environ)
    for volume in _volumes(stack, number):  # a lasting stack's stay when Pulumi lets go of them
        engine.remove_volume(volume, stack.prefix)


def _alone(stack: Stack) -> AbstractContextManager[None]:
    return alone(stack.name, stack.folder, stack.pulumi.environ)


def _moment(origin: Mapping[str, object]) -> tuple[str, str, str]:
    return str(origin["lsn"]), str(origin["timeline"]), str(origin.get("repository", "local"))


def _text(moves: Sequence[int]) -> str:
    return ",".join(map(str, moves))


def _set(pulumi: Pulumi, stack: str, given: Mapping[str, str]) -> None:
    pairs = [it for key, value in given.items() for it in ("--plaintext", f"{PROJECT}:{key}={value}")]
    pulumi.ask("config", "set-all", "--path", *pairs, stack=stack)


def _up(stack: Stack, otherwise: str, *, migrate: bool = False) -> None:
    """The live databases are migrated only where they become others: a migration that fails may be why one restores."""
    without = () if migrate else ("--exclude", _SCHEMA)
    try:
        stack.pulumi.run("up", "--yes", "--skip-preview", *without, stack=stack.name)
    except (OpsError, KeyboardInterrupt):
        print(otherwise, file=sys.stderr)
        raise


def _volumes(stack: Stack, number: int) -> list[str]:
    suffix = "" if number == 1 else f"-{number}"
    return [f"{stack.prefix}-{kind}{suffix}" for kind in ("data", "identity")]
