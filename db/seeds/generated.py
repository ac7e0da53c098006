"""Very many rows, each computed by the server from its number: the same in every database, and none is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.orm import DeclarativeBase

from db.errors import SeedError

BATCH = 10_000  # rows a transaction: what an interrupted run has to repeat
_PROGRESS_EVERY = 10.0  # seconds between two lines about one table

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Generated:
    """`count` rows of one table; `columns` gives by attribute name, keys included, SQL of `n`, 0 to count - 1.

    What the SQL gives is cast to the column's type, so a text may stand for an enum's value, JSON or a vector. It must
    depend on n alone (db.seeds.rows.key_sql makes ids of it): then a second run finds every row there. A row whose key
    or other unique value is there already stays as it is, and a column that is left out takes the database's default.
    `batch` rows are one statement and one transaction.
    """

    model: type[DeclarativeBase]
    count: int
    columns: Mapping[str, str]
    batch: int = BATCH


def one_of(values: Sequence[str], number: str = "n") -> str:
    """SQL for one of `values` (without quotes in them), in turn with `number`."""
    listed = ", ".join(f"'{it}'" for it in values)
    return f"(ARRAY[{listed}])[1 + ({number}) % {len(values)}]"


def write(
    connections: Sequence[Connection], what: Generated, *, progress: Callable[[str], None] = lambda _: None
) -> int:
    """Write the rows that are missing; returns how many. Batches go over all `connections` (autocommit) at once.

    Raises SeedError for rows without their key, and what the driver raises for a row that does not fit; batches that
    are done then stay.
    """
    table = sqlalchemy.inspect(what.model).local_table
    statement = _statement(connections[0], what)
    free: SimpleQueue[Connection] = SimpleQueue()
    for connection in connections:
        free.put(connection)

    def batch(start: int) -> int:
        last = min(start + what.batch, what.count) - 1
        connection = free.get()
        try:
            return connection.execute(statement.format(first=start, last=last).encode()).rowcount
        finally:
            free.put(connection)

    written, said = 0, time.monotonic()
    with ThreadPoolExecutor(len(connections)) as pool:
        for done, new in enumerate(pool.map(batch, range(0, what.count, what.batch)), start=1):
            written += new
            if time.monotonic() - said > _PROGRESS_EVERY:
                said = time.monotonic()
                progress(f"{min(done * what.batch, what.count):,} of {what.count:,} rows of {table.description}")
    if written:  # else the planner believes it empty, and searches read what GIN indexes have not sorted in yet
        connections[0].execute(f"VACUUM (ANALYZE) {table}".encode())
    return written


def _statement(connection: Connection, what: Generated) -> str:
    """The INSERT, with {first} and {last} for the numbers of a batch."""
    mapper = sqlalchemy.inspect(what.model)
    table = mapper.local_table
    keys = [column.name for column in table.primary_key]
    given = {mapper.columns[name].name: expression for name, expression in what.columns.items()}
    missing = [it for it in keys if it not in given]
    if missing:
        raise SeedError(f"generated rows of {table} lack {missing[0]}: without keys they would come twice")
    found = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass",
        (str(table),),
    )
    types: dict[str, str] = dict(found.fetchall())
    columns = ", ".join(given)
    values = ", ".join(f"CAST({given[it]} AS {types[it]}) AS {it}" for it in given)
    same = " AND ".join(f"there.{it} = given.{it}" for it in keys)
    # triggers run for a row before its conflict is seen, so rows that are there are left out first
    return (
        f"INSERT INTO {table} ({columns}) SELECT {columns}"  # noqa: S608  # the seeds' own SQL
        f" FROM (SELECT {_literal(values)}"
        " FROM generate_series({first}::bigint, {last}) AS n) AS given"
        f" WHERE NOT EXISTS (SELECT FROM {table} AS there WHERE {same}) ON CONFLICT DO NOTHING"  # of the seeds' own SQL
    )


def _literal(values: str) -> str:
    return values.replace("{", "{{").replace("}", "}}")
