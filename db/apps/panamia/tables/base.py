"""What all tables of panamia have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ColumnElement, FetchedValue, ForeignKey, MetaData, Text, func, text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, MappedColumn, mapped_column

from db.ids import new_id
from db.jsonb import Json as JsonType
from db.model import Model
from db.naming import CONVENTION

Json = dict[str, Any] | list[Any]
"""An object or an array: the shape is the application's, but a bare string, number or null is none."""


class Base(Model, DeclarativeBase):
    """Declarative base of this app's tables, all in schema panamia."""

    metadata = MetaData(schema="panamia", naming_convention=CONVENTION)
    type_annotation_map = {str: Text, datetime: TIMESTAMP(timezone=True), Json: JsonType()}  # noqa: RUF012  # SQLAlchemy's
    # UPDATE ... RETURNING updated_at: an AsyncSession cannot fetch it when it is read
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # SQLAlchemy's


class Stamped(Model):
    """created_at and updated_at. A trigger keeps updated_at, for every client: an application's clock is not asked."""

    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(
        server_default=func.now(), server_onupdate=FetchedValue(), sort_order=91
    )


class Keyed(Stamped):
    """The document's key for all but the Auth.js tables, whose keys @auth/drizzle-adapter decides."""

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id, sort_order=-1)


def json(default: str) -> MappedColumn[Json]:
    """A JSONB column that begins as `default`, "{}" or "[]"."""
    return mapped_column(server_default=text(f"'{default}'::jsonb"))


def documents(*columns: str) -> tuple[CheckConstraint, ...]:
    """That each of `columns` holds an object or an array."""
    return tuple(CheckConstraint(f"jsonb_typeof({name}) IN ('object', 'array')", name=name) for name in columns)


def one_of(column: str, values: Sequence[str]) -> CheckConstraint:
    """A closed list for a TEXT column: a value is added by a new revision, without a type to alter."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def goes_with(column: InstrumentedAttribute[str], *, index: bool = False) -> MappedColumn[str]:
    """A reference whose row goes when the row it names goes."""
    return mapped_column(ForeignKey(column, ondelete="CASCADE"), index=index)


def outlives(column: InstrumentedAttribute[str], *, index: bool = True) -> MappedColumn[str | None]:
    """A reference that becomes NULL when the row it names goes."""
    return mapped_column(ForeignKey(column, ondelete="SET NULL"), index=index)


def lower(column: str) -> ColumnElement[str]:
    """`lower(column)`, for an index of names that differ in case only."""
    return text(f"lower({column})")  # type: ignore[return-value]  # Index takes it
