"""Instants in columns without a time zone, for schemas whose clients keep UTC in `timestamp`."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import TIMESTAMP, Dialect
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.types import TypeDecorator

from db.errors import TimeZoneError


class _UnwrappedError(TimeZoneError, DontWrapMixin):
    """SQLAlchemy would bury what a bind processor raises in the statement and all its values."""


class UTCTimestamp(TypeDecorator[datetime]):
    """Aware datetimes outside, naive UTC inside. A naive one raises TimeZoneError: its zone would be a guess."""

    impl = TIMESTAMP
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To naive UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise _UnwrappedError(f"{value.isoformat()} has no time zone: pass an aware datetime")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To aware UTC."""
        return None if value is None else value.replace(tzinfo=UTC)
