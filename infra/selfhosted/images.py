"""The images, built on the Docker host from docker/ and from what tools/ prepared."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_docker as docker

from infra.errors import DeploymentError
from infra.selfhosted.stack import child

_FOLDER = Path(__file__).parents[2] / "docker"


@dataclass(frozen=True)
class Prepared:
    """What tools/ left in its manifest: tags of local images, and where PostgreSQL's files come from."""

    postgres_source: str
    base_image: str
    server_image: str
    scheduler_image: str

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> "Prepared":
        """Raises DeploymentError when the shell was not prepared."""
        folder = environ.get("PGSTACK_TOOLS", "")
        try:
            manifest = json.loads((Path(folder) / "manifest.json").read_text())
        except OSError as error:
            raise DeploymentError(
                f'PGSTACK_TOOLS is "{folder}", which has no manifest.json: run `make tools`, '
                'then prepare this shell: eval "$(python3 -m tools shell)"'
            ) from error
        return cls(**{field: manifest.get(field) or "" for field in cls.__dataclass_fields__})

    @property
    def build_args(self) -> dict[str, str]:
        """As the Dockerfiles call them."""
        return {
            "POSTGRES_SOURCE": self.postgres_source,
            "BASE_IMAGE": self.base_image,
            "SERVER_IMAGE": self.server_image or self.base_image,
            "SCHEDULER_IMAGE": self.scheduler_image,
        }


class Images(pulumi.ComponentResource):
    """Builds the images; stacks with the same sources share them.

    Outputs: `postgres`, `pooler`, `drills` (str, tags that name their contents).
    """

    def __init__(self, name: str, prepared: Prepared, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pgstack:selfhosted:Images", name, None, opts)
        server = self._build(f"{name}-postgres", "postgres", prepared.build_args)
        self.postgres = server.name
        self.pooler = self._build(f"{name}-pgbouncer", "pgbouncer", prepared.build_args).name
        on_server = {"POSTGRES_IMAGE": tag("postgres", prepared.build_args)}
        self.drills = self._build(f"{name}-drills", "drills", on_server, [server]).name
        self.register_outputs({"postgres": self.postgres, "pooler": self.pooler, "drills": self.drills})

    def _build(
        self, name: str, folder: str, build_args: Mapping[str, str], needs: Sequence[pulumi.Resource] = ()
    ) -> docker.RemoteImage:
        return docker.RemoteImage(
            name,
            name=tag(folder, build_args),
            build=docker.RemoteImageBuildArgs(
                context=os.path.relpath(_FOLDER / folder),  # relative, so that two clones agree
                build_args=build_args,
            ),
            keep_locally=True,  # other stacks run on it
            opts=child(self, depends_on=list(needs)),
        )


def tag(folder: str, build_args: Mapping[str, str]) -> str:
    """`pgstack/<folder>:<digest>` of the build context, the build arguments and nothing else."""
    digest = hashlib.sha256(json.dumps(build_args, sort_keys=True).encode())
    for path in sorted((_FOLDER / folder).rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(_FOLDER)}:{path.stat().st_mode & 0o111:o}:".encode() + path.read_bytes())
    return f"pgstack/{folder}:{digest.hexdigest()[:16]}"
