"""Drift that a team lives with, such as a DBA's own schema: alembic/versions/<app>/accepted.toml.

    "stray schema monitoring" = "the dashboards of the operations team read from it"

A line for each, named as `pgstack migrate check` names it, with the reason.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from db.errors import SnapshotError
from db.migrations.revisions import HOME, folder

FILE = "accepted.toml"


def reasons(app: str, *, home: Path = HOME) -> dict[str, str]:
    """The reasons by kind and name. Raises SnapshotError for a file that is not as described above."""
    path = folder(app, home) / FILE
    if not path.exists():
        return {}
    try:
        read = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SnapshotError(f"{path.relative_to(home)}: {error}") from error
    for name, reason in read.items():
        if not isinstance(reason, str) or not reason.strip():
            raise SnapshotError(f'{path.relative_to(home)}: {name} has no reason: write "{name}" = "why"')
    return read
