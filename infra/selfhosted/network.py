"""The stack's own bridge network: containers find each other by name, other stacks do not see them."""

import pulumi
import pulumi_docker as docker

from infra.selfhosted.engine import Engine
from infra.selfhosted.leftovers import make_room_for_network
from infra.selfhosted.stack import Names, child, labelled


def bridge(name: str, names: Names, engine: Engine, parent: pulumi.Resource) -> docker.Network:
    """A network called `<project>-<stack>`."""
    return docker.Network(
        name,
        name=names.prefix,
        driver="bridge",
        labels=labelled(names.owned("network"), docker.NetworkLabelArgs),
        opts=child(
            parent,
            ignore_changes=["ipamConfigs"],  # a refresh reports the engine's choice as a change
            hooks=make_room_for_network(f"{name}-leftover", engine, names),
        ),
    )
