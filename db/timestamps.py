"""Instants in columns without a time zone, for schemas whose clients keep UTC in `timestamp`."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import TIMESTAMP, Dialect
from sqlalchemy.types import TypeDecorator


class UTCTimestamp(TypeDecorator[datetime]):
    """Aware datetimes outside, naive UTC inside. Binding a naive one raises ValueError: its zone would be a guess."""

    impl = TIMESTAMP
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To naive UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone: pass an aware datetime")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To aware UTC."""
        return None if value is None else value.replace(tzinfo=UTC)
