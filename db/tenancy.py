"""Whose rows a session works on: an organization, and the user who acts.

Row-level security reads both from settings of the transaction, which are set at its begin and end with it, so that they
reach no other client of a transaction pooler. A policy reads

    organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)

(the setting is '' once it was used in a server session; the sub-select makes it one evaluation a statement, not a row).
Without a tenant a session sees no row and writes none: its transactions begin with empty settings, so that one which
somebody set for the whole server session, and which a pool then lends on, counts for nobody else. (In autocommit behind
a transaction pooler it does count: there each statement may meet another server session.)
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import ClauseElement, Compiled, Connection, Engine, FromClause, event, func, select
from sqlalchemy.orm import Mapper, ORMExecuteState, Session, SessionTransaction, UOWTransaction
from sqlalchemy.sql import visitors

from db.errors import TenancyError
from db.model import Model

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

_KEY = "db.tenancy"  # in Session.info
_CONNECTIONS = "db.tenancy.connections"  # there too: a WeakSet of those that the session began transactions on
_sessions: WeakKeyDictionary[Connection, Session] = WeakKeyDictionary()  # the way back
_owned: WeakSet[FromClause] = WeakSet()  # the tables of all TenantOwned models
_compiled: WeakKeyDictionary[Compiled, bool] = WeakKeyDictionary()  # whether these statements name one of them


@dataclass(frozen=True)
class Tenant:
    """An organization, and who acts in it (None: the organization itself, as a scheduled job does)."""

    organization_id: uuid.UUID
    user_id: uuid.UUID | None = None


class TenantOwned(Model):
    """Mixin of models whose rows belong to an organization: without a tenant they raise TenancyError, not emptiness."""


@contextmanager
def tenant(session: Session, organization_id: uuid.UUID, user_id: uuid.UUID | None = None) -> Iterator[Tenant]:
    """Inside, every transaction of `session` is `organization_id`'s.

    At the end pending changes are flushed and the session forgets its objects, which stay readable: the next tenant's
    `session.get` must not find them. Nothing is committed here.

    Raises TenancyError for what is no UUID, and inside another organization's scope.
    """
    wanted = Tenant(_uuid("organization", organization_id), None if user_id is None else _uuid("user", user_id))
    if not _enter(session, wanted):
        yield wanted
        return
    try:
        yield wanted
        session.flush()
    finally:
        _leave(session)


@asynccontextmanager
async def tenant_async(
    session: AsyncSession, organization_id: uuid.UUID, user_id: uuid.UUID | None = None
) -> AsyncIterator[Tenant]:
    """`tenant` for an async session; the same rules and errors."""
    wanted = Tenant(_uuid("organization", organization_id), None if user_id is None else _uuid("user", user_id))
    if not await session.run_sync(_enter, wanted):
        yield wanted
        return
    try:
        yield wanted
        await session.flush()
    finally:
        await session.run_sync(_leave)


def require(session: Session | AsyncSession) -> Tenant:
    """The tenant of `session`. Raises TenancyError where there is none."""
    found = session.info.get(_KEY)
    if isinstance(found, Tenant):
        return found
    raise TenancyError("the session has no tenant: use `with tenant(session, organization_id):` around this")


def _uuid(what: str, value: object) -> uuid.UUID:
    try:
        return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))
    except ValueError:
        raise TenancyError(f"the {what} is {str(value)[:40]!r}: give its id, a UUID") from None


def _enter(session: Session, wanted: Tenant) -> bool:
    """False where `wanted` is the session's tenant already."""
    current = session.info.get(_KEY)
    if current == wanted:
        return False
    if current is not None:
        raise TenancyError(
            f"the session works for organization {current.organization_id}"
            f" as user {current.user_id}: leave that scope, or take another session"
        )
    session.info[_KEY] = wanted
    try:
        _announce(session)
    except BaseException:
        session.info[_KEY] = None
        raise
    return True


def _leave(session: Session) -> None:
    session.info[_KEY] = None
    session.expunge_all()
    _announce(session)


def _announce(session: Session) -> None:
    """Tell the transactions that run already; one that has failed ends without reading it."""
    for connection in tuple(session.info.get(_CONNECTIONS, ())):
        if connection.closed or connection.invalidated or not connection.in_transaction():
            continue  # of an earlier transaction, or lost
        if connection.connection.driver_connection.info.transaction_status is not TransactionStatus.INERROR:
            _set(connection, session.info[_KEY])


def _set(connection: Connection, current: Tenant | None) -> None:
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]  # psycopg's
    if driver.autocommit and current is not None:
        raise TenancyError("the connection is in autocommit, where a tenant would end with the first statement")
    local = not driver.autocommit  # for this transaction
    organization = "" if current is None else str(current.organization_id)
    user = "" if current is None or current.user_id is None else str(current.user_id)
    connection.execute(
        select(func.set_config("app.organization_id", organization, local), func.set_config("app.user_id", user, local))
    )


@event.listens_for(Session, "after_begin")
def _begun(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    if transaction.nested:
        return
    session.info.setdefault(_CONNECTIONS, WeakSet()).add(connection)
    _sessions[connection] = session
    current = session.info.get(_KEY)
    if current is not None or _owned:  # a process without models of tenants pays no round trip
        _set(connection, current)


@event.listens_for(Engine, "after_cursor_execute")
def _executed(connection: Connection, _cursor: object, statement: str, *_about: object) -> None:
    """A rollback to a savepoint also takes the settings back to what they were then, whoever asks for it."""
    if statement.lstrip()[:11].upper() == "ROLLBACK TO":
        session = _sessions.get(connection)
        if session is not None and _KEY in session.info:
            _set(connection, session.info[_KEY])


@event.listens_for(TenantOwned, "after_mapper_constructed", propagate=True)
def _mapped(mapper: Mapper[Any], _model: type[Any]) -> None:
    _owned.add(mapper.local_table)


@event.listens_for(Session, "do_orm_execute")
def _executing(state: ORMExecuteState) -> None:
    """Before a connection is taken; also what comes from a text of the caller's, of which only the models are known."""
    if any(issubclass(mapper.class_, TenantOwned) for mapper in state.all_mappers):
        require(state.session)


@event.listens_for(Engine, "before_cursor_execute")
def _sending(
    connection: Connection, _cursor: object, _statement: str, _values: object, context: Any, *_: object
) -> None:
    """Everything else, when it is compiled: only then joins of relationships and of eager loading are written out."""
    session = _sessions.get(connection)
    if session is None or session.info.get(_KEY) is not None or context.compiled is None:
        return
    if session.in_transaction() and _names_owned(context.compiled):  # else the connection outlived the session
        require(session)


def _names_owned(compiled: Compiled) -> bool:
    """Whether a table of tenants stands anywhere in the statement, such as in a sub-select."""
    found = _compiled.get(compiled)
    if found is None:
        found = _compiled[compiled] = _has_owned(compiled.statement, getattr(compiled.compile_state, "statement", None))
    return found


def _has_owned(*statements: ClauseElement | None) -> bool:
    waiting: list[Any] = [it for it in statements if it is not None]
    seen: set[Any] = set()
    while waiting:
        for part in visitors.iterate(waiting.pop()):
            if part in _owned:
                return True
            source = getattr(part, "table", None)  # a column's, which may be named nowhere else
            if source is not None and source not in seen:
                seen.add(source)
                waiting.append(source)
    return False


@event.listens_for(Session, "before_flush")
def _flushing(session: Session, _context: UOWTransaction, _instances: object) -> None:
    touched = (*session.new, *session.dirty, *session.deleted)
    if any(isinstance(it, TenantOwned) for it in touched):
        require(session)
