"""One container as every server of a stack runs: no root, no capability, read-only, bounded logs, health-checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_docker as docker

from infra.selfhosted.engine import POSTGRES_UID, Engine
from infra.selfhosted.health import serving
from infra.selfhosted.leftovers import make_room_for_container
from infra.selfhosted.stack import Names, child, labelled

_LOG_OPTIONS = {"max-size": "10m", "max-file": "5"}
_CHANGES_THAT_REPLACE = [
    "healthcheck",
    "mounts",
    "tmpfs",
    "#initerror",
]  # mounts, tmpfs: silently ignored; #initerror: pp#21458


@dataclass(frozen=True)
class Mount:
    """A volume of the stack at `target`."""

    volume: pulumi.Input[str]
    target: str
    read_only: bool = False


@dataclass(frozen=True)
class ContainerArgs:
    """`memory` and `shm` in bytes, `grace` in seconds between the stop signal and SIGKILL."""

    image: pulumi.Input[str]
    network: pulumi.Input[str] | None  # None: it reaches nothing and nobody
    mounts: Sequence[Mount]
    command: Sequence[str]
    stop_signal: str
    grace: int
    port: tuple[pulumi.Input[str], pulumi.Input[int], int] | None = None  # address, on the host, in the container
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    settings: pulumi.Input[str] = ""  # a digest: another one needs another process
    memory: int | None = None
    shm: int | None = None


@dataclass(frozen=True)
class Server:
    """A declared container; what needs it to serve depends on `ready`."""

    container: docker.Container
    ready: pulumi.Resource


def run(
    name: str,
    engine: Engine,
    names: Names,
    role: str,
    args: ContainerArgs,
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
    *,
    insist: bool = True,
) -> Server:
    """Declare the container `<stack>-<role>`.

    A deployment goes on when it is healthy, or fails with its last words; when it was started, if it does not `insist`.
    """
    labels = labelled(names.owned(role), docker.ContainerLabelArgs)
    labels.append(docker.ContainerLabelArgs(label="pgstack.settings", value=args.settings))
    ports = []
    if args.port:
        address, external, internal = args.port
        ports = [docker.ContainerPortArgs(ip=address, external=external, internal=internal)]
    networks = []
    if args.network is not None:
        networks = [docker.ContainerNetworksAdvancedArgs(name=args.network, aliases=[role])]
    container = docker.Container(
        name,
        name=names(role),
        hostname=names(role),
        image=args.image,
        command=list(args.command),
        envs=[pulumi.Output.concat(key, "=", value) for key, value in sorted(args.environment.items())],
        labels=labels,
        user=f"{POSTGRES_UID}:{POSTGRES_UID}",
        read_only=True,
        tmpfs={"/tmp": f"mode=1777,uid={POSTGRES_UID}"},  # noqa: S108 - the container's own
        capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
        security_opts=["no-new-privileges:true"],
        network_mode="bridge" if networks else "none",  # what the engine reports; the networks are those below
        networks_advanced=networks,
        ports=ports,
        mounts=[
            docker.ContainerMountArgs(
                type="volume", source=mount.volume, target=mount.target, read_only=mount.read_only
            )
            for mount in args.mounts
        ],
        memory=args.memory and args.memory // 1024**2,
        memory_swap=args.memory and args.memory // 1024**2,  # left out, it shows as a difference for ever
        shm_size=args.shm and args.shm // 1024**2,
        restart="unless-stopped",
        stop_signal=args.stop_signal,
        stop_timeout=args.grace,  # what a host's reboot goes by
        destroy_grace_seconds=args.grace,  # what Pulumi goes by
        log_driver="json-file",
        log_opts=_LOG_OPTIONS,
        healthcheck=docker.ContainerHealthcheckArgs(
            tests=["CMD", "/usr/local/bin/healthy"],
            interval="30s",  # each costs Docker 40 ms of a core; who waits for health asks itself (health.py)
            timeout="5s",
            retries=3,
            start_period="1m0s",
        ),
        opts=child(
            parent,
            depends_on=list(depends_on),
            hooks=make_room_for_container(f"{name}-leftover", engine, names, role),
            replace_on_changes=_CHANGES_THAT_REPLACE,
            delete_before_replace=True,  # the name is taken until then
        ),
    )
    return Server(container, serving(f"{name}-serving", engine, container, parent) if insist else container)
