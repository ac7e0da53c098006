"""Migrations of the applications: what there is (`revisions`), what is pending (`plan`), and applying it.

`revisions`, `reached` and `applicable` read files only; the others load SQLAlchemy and Alembic when they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.migrations.revisions import HOME, Revision, applicable, reached, revisions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["HOME", "Revision", "applicable", "current", "downgrade", "plan", "reached", "revisions", "upgrade"]


def upgrade(
    app: str,
    url: str,
    *,
    ca_file: str | Path | None = None,
    target: str = "head",
    report: Callable[[str], None] = print,
    home: Path = HOME,
    drafts: bool = False,
    embeddings: str = "auto",
) -> tuple[str, ...]:
    """Apply what is pending up to `target`; returns the revisions applied, none if there was nothing to do.

    `url` is the direct (not pooled) URL of a login that owns the app's schema. `drafts` are files without a line in the
    sum file: refused by name unless this is a database that may be made anew.
    `embeddings` is how a first migration stores them: "vector", "jsonb" or "auto", for which DB_EMBEDDINGS may say it.
    Raises MigrationError where a revision
    fails, and the other errors of db.errors before anything was tried.
    """
    from db.migrations import runner  # noqa: PLC0415  # loads SQLAlchemy and Alembic

    return runner.upgrade(
        app, url, ca_file=ca_file, target=target, report=report, home=home, drafts=drafts, embeddings=embeddings
    )


def downgrade(
    app: str,
    url: str,
    *,
    target: str,
    ca_file: str | Path | None = None,
    report: Callable[[str], None] = print,
    home: Path = HOME,
) -> tuple[str, ...]:
    """Undo revisions down to `target` (a revision, "base", or "-1"); returns the revisions undone, newest first."""
    from db.migrations import runner  # noqa: PLC0415  # loads SQLAlchemy and Alembic

    return runner.downgrade(app, url, ca_file=ca_file, target=target, report=report, home=home)


def current(app: str, url: str, *, ca_file: str | Path | None = None) -> str | None:
    """The revision the database is at, None for a database without any; reads only, takes no lock."""
    from db.migrations import runner  # noqa: PLC0415  # loads psycopg

    return runner.current(app, url, ca_file=ca_file)


def plan(
    app: str, url: str, *, ca_file: str | Path | None = None, target: str = "head", home: Path = HOME
) -> tuple[Revision, ...]:
    """The revisions that `upgrade` would apply, oldest first; reads only, takes no lock."""
    from db.migrations import runner  # noqa: PLC0415  # loads psycopg

    return runner.plan(app, url, ca_file=ca_file, target=target, home=home)
