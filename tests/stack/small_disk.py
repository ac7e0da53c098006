"""Volumes on disks of their own that are small enough to be filled: ext4 file systems in files."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from docker.errors import NotFound

from tests.deployment import Stack

_POSTGRES = "999:999"


def missing() -> str | None:
    """What this machine or user lacks for such a disk; None if one can be had."""
    if os.geteuid() != 0:
        return "only root can mount a disk of a test's own"
    lacking = [program for program in ("losetup", "mkfs.ext4") if shutil.which(program) is None]
    return f"a disk of a test's own needs {', '.join(lacking)}" if lacking else None


@contextmanager
def small_disks(stack: Stack, folder: Path, sizes: Mapping[str, str]) -> Iterator[None]:
    """Lie under the volumes (role to size, as truncate's) that the stack's first `up` will use; only root can."""
    devices = []
    try:
        for role, size in sizes.items():
            file = folder / role
            for command in (
                ["truncate", "--size", size, str(file)],
                # an empty volume takes its owner from the image; this one has a lost+found
                ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", f"root_owner={_POSTGRES}", str(file)],
            ):
                subprocess.run(command, check=True, capture_output=True)
            attach = ["losetup", "--find", "--show", str(file)]
            devices.append(subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip())
            options = {"type": "ext4", "device": devices[-1]}
            stack.engine.volumes.create(f"{stack.prefix}-{role}", driver_opts=options)
        yield
    finally:
        stack.remove()
        for role in sizes:
            with suppress(NotFound):
                stack.engine.volumes.get(f"{stack.prefix}-{role}").remove()
        for device in devices:
            subprocess.run(["losetup", "--detach", device], check=True, capture_output=True)
