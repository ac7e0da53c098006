"""Debian packages, where this process may install them."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from tools import commands
from tools.errors import ToolError
from tools.places import Places


def can_install() -> bool:
    """Whether this is root on a machine with apt."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(places: Places, *packages: str, why: str) -> None:
    """apt-get install; with fresh lists first, because a bare machine has none or old ones.

    Raises ToolError that says what to type where this process may not install anything.
    """
    if not can_install():
        raise ToolError(f"{why}: install {' '.join(packages)} (sudo apt-get install {' '.join(packages)}), then again")
    log = places.cache / "logs" / "apt.log"
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
    options = ["-q", "-y", "-o", "DPkg::Lock::Timeout=120"]
    update = ["apt-get", "-q", "update"]
    with contextlib.suppress(
        ToolError
    ):  # one broken third-party source fails it and does not matter if the rest installs
        commands.run(update, what="apt-get update", log=log, env=env)
    arguments = ["apt-get", "install", *options, "--no-install-recommends", *packages]
    what = f"apt-get install {' '.join(packages)}"
    hint = "a Debian mirror must be within reach"
    try:
        commands.run(arguments, what=what, hint=hint, log=log, env=env)
    except ToolError:
        commands.run(
            arguments, what=what, hint=hint, log=log, env=env
        )  # docker.io's first start may fail and its second succeed


def find(program: str, environ_path: str | None = None) -> Path | None:
    """The program on PATH or in the folders that only root's PATH has."""
    path = os.pathsep.join(filter(None, (environ_path or os.environ.get("PATH"), "/usr/local/sbin:/usr/sbin:/sbin")))
    found = shutil.which(program, path=path)
    return Path(found) if found else None
