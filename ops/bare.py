"""`pgstack restore bare`: a stack whose host is lost, back on another one."""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.errors import NoSuchStackError, OpsError, UnknownError
from ops.prompts import confirm
from ops.pulumi import Pulumi
from ops.recover import unlock
from ops.restore import ToOption, YesOption
from ops.settings import settings, stack_file
from ops.stack import Stack, StackOption, named

if TYPE_CHECKING:
    from ops.engine import Engine
    from ops.restoring.lost import Saved

_VOLUME = "docker:index/volume:Volume"


def bare(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `pgstack keys export` wrote.")],
    to: ToOption = "latest",
    stack: StackOption = None,
    yes: YesOption = False,
) -> None:
    """Rebuild a stack whose host is lost: on this one, from its off-site repository and the file of its keys alone.

    The applications' passwords, pooled URLs and CA stay as they were. Refused where anything of the stack is left, on
    this Docker host or in Pulumi's state. Interrupted or failed, the same command goes on.

    Example: pgstack restore bare ~/pgstack-production-keys.json
    """
    from ops.restoring.targets import parse  # noqa: PLC0415 - slow imports come after what fails fast

    target = parse(to, datetime.datetime.now().astimezone())
    from ops.engine import Engine  # noqa: PLC0415
    from ops.readings.repository import OFFSITE  # noqa: PLC0415
    from ops.restoring import generations, lost, reader, shown  # noqa: PLC0415
    from ops.restoring.archive import planned  # noqa: PLC0415
    from ops.restoring.wal import lsn_text  # noqa: PLC0415

    saved = lost.Saved.read(file)
    if (wanted := named(stack, {})) and wanted != saved.stack:
        raise UnknownError(f"{file} is of stack {saved.stack}, not of {wanted}")
    pulumi = Pulumi.prepared()
    saved.check_source(reader.prepared(pulumi).postgres_source)
    engine = Engine.connect(pulumi.environ)
    number = generations.after(settings(saved.stack, text=saved.stack_file))
    resources = _resources(pulumi, saved)
    if _begun(saved, number, resources):
        print(f"going on with stack {saved.stack}, of which a restore was interrupted")
        for line in unlock(pulumi, saved.stack):
            print(line)
    else:
        _insist_on_nothing_left(saved, engine, resources)
        image = reader.image(pulumi, engine)
        with reader.reading(saved, engine, image) as container:
            plan = planned(target, engine, container, OFFSITE)
        shown.show(plan, growing=False)
        if not plan.possible:
            raise OpsError(shown.impossible(plan))
        if not yes:
            confirm(
                f"Stack {saved.stack}, as of {saved.exported_at:%Y-%m-%d %H:%M} UTC, is made anew with that. Go on?"
            )
        _put_back(saved, pulumi, known=resources is not None)
        origin = {"backup": plan.backup.label, "lsn": lsn_text(plan.stop), "timeline": str(plan.timeline)}
        generations.begin(pulumi, saved.stack, number, {**origin, "repository": OFFSITE})
    _finish(saved, pulumi, number, file)


def _resources(pulumi: Pulumi, saved: Saved) -> list[dict[str, str]] | None:
    """What Pulumi knows of the stack; None if it knows none of that name."""
    try:
        state = json.loads(pulumi.ask("stack", "export", stack=saved.stack))
    except NoSuchStackError:
        return None
    return list(state["deployment"].get("resources") or ())


def _begun(saved: Saved, number: int, resources: list[dict[str, str]] | None) -> bool:
    """Whether this restore was begun here and did not come to its end, the clients' move."""
    done = any(it["type"] == "pulumi:index:Stash" and it["urn"].endswith("::live") for it in resources or ())
    return resources is not None and not done and settings(saved.stack).live == (number,)


def _insist_on_nothing_left(saved: Saved, engine: Engine, resources: list[dict[str, str]] | None) -> None:
    """Raise OpsError where the stack is not lost: nothing is ever overwritten."""
    from ops.engine import LABEL  # noqa: PLC0415 - slow import

    label: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={saved.prefix}"}
    containers = [str(it.name) for it in engine.client.containers.list(all=True, filters=label)]
    containers = sorted(it for it in containers if it != f"{saved.prefix}-reader")
    volumes = sorted(str(it.name) for it in engine.client.volumes.list(filters=label))
    if containers or volumes:
        ways = [
            *([f"docker rm --force {' '.join(containers)}"] if containers else []),
            *([f"docker volume rm {' '.join(volumes)}"] if volumes else []),
        ]
        raise OpsError(
            f"this Docker host has {', '.join([*containers, *volumes])}: stack {saved.stack} is not lost here."
            f" `pgstack restore run` goes back on a stack that is there; only if nobody needs what these hold:"
            f" `{' && '.join(ways)}`"
        )
    if any(it["type"] == _VOLUME for it in resources or ()):
        raise OpsError(
            f"Pulumi has a state of stack {saved.stack}, with volumes. If it lost its containers only, `pulumi up`"
            " makes them again; if those volumes are gone with their host,"
            f" `pulumi stack rm --force --yes --stack {saved.stack}`, then again"
        )


def _put_back(saved: Saved, pulumi: Pulumi, *, known: bool) -> None:
    """The stack file, and in the state passwords, keys, certificates and ports. Can be done again."""
    from ops.restoring.lost import put_passphrase, put_settings, put_store  # noqa: PLC0415 - slow import

    put_passphrase(saved, pulumi)
    put_settings(saved)
    if not known:
        pulumi.ask("stack", "init", saved.stack, "--no-select")
    with tempfile.NamedTemporaryFile("w", prefix="pgstack-", suffix=".json") as state:  # readable by this user alone
        json.dump(saved.secrets(), state)
        state.flush()
        pulumi.ask("stack", "import", "--file", state.name, stack=saved.stack)
    put_store(saved, pulumi)


def _finish(saved: Saved, pulumi: Pulumi, number: int, file: Path) -> None:
    from ops import exported  # noqa: PLC0415 - slow imports
    from ops.restoring import generations  # noqa: PLC0415

    generations.forget_others(pulumi, saved.stack, number)
    try:
        pulumi.run("up", "--yes", "--skip-preview", stack=saved.stack)
    except (OpsError, KeyboardInterrupt):
        print(f"stack {saved.stack} is not back yet: `pgstack restore bare {file}` goes on with it", file=sys.stderr)
        raise
    exported.stamp(Stack.read(saved.stack))  # the file opens all that this stack has
    print(
        f"stack {saved.stack} is back, as cluster {number}: `pgstack status`; its settings: {stack_file(saved.stack)}"
    )
