"""Naming a moment to come back to, with the WAL that leads there proven archived.

https://www.postgresql.org/docs/16/functions-admin.html#FUNCTIONS-ADMIN-BACKUP
"""

from __future__ import annotations

import re
from collections.abc import Callable

import tenacity

from db.errors import RestorePointError

NAME = re.compile(r"[A-Za-z][\w.-]{0,62}", re.ASCII)
"""At most 63 characters (PostgreSQL), and nothing that could be a time, a transaction's number or an LSN."""
_RESERVED = ("latest", "now", "immediate")  # what a restore's --to means by them is not a point
_WITHIN = 60  # seconds
_OFTEN = 0.2  # seconds between two looks


def create(name: str, query: Callable[[str], str], *, within: float = _WITHIN) -> str:
    """Name the present moment, and wait until it is archived; returns its LSN.

    `query` runs SQL as a superuser and returns its one value as text. A name may be given again: the newest counts.
    Raises RestorePointError for what is no name, and where the archive does not get it `within` so many seconds.
    """
    if not NAME.fullmatch(name):
        raise RestorePointError(
            f'"{name}" names no restore point: give at most 63 letters, digits, ".", "_" and "-", a letter first'
        )
    if name in _RESERVED:
        raise RestorePointError(
            f'"{name}" names no restore point: `--to {name}` means another moment, give another name'
        )
    named = f"pg_create_restore_point('{name}')"  # nothing in it that would have to be quoted
    lsn, segment = query(f"SELECT lsn || ' ' || pg_walfile_name(lsn) FROM {named} AS lsn").split()  # noqa: S608
    query("SELECT pg_switch_wal()")

    @tenacity.retry(stop=tenacity.stop_after_delay(within), wait=tenacity.wait_fixed(_OFTEN), reraise=True)
    def archived() -> None:
        last = query("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver")
        if last < segment:  # names of one timeline sort by position
            raise RestorePointError(
                f"WAL segment {segment} of restore point {name} was not archived within {within:.0f} s (last: "
                f"{last or 'none'}): `pgstack status` says what is wrong with the archive"
            )

    archived()
    return lsn
