"""What a schedule does once a day with the owner's login: make partitions ahead, retire and erase what is old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Retention:
    """How long what is kept. Partitions are retired by whole months."""

    deleted: timedelta = timedelta(days=90)
    history: timedelta = timedelta(days=730)
    bot_logs: timedelta = timedelta(days=183)
    activity_logs: timedelta = timedelta(days=730)


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
