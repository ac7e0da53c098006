"""The applications: a folder here (models, queries, seeds) and one of the same name in alembic/versions."""

from pathlib import Path

from db.errors import UnknownAppError

_HERE = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Names of all applications, sorted."""
    return tuple(sorted(folder.parent.name for folder in _HERE.glob("*/models.py")))


def folder(app: str) -> Path:
    """The folder of `app`. Raises UnknownAppError, which lists the names there are."""
    if app not in names():
        raise UnknownAppError(app, names())
    return _HERE / app
