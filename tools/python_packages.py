"""Files that PyPI carries, fetched with the project's own pip and checked against the sums in versions.py."""

from __future__ import annotations

from pathlib import Path

from tools import cache, commands, python_env
from tools.errors import ToolError
from tools.places import Places


def fetch(places: Places, requirement: str, into: Path, *, sha256: str, options: tuple[str, ...] = ()) -> Path:
    """Download one wheel into the folder `into` without unpacking or running anything of it.

    Raises ToolError if it cannot be had or has another content.
    """
    python_env.bring(places)
    before = set(into.iterdir())
    commands.run(
        [places.venv / "bin/python", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
         "--no-deps", "--only-binary=:all:", *options, "--dest", into, requirement],
        what=f"fetching {requirement}",
        hint=python_env.NEEDS_PYPI,
        log=places.cache / "logs" / "pip.log",
        env=dict(places.environ),
    )  # fmt: skip
    new = sorted(set(into.iterdir()) - before)
    if len(new) != 1:
        raise ToolError(f"fetching {requirement} brought {len(new)} files instead of one wheel")
    cache.verify(new[0], sha256)
    return new[0]
