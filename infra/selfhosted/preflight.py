"""What must hold before anything is created; otherwise a deployment would stop half-way."""

import shutil
import socket
from pathlib import Path

from infra.errors import DeploymentError
from infra.selfhosted.engine import Engine

_ROOM = 2 * 1024**3  # bytes: images, a new cluster's WAL up to its first checkpoint, and a first backup
_MIB = 1024**2


def check_room(engine: Engine) -> None:
    """Raises DeploymentError if the disk under the Docker host's volumes is nearly full (local engines only)."""
    root = Path(str(engine.client.info()["DockerRootDir"]))
    if not root.is_dir():  # a remote engine, or one in a virtual machine: its disk can't be seen from here
        return
    free = shutil.disk_usage(root).free
    if free < _ROOM:
        raise DeploymentError(
            f"only {free // _MIB} MB are free under {root}, {_ROOM // _MIB} MB are needed: "
            "free some (`docker system df` shows what Docker holds), then run it again"
        )


def check_port(engine: Engine, container: str, key: str, address: str, port: int) -> None:
    """Raises DeploymentError if somebody else listens on a port that `container` is to publish."""
    existing = engine.container(container)
    if existing is not None and _publishes(existing.attrs, port):
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


def _publishes(attributes: dict[str, object], port: int) -> bool:
    host = attributes["HostConfig"]
    assert isinstance(host, dict)  # noqa: S101 - the Engine API's shape
    bindings = [binding for bound in (host["PortBindings"] or {}).values() for binding in bound or []]
    return any(binding["HostPort"] == str(port) for binding in bindings)
