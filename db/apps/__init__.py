"""The applications: a folder here (models, queries, seeds) and one of the same name in alembic/versions.

An app has a database of its own, unless its package says `DATABASE = "<app>"`: then it is that app's guest, with a
schema, migrations and logins of its own in the host's database, so that its foreign keys can name the host's rows. What
guests may read and refer to is for the host to say: `SHARED` in its package, columns by table.

What must be done in an app's database once a day stands in its package too: `MAINTENANCE`, SQL statements.
"""

import importlib
from collections.abc import Iterable, Mapping
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


def host(app: str) -> str:
    """The app whose database `app` lives in: itself, for all but guests. Raises UnknownAppError."""
    folder(app)
    named = _database(app)
    hosts = [name for name in names() if _database(name) == name]
    if named != app and named not in hosts:  # no guest of a guest: one level is what a bootstrap can order
        raise UnknownAppError(named, hosts)
    return named


def shared(app: str) -> Mapping[str, tuple[str, ...]]:
    """Columns by table that `app` lets its guests read; their owners may refer to these. Raises UnknownAppError."""
    folder(app)
    columns: Mapping[str, tuple[str, ...]] = getattr(importlib.import_module(f"db.apps.{app}"), "SHARED", {})
    return columns


def maintenance(app: str) -> tuple[str, ...]:
    """Statements that the owner of `app` is to run once a day, in this order, each in a transaction of its own.

    A stack's scheduler does it; elsewhere it is for the operator to arrange. Raises UnknownAppError.
    """
    folder(app)
    statements: tuple[str, ...] = getattr(importlib.import_module(f"db.apps.{app}"), "MAINTENANCE", ())
    return statements


def in_order(wanted: Iterable[str]) -> tuple[str, ...]:
    """`wanted` with every host before its guests, otherwise as given: the order to migrate and seed in."""
    return tuple(sorted(wanted, key=lambda app: host(app) != app))


def _database(app: str) -> str:
    named: str = getattr(importlib.import_module(f"db.apps.{app}"), "DATABASE", app)
    return named
