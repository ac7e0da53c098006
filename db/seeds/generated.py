"""Very many rows, each computed from its number: the same in every database, written by COPY."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy.orm import DeclarativeBase, Session

from db.bulk import copy_rows
from db.errors import SeedError

CHUNK = 20_000  # rows a transaction: what an interrupted run has to repeat, a second or two


@dataclass(frozen=True)
class Generated:
    """`count` rows of one table; `row(n)` for n from 0 to count - 1 gives values by attribute name, keys included.

    `row` depends on n alone (db.seeds.rows.key makes ids of it): then a second run finds every row there. A row whose
    key or other unique value is there already stays as it is.
    """

    model: type[DeclarativeBase]
    count: int
    row: Callable[[int], Mapping[str, Any]]


def write(source: sqlalchemy.Engine, what: Generated) -> int:
    """Write the rows that are missing, a transaction for each chunk; returns how many. Raises SeedError, BulkError."""
    if what.count == 0:
        return 0
    mapper = sqlalchemy.inspect(what.model)
    first = what.row(0)
    missing = [it.key for it in mapper.column_attrs if it.columns[0].primary_key and it.key not in first]
    if missing:
        raise SeedError(f"generated rows of {mapper.local_table} lack {missing[0]}: without keys they would come twice")
    written = 0
    with source.connect() as connection:
        for start in range(0, what.count, CHUNK):
            with Session(connection) as session:
                numbers = range(start, min(start + CHUNK, what.count))
                written += copy_rows(session, what.model, map(what.row, numbers), skip_existing=True)
                session.commit()
        if written:  # else the planner believes it empty, and searches read what GIN indexes have not sorted in yet
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(sqlalchemy.text(f"VACUUM (ANALYZE) {mapper.local_table}"))
    return written
