"""A data volume on a disk of its own that is small enough to be filled: an ext4 file system in a file."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from docker.errors import NotFound

from tests.deployment import Stack

_POSTGRES = "999:999"


@contextmanager
def small_disk(stack: Stack, folder: Path, size: str) -> Iterator[None]:
    """Lies under the data volume that the stack's first `up` will use; only root can make one. `size` as truncate's."""
    file, volume = folder / "disk", f"{stack.prefix}-data"
    for command in (
        ["truncate", "--size", size, str(file)],
        # an empty volume takes its owner from the image; this one has a lost+found
        ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", f"root_owner={_POSTGRES}", str(file)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    device = subprocess.run(
        ["losetup", "--find", "--show", str(file)], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        stack.engine.volumes.create(volume, driver_opts={"type": "ext4", "device": device})
        yield
    finally:
        stack.remove()
        with suppress(NotFound):
            stack.engine.volumes.get(volume).remove()
        subprocess.run(["losetup", "--detach", device], check=True, capture_output=True)
