"""What a schedule does once a day with the owner's login: make partitions ahead, retire and erase what is old.

A deployed stack does it by itself (MAINTENANCE in this package). `python -m db.apps.bots.maintenance` does it through
POSTGRES_DIRECT_URL, for a scheduler of yours on any other server. Without either, log lines are refused once the months
that a migration made have passed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from db import engine
from db.errors import DbError, URLError
from db.migrations.session import URL_VARIABLE
from db.urls import DatabaseURL


@dataclass(frozen=True)
class Retention:
    """How long what is kept. Partitions are retired by whole months."""

    deleted: timedelta = timedelta(days=90)
    history: timedelta = timedelta(days=730)
    bot_logs: timedelta = timedelta(days=183)
    activity_logs: timedelta = timedelta(days=730)


def maintain(source: Engine, retention: Retention | None = None, *, report: Callable[[str], None] = print) -> None:
    """All of it by the owner's login: partitions first and by themselves; no failing clean-up may stop the logs."""
    with source.begin() as connection:
        made = make_partitions(connection)
        report(f"bots: made {made} partitions")
    with source.begin() as connection:
        apply(connection, retention)
        until = covered_until(connection)
    report("bots: " + ", ".join(f"{table} has partitions until {day}" for table, day in until.items()))


def apply(connection: Connection, retention: Retention | None = None) -> None:
    """bots.apply_retention (0010_retention), in the connection's transaction; the owner's login only."""
    kept = retention or Retention()
    connection.execute(
        text("CALL bots.apply_retention(:deleted, :history, :bot_logs, :activity_logs)"),
        {
            "deleted": kept.deleted,
            "history": kept.history,
            "bot_logs": kept.bot_logs,
            "activity_logs": kept.activity_logs,
        },
    )


def make_partitions(connection: Connection, *, ahead: int = 3) -> int:
    """Partitions for this month and `ahead` (0 to 36) more; how many were missing. The application may do it too."""
    return int(connection.scalar(text("SELECT bots.make_partitions(:ahead)"), {"ahead": ahead}) or 0)


def covered_until(connection: Connection) -> dict[str, date | None]:
    """By partitioned table, the first day for which rows would be refused; alert where it is less than a month away."""
    rows = connection.execute(text("SELECT parent, covered_until FROM bots.partition_horizon()"))
    return {row.parent: row.covered_until for row in rows}


if __name__ == "__main__":
    try:
        given = os.environ.get(URL_VARIABLE)
        if not given:
            raise URLError(f"{URL_VARIABLE} is not set: give it the owner's direct URL")
        maintain(engine.unpooled(DatabaseURL.parse(given)))
    except DbError as error:
        sys.exit(str(error))
    except DBAPIError as error:
        sys.exit(
            f"the maintenance of bots failed: {' '.join(str(error.orig).split())}; it needs the owner's direct URL"
        )
