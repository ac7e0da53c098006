"""What must hold on the Docker host before anything is created; otherwise a deployment would stop half-way."""

import ipaddress
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import pulumi
from docker.models.containers import Container

from infra.errors import DeploymentError
from infra.selfhosted.engine import Engine
from infra.selfhosted.images import Prepared
from infra.selfhosted.stack import Names
from infra.settings import Settings

_ROOM = 2 * 1024**3  # bytes: images, a new cluster's WAL up to its first checkpoint, and a first backup
_MIB = 1024**2
_EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - a comparison
_STANDARD_PORTS = {"pooled": 6432, "direct": 5432}  # for the stack everybody starts with; others get free ones


@dataclass(frozen=True)
class Host:
    """A Docker host that can take the stack; a port of 0 is to be chosen."""

    engine: Engine
    prepared: Prepared
    pooled_port: int
    direct_port: int
    reachable_at: str


def survey(settings: Settings) -> Host:
    """Look at the host. Raises DeploymentError or EngineError when it can't take the stack."""
    engine, prepared, names = Engine.connect(), Prepared.load(), Names.of(settings)
    standard = _STANDARD_PORTS if settings.stack == "dev" else {}
    pooled = settings.pooled_port or standard.get("pooled", 0)
    direct = settings.direct_port or standard.get("direct", 0)
    facts = engine.client.info()
    check_memory(settings.memory, int(facts["MemTotal"]))
    check_room(engine, Path(str(facts["DockerRootDir"])))
    if engine.local:  # the addresses and ports of another machine can't be tried here
        check_address(settings.address)
        for role, key, port in (("pooler", "pooledPort", pooled), ("postgres", "directPort", direct)):
            check_port(published(engine.container(names(role))), key, settings.address, port)
    if not ipaddress.ip_address(settings.address).is_loopback:
        pulumi.log.warn(
            f"pgstack:address is {settings.address}: whoever reaches that address reaches both servers' ports, "
            "and only TLS and passwords stand between; 127.0.0.1 admits this host alone"
        )
    reachable_at = "127.0.0.1" if settings.address == _EVERY_ADDRESS else settings.address
    return Host(engine, prepared, pooled, direct, reachable_at)


def check_memory(wanted: int, present: int) -> None:
    """Raises DeploymentError if Postgres is to get more bytes than the Docker host has: it would not even start."""
    if wanted > present:
        raise DeploymentError(
            f"pgstack:memory is {wanted // _MIB} MB and the Docker host has {present // _MIB} MB: "
            "give Postgres less than that (pulumi config set pgstack:memory 1GB)"
        )


def check_room(engine: Engine, root: Path) -> None:
    """Raises DeploymentError if the disk under `root`, the engine's folder, is nearly full (local engines only)."""
    if not engine.local or not root.is_dir():  # on another host or in a virtual machine, whose disk can't be seen
        return
    free = shutil.disk_usage(root).free
    if free < _ROOM:
        raise DeploymentError(
            f"only {free // _MIB} MB are free under {root}, {_ROOM // _MIB} MB are needed: "
            "free some (`docker system df` shows what Docker holds), then run it again"
        )


def check_address(address: str) -> None:
    """Raises DeploymentError if the host does not have the address: its servers would be ended and not start again."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise DeploymentError(
                f"pgstack:address is {address}, which this host can't bind ({error.strerror}): give an address of its "
                "own (pulumi config set pgstack:address 127.0.0.1)"
            ) from error


def check_port(own: set[tuple[str, int]], key: str, address: str, port: int) -> None:
    """Raises DeploymentError if somebody but the server that is replaced, which publishes `own`, listens there.

    A port of 0 stands for the one that the server has, and needs no check where there is no server yet.
    """
    port = port or next((kept for _, kept in own), 0)
    at = {each for each, taken in own if taken == port}
    if port == 0 or address in at or (at and _EVERY_ADDRESS in {*at, address}):
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((address, port))
        except OSError as error:
            raise DeploymentError(
                f"port {port} on {address} can't be bound ({error.strerror}): stop what listens there, "
                f"or choose another with `pulumi config set pgstack:{key} PORT`"
            ) from error


def published(container: Container | None) -> set[tuple[str, int]]:
    """The host's addresses and ports that a running container is bound to."""
    if container is None or container.status != "running":
        return set()
    bindings = (container.attrs["HostConfig"]["PortBindings"] or {}).values()
    return {
        (each.get("HostIp") or _EVERY_ADDRESS, int(each["HostPort"] or 0)) for bound in bindings for each in bound or []
    }
