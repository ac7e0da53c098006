"""Time travel: rows as they were, from history tables that triggers fill.

A table with the columns `id` and `updated_at` may have a history beside it, <table>_history: its ended versions, each
valid from `valid_from` until before `valid_to`. The version of today is in the table, valid since `updated_at`. How the
history comes about is the app's migrations' business (bots: 0008_time_travel).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from weakref import WeakSet

from sqlalchemy import (
    TIMESTAMP,
    CheckConstraint,
    Column,
    FromClause,
    Index,
    Select,
    Table,
    Text,
    Uuid,
    event,
    inspect,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import DeclarativeBase, ORMExecuteState, Session, aliased, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.types import TypeDecorator

from db.errors import AuditError
from db.tenancy import TenantOwned, guard

M = TypeVar("M", bound=DeclarativeBase)

_KEY = "db.audit.history"  # in Table.info
_past: WeakSet[FromClause] = WeakSet()  # what as_of() made


def keep_history(model: type[DeclarativeBase], *, without: Sequence[str] = ()) -> Table:
    """Declare the history table of `model`, which the app's migrations made; `without` are the columns it leaves out.

    Where `model` is TenantOwned, a session without a tenant is refused its history, too.

    Its index is (organization_id, valid_to), or (id, valid_to) where a row belongs to no organization.
    """
    table = _table(model)
    columns: list[Column[Any]] = [
        Column(
            column.name,
            column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type,
            primary_key=column.name == "id",
        )
        for column in table.columns
        if column.name not in without
    ]
    history = Table(
        f"{table.name}_history",
        table.metadata,
        *columns,
        Column("valid_from", TIMESTAMP(timezone=True), primary_key=True),
        Column("valid_to", TIMESTAMP(timezone=True), nullable=False),
        Column("change", Text, nullable=False),
        Column("changed_by_id", Uuid),
        CheckConstraint("change IN ('UPDATE', 'DELETE')", name="change"),
        CheckConstraint("valid_to > valid_from", name="valid_to"),
        schema=table.schema,
    )
    Index(f"ix_{history.name}_valid_to", history.c.get("organization_id", history.c.id), history.c.valid_to)
    table.info[_KEY] = history
    if issubclass(model, TenantOwned):
        guard(history)
    return history


def history_of(model: type[DeclarativeBase]) -> Table:
    """The history table of `model`. Raises AuditError where none was declared."""
    history = _table(model).info.get(_KEY)
    if not isinstance(history, Table):
        raise AuditError(f"{model.__name__} has no history: its versions are not kept")
    return history


def as_of(model: type[M], when: datetime) -> type[M]:
    """`model` as its rows were at `when`: use it in place of the model, in any query of columns.

        then = as_of(Bot, last_tuesday)
        session.execute(select(then.name).where(then.is_active))

    Columns that the history leaves out are NULL in old versions. Whole objects are read by `rows`: a session that is
    asked for them raises AuditError, as this does for a model without history and a `when` without a time zone.
    """
    if when.tzinfo is None:
        raise AuditError(f"{when.isoformat()} has no time zone: pass an aware datetime")
    table, history = _table(model), history_of(model)
    today = select(*table.columns).where(table.c.updated_at <= when)
    earlier = select(
        *(history.c[it.name] if it.name in history.c else null().label(it.name) for it in table.columns)
    ).where(history.c.valid_from <= when, history.c.valid_to > when)
    then = union_all(today, earlier).subquery(f"{table.name}_then")
    _past.add(then)
    return aliased(model, then)


def rows(session: Session, statement: Select[M]) -> Sequence[M]:
    """The objects that `statement`, a `select(as_of(...))`, finds, detached from the session.

    The session may hold today's version of the same row, and would take an old one for it, and write it back. These
    know no relationships and no column that was not loaded.
    """
    then = statement.column_descriptions[0]["entity"]
    mapper = inspect(then).mapper
    keys = [it.key for it in mapper.column_attrs if not it.deferred]
    found = session.execute(statement.with_only_columns(*(getattr(then, key) for key in keys)))
    return [_detached(mapper.class_, dict(zip(keys, values, strict=True))) for values in found]


@event.listens_for(Session, "do_orm_execute")
def _executing(state: ORMExecuteState) -> None:
    if not _past or not state.is_orm_statement or not isinstance(state.statement, Select):
        return
    for it in state.statement.column_descriptions:
        entity = it["entity"]
        if entity is not None and it["expr"] is entity and inspect(entity).selectable in _past:
            raise AuditError(
                f"{it['name']} as it was is no object of a session, which would take it for today's: select columns of"
                " it, or use db.audit.rows(session, statement)"
            )


def _detached(model: type[M], values: dict[str, Any]) -> M:
    made = model()
    for key, value in values.items():
        set_committed_value(made, key, value)
    make_transient_to_detached(made)
    return made


def _table(model: type[DeclarativeBase]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101  # a declarative class has one
    return table
