"""Who a stack is: an id kept in its state, which its volumes and its cluster carry.

Docker hands an existing volume to whoever asks for its name, and destroying the second owner deletes what the first one
holds. So a state that is new to this host refuses a host where volumes of its names already are.
"""

import uuid

import pulumi

from infra.errors import DeploymentError
from infra.hooks import step
from infra.selfhosted.engine import Engine
from infra.selfhosted.stack import Names, child
from infra.threads import in_thread


def claim(name: str, names: Names, engine: Engine, parent: pulumi.Resource, *, lasting: bool) -> pulumi.Output[str]:
    """The stack's id (a UUID), once it is sure that the host has no volume of the stack's name from elsewhere."""

    async def refuse_others(_: pulumi.ResourceHookArgs) -> None:
        if taken := await in_thread(engine.volumes_of, names.prefix):
            raise DeploymentError(
                f"this Docker host has volumes of another {names.prefix} ({', '.join(taken)}), of another Pulumi state "
                "or left when an earlier one was destroyed: choose another stack name, or, only if nobody needs what "
                f"they hold, `docker volume rm {' '.join(taken)}`"
            )

    stash = pulumi.Stash(
        name,
        input=str(uuid.uuid4()),
        opts=child(
            parent,
            ignore_changes=["input"],
            protect=lasting,
            hooks=pulumi.ResourceHookBinding(before_create=[step(f"{name}-others", refuse_others, in_preview=True)]),
        ),
    )
    identity: pulumi.Output[str] = stash.output
    return identity
