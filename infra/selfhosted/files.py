"""Configuration files in a volume: they change by a reload, not by replacing the container that reads them."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pulumi

from infra.hooks import before_change, resolved, step
from infra.selfhosted.engine import Engine
from infra.selfhosted.stack import Names, child
from infra.selfhosted.volumes import Volume


class Files(pulumi.ComponentResource):
    """A volume `<stack>-<role>-files` that holds `files` (path to text), mounted by the container `<stack>-<role>`.

    Written `after` those resources and before that container starts, again whenever a file changes (then `reload` runs,
    by default SIGHUP), and again when the volume was removed and made anew. Outputs: `volume` (str), `digest` (str, of
    all contents).
    """

    def __init__(
        self,
        name: str,
        names: Names,
        role: str,
        engine: Engine,
        image: pulumi.Output[str],
        files: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
        reload: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__("pgstack:selfhosted:Files", name, None, opts)
        labels = names.labels(f"{role}-files")
        volume = Volume(name, names, f"{role}-files", self)
        contents: pulumi.Output[dict[str, str]] = pulumi.Output.secret(pulumi.Output.all(**files))
        self.digest = digest(files)

        async def write(_: pulumi.ResourceHookArgs) -> None:
            await engine.write(names(f"{role}-files"), await resolved(image), labels, await resolved(contents))
            await (reload() if reload else engine.signal(names(role), "HUP"))

        self.written = pulumi.Stash(
            f"{name}-written",
            # the image is what the writer runs on: named here, it is there before the hook waits for it
            input={"files": self.digest, "volume": volume.incarnation, "image": image},
            opts=child(
                self,
                depends_on=[volume.resource, *after],
                hooks=before_change(step(f"{name}-write", write)),
            ),
        )
        self.volume = volume.name
        self.register_outputs({"volume": self.volume, "digest": self.digest})


def digest(files: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """Of all contents; no secret, whatever they are."""
    contents: pulumi.Output[dict[str, str]] = pulumi.Output.secret(pulumi.Output.all(**files))
    return pulumi.Output.unsecret(contents.apply(_digest))


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
