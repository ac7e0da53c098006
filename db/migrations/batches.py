"""Changing the rows of a large table batch by batch, while others work on it.

    def upgrade() -> None:
        in_batches("maps.places", "UPDATE maps.places SET label = name WHERE {batch} AND label IS NULL")

One UPDATE of all would hold every row's lock to its end, keep autovacuum from cleaning up meanwhile, and be lost as a
whole when it fails. A batch is a transaction of its own; what was killed goes on by running again, provided that the
condition (here `label IS NULL`) passes over what is done.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy
from alembic import context, op

from db.errors import RevisionError
from db.migrations import failures, waits
from db.migrations.statements import IN_BATCHES, every, outermost

_AIM = 0.1  # seconds a batch: as long as a client may wait for a row, and half of the 200 ms we aim at
_FIRST, _SMALLEST, _LARGEST = 500, 50, 50_000  # rows
_PASSES = 10  # over the table: one more finds what was written behind the first one's back, and the last finds nothing
_SILENCE = 5.0  # seconds between lines of progress


def in_batches(table: str, statement: str, *, key: str = "id") -> int:
    """Run `statement` over `table` in the order of `key`, its primary key; returns the number of rows it changed.

    `table` is "schema.table". `statement` changes rows of it; it holds {batch}, which becomes the condition for one
    batch (`id > ... AND id <= ...`), and passes over rows that are done: it is run again until it changes nothing. The
    size of a batch follows the time it takes. What fills in new rows (a default, a trigger) must be there before.
    Leaves the transaction, so it is alone in its revision. Raises RevisionError for a statement without {batch}, for
    one that changes rows again that are done, and where a row has no key.
    """
    if "{batch}" not in statement:
        raise RevisionError(f'in_batches("{table}"): the statement lacks {{batch}}, and would change all rows at once')
    if any(re.search(r"\bor\b", outermost(it.words)) for it in every(statement.replace("{batch}", "true"))):
        raise RevisionError(
            f'in_batches("{table}"): OR takes in rows of no batch: put what is joined by it into parentheses'
        )
    if context.is_offline_mode():
        op.execute(f"/* {IN_BATCHES} by {key} */ {statement.strip().replace('{batch}', 'true')}")
        return 0
    with op.get_context().autocommit_block():
        return _run(op.get_bind(), table, statement, key)


def _run(connection: sqlalchemy.Connection, table: str, statement: str, key: str) -> int:
    report = context.config.attributes["job"].report
    known = "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(:table)"
    estimate = connection.scalar(sqlalchemy.text(known), {"table": table})
    if estimate is None:
        raise RevisionError(f'in_batches("{table}"): there is no such table; write it as "schema.table"')
    _refuse_no_key(connection, table, key)
    _try_twice(connection, table, statement, key, report)
    total = most = 0
    for _ in range(_PASSES):
        changed, seen = _pass(connection, table, statement, key, estimate, report)
        total, most = total + changed, max(most, seen)  # the last pass sees none of the rows that were deleted
        if not changed:
            _refuse_no_key(connection, table, key)
            report(f"{table}: {total:,} of {most:,} rows changed")
            return total
    raise RevisionError(
        f"{table} still has rows to change after {_PASSES} passes: is what writes new rows deployed in the form that"
        " needs no change?"
    )


def _refuse_no_key(connection: sqlalchemy.Connection, table: str, key: str) -> None:
    """Raise RevisionError where rows have no key: no batch would ever hold them."""
    nullable = "SELECT NOT attnotnull FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = :key"
    if connection.scalar(sqlalchemy.text(nullable), {"table": table, "key": key.strip('"')}) is False:
        return
    if connection.scalar(sqlalchemy.text(f"SELECT EXISTS (SELECT FROM {table} WHERE {key} IS NULL)")):  # noqa: S608
        raise RevisionError(
            f"{table} has rows whose {key} is NULL, which no batch takes: name a key that every row has, or fill it"
        )


def _try_twice(
    connection: sqlalchemy.Connection, table: str, statement: str, key: str, report: Callable[[str], None]
) -> None:
    """Raise RevisionError where a second run changes what the first one did; the rows stay as they are."""
    end = _END.format(key=key, table=table, condition="true")
    found = connection.execute(sqlalchemy.text(end), {"size": _SMALLEST}).first()
    if found is None:
        return
    batch, state = statement.replace("{batch}", f"{key} <= :upto"), {"upto": found[0]}

    def once(_: int) -> None:
        connection.exec_driver_sql("BEGIN")
        try:
            changed, again = (connection.execute(sqlalchemy.text(batch), state).rowcount for _ in range(2))
        finally:
            connection.exec_driver_sql("ROLLBACK")
        if again:
            raise RevisionError(
                f"the statement for {table} changes {again:,} of {changed:,} rows again that it has changed: after"
                " {batch}, add the condition that is false for a row that is done; nothing was changed"
            )

    waits.attempts(once, again=failures.transient, say=_waiting(report))


def _pass(
    connection: sqlalchemy.Connection,
    table: str,
    statement: str,
    key: str,
    estimate: int,
    report: Callable[[str], None],
) -> tuple[int, int]:
    """Once over the table: the number of rows changed, and of all."""
    first, later = f"{key} <= :upto", f"{key} > :after AND {key} <= :upto"
    state: dict[str, Any] = {"after": None, "upto": None}
    size, seen, changed, said = _FIRST, 0, 0, time.monotonic()
    while True:
        started = time.monotonic()
        end = sqlalchemy.text(_END.format(key=key, table=table, condition=f"{key} > :after" if seen else "true"))
        found = connection.execute(end, {**state, "size": size}).first()
        if found is None:
            return changed, seen
        state["upto"], rows = found
        changed += _one(connection, statement.replace("{batch}", later if seen else first), state, report)
        state["after"], seen = state["upto"], seen + rows
        if time.monotonic() - said > _SILENCE:
            said = time.monotonic()
            known = f" of about {estimate:,} rows" if estimate > seen else " rows so far"  # -1 is unknown
            report(f"{table}: {seen:,}{known}")
        size = _next(size, time.monotonic() - started)


def _one(connection: sqlalchemy.Connection, batch: str, state: dict[str, Any], report: Callable[[str], None]) -> int:
    """The rows that one batch changed; tried again where somebody holds one of them for long."""
    return waits.attempts(
        lambda _: connection.execute(sqlalchemy.text(batch), state).rowcount,
        again=failures.transient,
        say=_waiting(report),
    )


def _waiting(report: Callable[[str], None]) -> Callable[[int], None]:
    return lambda attempt: report(f"a batch waits for rows that others hold, trying again ({attempt} so far)")


def _next(size: int, seconds: float) -> int:
    """The number of rows to take next, after `size` rows took `seconds`."""
    factor = min(2.0, max(0.25, _AIM / max(seconds, 0.001)))
    return min(_LARGEST, max(_SMALLEST, int(size * factor)))


# not max(): uuid has none before PostgreSQL 18
_END = """
    SELECT key, number FROM (
        SELECT {key} AS key, row_number() OVER (ORDER BY {key}) AS number FROM {table}
        WHERE {condition} ORDER BY {key} LIMIT :size
    ) AS batch ORDER BY number DESC LIMIT 1"""
