"""`pgstack reset`: a developer's stack as new."""

from __future__ import annotations

from typing import Annotated

import typer

from ops import PROJECT
from ops.errors import OpsError
from ops.prompts import confirm_name
from ops.pulumi import Pulumi
from ops.settings import settings
from ops.stack import StackOption, resolve


def reset(
    stack: StackOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the stack's name.")] = False,
) -> None:
    """Delete all data and backups of a dev stack, and deploy it anew: `pulumi destroy`, then `pulumi up`.

    Only where pgstack:environment is dev. All passwords, the CA and the repository's key are new afterwards.

    Example: pgstack reset
    """
    pulumi = Pulumi.prepared()
    name = resolve(stack, pulumi)
    deployed = _deployed_environment(pulumi, name)
    for environment in filter(None, (settings(name).environment, deployed)):
        if environment != "dev":
            raise OpsError(f"stack {name} is a {environment} stack: reset deletes all data and is for dev stacks only")
    print(
        f"This deletes stack {name}: its containers, and its volumes {PROJECT}-{name}-data, -identity, -repository\n"
        "and -evidence, with every row and every backup. Then it deploys the stack anew: new passwords, its seeds."
    )
    if not yes:
        confirm_name(name)
    pulumi.run("destroy", "--yes", "--skip-preview", stack=name)
    pulumi.run("up", "--yes", "--skip-preview", stack=name)


def _deployed_environment(pulumi: Pulumi, name: str) -> str | None:
    """What the running stack was deployed as: its settings may have been edited since."""
    import json  # noqa: PLC0415 - only here

    outputs: dict[str, str] = json.loads(pulumi.ask("stack", "output", "--json", stack=name))
    return outputs.get("environment")
