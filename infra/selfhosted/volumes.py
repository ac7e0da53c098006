"""Volumes: no edit may replace one, for that would delete what it holds."""

import uuid

import pulumi
import pulumi_docker as docker

from infra.selfhosted.stack import Names, child, labelled

_LABEL_INCARNATION = "pgstack.incarnation"
_NEVER_REPLACED_BY = ["labels", "driver", "driverOpts", "name"]  # every input of a volume forces a replacement


class Volume:
    """A declared volume. `name` (str); `incarnation` (str) differs when the volume was removed and made anew."""

    def __init__(self, name: str, names: Names, role: str, parent: pulumi.Resource, *, lasting: bool = False) -> None:
        # The label is only ever written at creation; Docker's own creation time is its folder's, and moves.
        labels = names.owned(role) | {_LABEL_INCARNATION: str(uuid.uuid4())}
        self.resource = docker.Volume(
            name,
            name=names(role),
            labels=labelled(labels, docker.VolumeLabelArgs),
            opts=child(parent, protect=lasting, retain_on_delete=lasting, ignore_changes=_NEVER_REPLACED_BY),
        )
        self.name = self.resource.name
        self.incarnation = self.resource.labels.apply(
            lambda found: next((it.value for it in found or [] if it.label == _LABEL_INCARNATION), "unknown")
        )


class ClusterStorage:
    """One cluster's data and identity, and the folder of its server's socket."""

    def __init__(self, name: str, names: Names, parent: pulumi.Resource, *, suffix: str = "", lasting: bool) -> None:
        self.data = Volume(f"{name}-data", names, f"data{suffix}", parent, lasting=lasting)
        self.identity = Volume(f"{name}-identity", names, f"identity{suffix}", parent, lasting=lasting)
        self.socket = Volume(f"{name}-socket", names, f"socket{suffix}", parent)


class Storage(pulumi.ComponentResource):
    """What a stack must not lose: the backups' repository, drills' evidence, the first cluster's data and identity.

    A `lasting` stack's volumes are protected, and kept on the host when the stack goes. `first` is None once a restored
    cluster is live and the first was dropped.
    """

    def __init__(
        self,
        name: str,
        names: Names,
        *,
        lasting: bool,
        with_first: bool = True,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgstack:selfhosted:Storage", name, None, opts)
        self.first = ClusterStorage(name, names, self, lasting=lasting) if with_first else None
        self.repository = Volume(f"{name}-repository", names, "repository", self, lasting=lasting)
        self.evidence = Volume(f"{name}-evidence", names, "evidence", self, lasting=lasting)
        self.register_outputs({"repository": self.repository.name})
