"""What a killed deployment made and could not record any more: it makes room for what is made now.

Docker has one network and one container of a name. One that is there although the state knows of none, and that
carries this stack's id, was left by a deployment that died between making and recording it. It goes; no volume ever.
"""

import pulumi
from docker.models.containers import Container
from docker.models.networks import Network

from infra.errors import DeploymentError
from infra.hooks import resolved, step
from infra.selfhosted.engine import Engine
from infra.selfhosted.stack import LABEL_ID, Names
from infra.threads import in_thread


def make_room_for_container(hook: str, engine: Engine, names: Names, role: str) -> pulumi.ResourceHookBinding:
    """Runs before the container `role` is created. Fails if another's has its name."""

    async def clear(_: pulumi.ResourceHookArgs) -> None:
        container = await in_thread(engine.container, names(role))
        if container is not None:
            await in_thread(_remove_container, container, await resolved(pulumi.Output.from_input(names.id)))

    return pulumi.ResourceHookBinding(before_create=[step(hook, clear)])


def make_room_for_network(hook: str, engine: Engine, names: Names) -> pulumi.ResourceHookBinding:
    """Runs before the stack's network is created. Fails if another's has its name."""

    async def clear(_: pulumi.ResourceHookArgs) -> None:
        for network in await in_thread(engine.client.networks.list, names=[names.prefix]):
            if network.name == names.prefix:  # the engine finds parts of names too
                await in_thread(_remove_network, network, await resolved(pulumi.Output.from_input(names.id)))

    return pulumi.ResourceHookBinding(before_create=[step(hook, clear)])


def _remove_container(container: Container, stack_id: str) -> None:
    if container.labels.get(LABEL_ID) != stack_id:
        raise DeploymentError(
            f"this Docker host has a container {container.name} that is not this state's: choose another stack name, "
            f"or, only if nobody needs it, `docker rm --force {container.name}`"
        )
    pulumi.log.info(f"removing container {container.name}, left by a deployment that was killed")
    container.stop()  # with its own signal and grace: it may be a server at work
    container.remove()


def _remove_network(network: Network, stack_id: str) -> None:
    if (network.attrs["Labels"] or {}).get(LABEL_ID) != stack_id:
        raise DeploymentError(
            f"this Docker host has a network {network.name} that is not this state's: choose another stack name, "
            f"or, only if nobody needs it, `docker network rm {network.name}`"
        )
    pulumi.log.info(f"removing network {network.name}, left by a deployment that was killed")
    network.remove()
