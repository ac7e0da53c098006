"""Seeds: rows that a fresh database should have, in named sets an app; writing them twice writes nothing.

A set is one file, db/apps/<app>/seeds/<set>.py, with a tuple `ROWS` of objects that have their keys, or, for very many
rows, a tuple `GENERATED` of `Generated`; parents first. A row whose key is there already stays as it is. `PREPARE` may
have SQL that must run before them, each time. `base` is what every database needs, `demo` an example to look at, `load`
more than 100,000 rows a major table to measure with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from db import apps
from db.errors import SeedError
from db.migrations.revisions import checksum

if TYPE_CHECKING:
    from pathlib import Path

SETS = ("base", "demo", "load")
NOT_IN_PRODUCTION = ("demo", "load")
WITH_EXAMPLES = ("dev", "preview", "staging")  # environments; any other word is taken for production


def _files(app: str, sets: Sequence[str]) -> dict[str, Path]:
    unknown = [name for name in sets if name not in SETS]
    if unknown:
        raise SeedError(f'unknown seed set "{unknown[0]}": the sets are {", ".join(SETS)}')
    folder = apps.folder(app) / "seeds"
    return {name: folder / f"{name}.py" for name in SETS if name in sets and (folder / f"{name}.py").exists()}


def checksums(app: str, sets: Sequence[str]) -> dict[str, str]:
    """SHA-256 of each of `sets` that the app has; reads files only. Raises SeedError for an unknown set's name."""
    return {name: checksum(path.read_bytes().decode()) for name, path in _files(app, sets).items()}


def seed(
    app: str,
    url: str,
    sets: Sequence[str],
    *,
    ca_file: str | Path | None = None,
    environment: str = "production",
    allowed_in_production: Sequence[str] = (),
    report: Callable[[str], None] = print,
) -> int:
    """Write `sets`, base first, through the owner's direct URL; returns the rows written, 0 the second time.

    `ROWS` of all sets are one transaction; what is generated follows in batches of one transaction each, so that a run
    that was interrupted goes on where it stopped. A run beside another one of the app waits for it. Example data is
    refused unless `environment` is one of WITH_EXAMPLES, however production is spelt, or `allowed_in_production` names
    its set.

    Raises SeedError for an unknown set, for example data in production, and where a table is missing or
    rows that these refer to (of `base`, or of the app whose guest this one is); LockError where another run is not done
    in ten minutes.
    """
    refused = [name for name in sets if name in NOT_IN_PRODUCTION and name not in allowed_in_production]
    if refused and environment not in WITH_EXAMPLES:
        raise SeedError(f'seed set "{refused[0]}" holds example data and is refused in production: use "base"')
    files = _files(app, sets)
    from db.seeds.rows import write  # noqa: PLC0415  # loads SQLAlchemy

    return write(app, url, tuple(files), ca_file=ca_file, report=report)
