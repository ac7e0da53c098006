"""Changing many rows in a migration: a batch a transaction, in the order of the key, with progress.

Rows stay locked for the length of a batch, not of the whole; what is done stays done, so that a run which is killed
goes on where it was.
"""

from __future__ import annotations

import re
import time

import sqlalchemy
import tenacity
from alembic import context, op

from db.errors import RevisionError
from db.migrations import failures
from db.migrations.statements import IN_BATCHES, NAME

SIZE = 5_000  # rows; some tens of milliseconds, which is what a writer of the same row may wait
_PASSES = 10  # over the table: one more finds what the running release wrote behind the first one's back
_ATTEMPTS = 12  # of a batch whose rows others hold
_PROGRESS_EVERY = 5.0  # seconds
_CHANGE = re.compile(rf"\s*(?:update\s+({NAME})\s+set\s|delete\s+from\s+({NAME})\s*$)", re.IGNORECASE)


def in_batches(change: str, *, where: str, key: str = "id", size: int = SIZE) -> int:
    """Run `change` ("UPDATE t SET ..." or "DELETE FROM t") on all rows for which `where` holds; returns their number.

    `where` must be false for a row once it was changed: that is how a second run knows what is left. `key` is a unique
    column with an index. It leaves the revision's transaction, so it is the only statement of its revision. Raises
    RevisionError for a change of another form, or one that leaves `where` true.
    """
    found = _CHANGE.match(change)
    if not found:
        wanted = '"UPDATE table SET ..." or "DELETE FROM table"'
        raise RevisionError(f'"{change.strip()}" is not {wanted}, without WHERE')
    if context.is_offline_mode():
        op.execute(f"/* {IN_BATCHES} of {size} by {key} */ {change} WHERE {where}")
        return 0
    table = found[1] or found[2]
    with op.get_context().autocommit_block():
        return _Run(table, change, where, key, size).all()


class _Run:
    def __init__(self, table: str, change: str, where: str, key: str, size: int) -> None:
        self._table, self._change, self._where, self._key, self._size = table, change, where, key, size
        self._done, self._told = 0, time.monotonic()

    def all(self) -> int:
        for _ in range(_PASSES):
            before = self._done
            self._once_over()
            if self._done == before:
                self._say()
                return self._done
        raise RevisionError(
            f"{self._table} still has rows to change after {_PASSES} passes: does the change make its condition false,"
            " and is what writes the rows deployed in the form that needs no change?"
        )

    def _once_over(self) -> None:
        key, after = self._key, dict[str, object]()
        while True:
            more = f"AND {key} > :after" if after else ""
            batch = (
                f"SELECT {key} AS k FROM {self._table} WHERE ({self._where}) {more} ORDER BY {key} LIMIT {self._size}"  # noqa: S608
            )
            # not max(): uuid has none before PostgreSQL 18
            end = sqlalchemy.text(f"SELECT k FROM ({batch}) b ORDER BY k DESC LIMIT 1")  # noqa: S608
            until = op.get_bind().scalar(end, after)
            if until is None:
                return
            # the condition once more: between the two statements others may have changed a row
            change = f"{self._change} WHERE {key} <= :until {more} AND ({self._where})"
            self._done += self._batch(change, {**after, "until": until})
            after = {"after": until}
            if time.monotonic() > self._told + _PROGRESS_EVERY:
                self._say()

    def _batch(self, statement: str, keys: dict[str, object]) -> int:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(failures.transient),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=5),
            reraise=True,
        )
        return retrying(lambda: op.get_bind().execute(sqlalchemy.text(statement), keys).rowcount)

    def _say(self) -> None:
        self._told = time.monotonic()
        context.config.attributes["job"].report(f"{self._table}: {self._done:,} rows changed")
