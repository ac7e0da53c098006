"""Rows that are hidden instead of deleted.

Importing this module makes every session hide deleted rows of models with the SoftDelete mixin: in ORM queries, bulk
updates and deletes, and what relationships load. `execution_options(include_deleted=True)` shows them. Core statements
on tables, and raw SQL, see every row; foreign keys' cascades do not run for a row that is only hidden.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import TIMESTAMP, Column, event, func, inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column, with_loader_criteria
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError

from db.errors import SoftDeleteError
from db.model import Model

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

OPTION = "include_deleted"


class SoftDelete(Model):
    """Mixin: `deleted_at` is when a row was deleted, None while it lives."""

    deleted_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))


def soft_delete(session: Session, obj: SoftDelete) -> None:
    """Hide `obj`: written at once, in the session's transaction. It leaves the session, as a deleted object does.

    A row that is deleted already keeps its moment. Raises SoftDeleteError for an object that is not in the database.
    """
    _write(session, obj, deleted=True)
    session.expunge(obj)


def restore(session: Session, obj: SoftDelete) -> None:
    """Undo `soft_delete`; `obj` is the session's again. Its parents and children are not looked at.

    Raises SoftDeleteError where a live row has taken its place in a unique index, and as `soft_delete`; the transaction
    can go on in both cases.
    """
    _write(session, obj, deleted=False)


async def soft_delete_async(session: AsyncSession, obj: SoftDelete) -> None:
    """`soft_delete` for an async session."""
    await session.run_sync(soft_delete, obj)


async def restore_async(session: AsyncSession, obj: SoftDelete) -> None:
    """`restore` for an async session."""
    await session.run_sync(restore, obj)


def _write(session: Session, obj: SoftDelete, *, deleted: bool) -> None:
    state = inspect(obj)
    name = f"{type(obj).__name__} {state.identity}"
    if state.key is None or state.deleted:
        raise SoftDeleteError(f"a {type(obj).__name__} that is not in the database can be neither deleted nor restored")
    session.add(obj)  # soft_delete took it out
    try:
        if (obj.deleted_at is not None) == deleted:
            return
        with session.begin_nested():
            obj.deleted_at = func.now() if deleted else None  # the server's clock
        session.refresh(obj, ["deleted_at"])
    except IntegrityError as error:
        constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        raise SoftDeleteError(f"{name} cannot be restored: a live row has its place in {constraint}") from error
    except (StaleDataError, ObjectDeletedError) as error:
        raise SoftDeleteError(f"{name} is not in the database, or not this tenant's") from error


@event.listens_for(Session, "do_orm_execute")
def _hide(state: ORMExecuteState) -> None:
    if state.is_column_load or state.execution_options.get(OPTION, False):
        return  # a column load refreshes an object that somebody holds already
    if state.is_select or state.is_update or state.is_delete:
        state.statement = state.statement.options(_LIVING)


def _living(model: Any) -> Any:
    deleted_at: Column[datetime | None] = model.deleted_at
    return deleted_at.is_(None)


_LIVING = with_loader_criteria(SoftDelete, _living, include_aliases=True)
