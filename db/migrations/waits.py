"""How long a migration waits for locks, and when it tries again.

A queued ACCESS EXCLUSIVE lock makes everyone else wait behind it, though its holder did nothing yet. So the wait is
short at first and repeated with growing pauses; only where that never helps does it grow, for tables on which some
transaction always runs. What takes no lock that readers or writers mind waits for long.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy
import tenacity
from sqlalchemy import event

from db.migrations.statements import NAME, every

T = TypeVar("T")

ATTEMPTS = 24  # with the pauses below about two minutes: longer than the usual report or backup holds a table
_SHORT, _LONGER, _LONGEST = 150, 1000, 5000  # milliseconds; 150 leaves 50 for the work itself, of the 200 we aim at
# SHARE UPDATE EXCLUSIVE holds up neither readers nor writers, however long one waits for it; but a deployment that
# never ends helps nobody
_PATIENCE = "30min"
_HINT = re.compile("concurrently|validate", re.IGNORECASE)
_PATIENT = re.compile(
    r"(?:create (?:unique )?index|drop index|reindex \w+) concurrently "
    rf"|alter table (?:only )?{NAME} validate constraint \S+$"
)


def lock_timeout(attempt: int) -> int:
    """Milliseconds that statements of `attempt` (1 is the first) may wait for a lock."""
    return _SHORT if attempt <= ATTEMPTS // 2 else _LONGER if attempt <= ATTEMPTS * 3 // 4 else _LONGEST


def attempts(once: Callable[[int], T], *, again: Callable[[BaseException], bool], say: Callable[[int], None]) -> T:
    """What `once(attempt)` returns, called again while it raises what `again` accepts; `say` is told each failure."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(again),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=10),  # jitter, so that the lock's holders get on
        before_sleep=lambda state: say(state.attempt_number),
        reraise=True,
    )
    return retrying(lambda: once(retrying.statistics["attempt_number"]))


def bound(connection: sqlalchemy.Connection, milliseconds: int) -> None:
    """From now on statements of `connection` wait no longer than `milliseconds` for a lock."""
    connection.info["lock_timeout"] = milliseconds
    connection.exec_driver_sql(f"SET lock_timeout = {milliseconds}")


def let_patient_ones_wait(connection: sqlalchemy.Connection) -> None:
    """Exempt from `bound` the statements of `connection` that nobody queues behind."""
    event.listen(connection, "before_cursor_execute", _lift)
    event.listen(connection, "after_cursor_execute", _lower)


def patient(statement: str) -> bool:
    """Whether nobody queues behind the locks of `statement`, so that it may wait for them for long."""
    found = [it.words for it in every(statement)] if _HINT.search(statement) else []
    return bool(found) and all(_PATIENT.match(words) for words in found)


def _lift(connection: sqlalchemy.Connection, cursor: Any, statement: str, *_: object) -> None:  # noqa: ARG001
    if patient(statement):
        cursor.execute(f"SET lock_timeout = '{_PATIENCE}'")


def _lower(connection: sqlalchemy.Connection, cursor: Any, statement: str, *_: object) -> None:
    if patient(statement):
        # of its own: the statement's result is still to be read
        with cursor.connection.cursor() as further:
            further.execute(f"SET lock_timeout = {connection.info['lock_timeout']}")
