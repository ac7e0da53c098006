"""Volumes that hold what cannot be made again."""

import pulumi
import pulumi_docker as docker

from infra.selfhosted.stack import Names, child, labelled

_NEVER_REPLACED_BY = [
    "labels",
    "driver",
    "driverOpts",
    "name",
]  # every input of a volume replaces it, with its data


def lasting(name: str, names: Names, role: str, parent: pulumi.Resource, *, disposable: bool) -> docker.Volume:
    """A volume that no edit replaces; unless `disposable`, protected and kept when the stack goes."""
    return docker.Volume(
        name,
        name=names(role),
        labels=labelled(names.labels(role), docker.VolumeLabelArgs),
        opts=child(
            parent,
            protect=not disposable,
            retain_on_delete=not disposable,
            ignore_changes=_NEVER_REPLACED_BY,
        ),
    )
