"""What the bootstrap's steps share: reading the catalogue, and changing it only where it differs, one line a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

Connection = psycopg.Connection[tuple[Any, ...]]


class Catalogue:
    """One database as the administrator sees it; collects what was changed in `changes`."""

    def __init__(self, connection: Connection, changes: list[str], report: Callable[[str], None]) -> None:
        self.connection = connection
        self._changes = changes
        self.report = report

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of `query`."""
        return self.connection.execute(query, values).fetchall()

    def value(self, query: str, *values: object) -> Any:
        """The first column of the first row, None without a row."""
        row = self.connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    def change(self, what: str, statement: str, *names: str, **literals: object) -> None:
        """Execute `statement` with {} for `names` as identifiers and {key} for `literals`, and note `what` was done."""
        composed = sql.SQL(statement).format(
            *(sql.Identifier(name) for name in names), **{key: sql.Literal(value) for key, value in literals.items()}
        )
        self.connection.execute(composed)
        self._changes.append(what)
        self.report(what)

    def is_superuser(self) -> bool:
        """Whether the administrator is one; managed providers give none."""
        return bool(self.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))
