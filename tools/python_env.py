""".venv: every package of requirements.txt at its pinned version and hash, and this project itself, editable."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from tools import cache, commands, progress, system_packages
from tools.cache import Cache
from tools.places import Places

NEEDS_PYPI = "PyPI or a mirror of it must be within reach (pip config set global.index-url ...)"
PACKAGES, PROJECT = "pgstack-packages", "pgstack-project"  # what .venv was made from; written last, removed first


def bring(places: Places) -> None:
    """Make .venv if there is none, if it is broken, or if requirements.txt or pyproject.toml changed.

    Raises ToolError if a package cannot be had or is not the pinned one.
    """
    if is_made(places):
        return
    with Cache(places.cache).lock(f"venv-{hashlib.sha256(str(places.repo).encode()).hexdigest()[:12]}"):
        if not is_made(places, PACKAGES):
            _make(places)
        if not is_made(places, PROJECT):
            _install_project(places)


def is_made(places: Places, *stamps: str) -> bool:
    """Whether .venv is whole and made from today's requirements.txt (and pyproject.toml, unless `stamps` says less)."""
    wanted = _wanted(places)
    return os.access(places.venv / "bin/python", os.X_OK) and all(
        _read(places.venv / stamp) == wanted[stamp] for stamp in stamps or (PACKAGES, PROJECT)
    )


def _make(places: Places) -> None:
    log = _log(places)
    cache.require_space(places.repo, 1, "the Python environment")
    with progress.step("Python environment: installing requirements.txt into .venv", "30 s to 1 min"):
        if places.venv.exists():
            for stamp in (PACKAGES, PROJECT):
                (places.venv / stamp).unlink(missing_ok=True)
            shutil.rmtree(places.venv)
        _create(places, log)
        pip(places, "install", "--require-hashes", "--requirement", places.repo / "requirements.txt")
    cache.write(places.venv / PACKAGES, _wanted(places)[PACKAGES])


def _install_project(places: Places) -> None:
    with progress.step("Python environment: linking pgstack into .venv", "3 s"):
        pip(places, "install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", places.repo)
    cache.write(places.venv / PROJECT, _wanted(places)[PROJECT])


def pip(places: Places, *arguments: str | Path) -> None:
    """Run the environment's own pip.

    Raises ToolError with its last line if it fails.
    """
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-python-version-warning")
    env = {
        k: v
        for k, v in places.environ.items()
        if k not in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_USER", "PIP_PREFIX")
    }
    commands.run(
        [places.venv / "bin/python", "-m", "pip", arguments[0], *quiet, *arguments[1:]],
        what=f"pip {arguments[0]}",
        hint=NEEDS_PYPI,
        log=_log(places),
        env={**env, "PIP_ROOT_USER_ACTION": "ignore"},
    )


def _create(places: Places, log: Path) -> None:
    # not sys.executable: that may be the .venv that was just removed
    python = Path(getattr(sys, "_base_executable", None) or sys.executable)
    if not _has_ensurepip():
        name = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        system_packages.install(places, name, why="this Python cannot make virtual environments")
    commands.run([python, "-m", "venv", places.venv], what="python3 -m venv", log=log)


def _has_ensurepip() -> bool:
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian takes it out of python3 and ships it as python3-venv
    except ImportError:
        return False
    return True


def _wanted(places: Places) -> dict[str, str]:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = hashlib.sha256((places.repo / "requirements.txt").read_bytes() + python.encode()).hexdigest()
    project = hashlib.sha256((places.repo / "pyproject.toml").read_bytes() + str(places.repo).encode()).hexdigest()
    return {PACKAGES: packages, PROJECT: project}


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _log(places: Places) -> Path:
    return places.cache / "logs" / "python.log"
