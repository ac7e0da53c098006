"""`pgstack recover`: after a deployment was killed in the middle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops import PROJECT
from ops.errors import NoSuchStackError
from ops.locks import check_nobody_works, locks
from ops.pulumi import Pulumi
from ops.stack import StackOption, resolve

if TYPE_CHECKING:
    from ops.engine import Engine


def recover(
    stack: StackOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say something only where something is done.")] = False,
) -> None:
    """Mend what a killed `pulumi up` leaves: its lock, and containers and networks that Pulumi does not know of.

    Never touches a volume, nor anything while a deployment runs. Can be run at any time, any number of times.

    Example: pgstack recover -s preview-12
    """
    pulumi = Pulumi.prepared()
    name = resolve(stack, pulumi)
    done = unlock(pulumi, name)
    from ops.engine import Engine  # noqa: PLC0415 - slow import

    done += sweep(pulumi, name, Engine.connect(pulumi.environ))
    for line in done:
        print(line)
    if not done and not quiet:
        print(f"stack {name}: nothing to mend")


def unlock(pulumi: Pulumi, stack: str) -> list[str]:
    """Cancel the lock if its holder is dead. Raises OpsError if one lives, or may live on another machine."""
    held = locks(stack, pulumi.environ)
    if not held:
        return []
    check_nobody_works(stack, pulumi.environ)
    pulumi.ask("cancel", "--yes", stack=stack)
    pids = ", ".join(str(it.pid) for it in held)
    return [f"stack {stack}: cancelled the lock of process {pids}, which is gone"]


@dataclass(frozen=True)
class Known:
    """Ids of what the state knows."""

    containers: frozenset[str]
    networks: frozenset[str]

    @classmethod
    def of(cls, state: dict[str, Any]) -> Known:
        """From `pulumi stack export`."""
        resources = (state.get("deployment") or {}).get("resources") or []

        def ids(kind: str) -> frozenset[str]:
            return frozenset(str(it.get("id")) for it in resources if it["type"] == kind)

        return cls(ids("docker:index/container:Container"), ids("docker:index/network:Network"))


def sweep(pulumi: Pulumi, stack: str, engine: Engine) -> list[str]:
    """Remove what carries the stack's label and is not in its state; says what was done."""
    from ops.engine import LABEL  # noqa: PLC0415 - slow import

    try:
        known = Known.of(json.loads(pulumi.ask("stack", "export", stack=stack)))
    except NoSuchStackError:
        return []  # without a state there is nothing to compare with: another state's stack may have the same name
    label: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={PROJECT}-{stack}"}
    done, in_use = [], set[str]()
    for container in engine.client.containers.list(all=True, filters=label):
        if container.id in known.containers:
            continue
        if not belongs(container.attrs, known.networks):
            in_use |= _networks(container.attrs)
            done.append(f"container {container.name} is of another state's stack of this name: left alone")
            continue
        check_nobody_works(stack, pulumi.environ)
        container.stop()  # with its own signal and grace: it may be a server at work
        container.remove()  # its volumes stay
        done.append(f"removed container {container.name}, which the state does not know")
    for network in engine.client.networks.list(filters=label):
        network.reload()
        if network.id in known.networks:
            continue
        if network.id in in_use or network.attrs.get("Containers"):
            done.append(f"network {network.name} is of another state's stack of this name: left alone")
            continue
        check_nobody_works(stack, pulumi.environ)
        network.remove()
        done.append(f"removed network {network.name}, which the state does not know")
    return done


def belongs(container: dict[str, Any], networks: frozenset[str]) -> bool:
    """Whether a container was made for this state: it never ran, or every network it is on is one of the state's.

    Two users of one engine may both have a stack called dev, each with a state of its own. The label can't tell
    them apart; the network's id can, because Pulumi records a network before it makes a container on it.
    """
    never_ran = str(container["State"]["StartedAt"]).startswith("0001-")
    return never_ran or _networks(container) <= networks


def _networks(container: dict[str, Any]) -> set[str]:
    return {str(it["NetworkID"]) for it in (container["NetworkSettings"]["Networks"] or {}).values()}
