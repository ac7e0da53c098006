"""Whose rows a session works on: an organization, and the user who acts.

Row-level security reads both from settings of the transaction, which are set at its begin and end with it, so that they
reach no other client of a transaction pooler. A policy reads

    organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid)

(the setting is '' once it was used in a server session; the sub-select makes it one evaluation a statement, not a row).
Without a tenant a session sees no row and writes none: its transactions begin with empty settings, so that one which
somebody set for the whole server session, and which a pool then lends on, counts for nobody else. (In autocommit behind
a transaction pooler it does count: there each statement may meet another server session.)
Sessions on one Connection share its settings: while one of them works for somebody there, the others may not.
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
_USER = "db.tenancy.user"  # there too: who is signed in, in no organization yet
_CONNECTIONS = "db.tenancy.connections"  # there too: a WeakSet of those that the session began transactions on
_sessions: WeakKeyDictionary[Connection, Session] = WeakKeyDictionary()  # the way back: whose settings it has
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

    Raises TenancyError for what is no UUID, for an AsyncSession, inside another organization's scope, and where another
    session works for somebody on the same Connection.
    """
    wanted = Tenant(_uuid("organization", organization_id), None if user_id is None else _uuid("user", user_id))
    if hasattr(session, "run_sync"):
        raise TenancyError("an AsyncSession cannot wait here: use `async with tenant_async(session, organization_id):`")
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


@contextmanager
def signed_in(session: Session, user_id: uuid.UUID) -> Iterator[None]:
    """Inside, every transaction of `session` is `user_id`'s, in no organization yet: own rows only.

    `tenant` may be entered inside, and counts there. At the end pending changes are flushed. Raises TenancyError for
    what is no UUID, inside a scope of somebody else, and where another session works for somebody on the same
    Connection.
    """
    user, current, before = _uuid("user", user_id), session.info.get(_KEY), session.info.get(_USER)
    if current is not None and current.user_id != user:
        raise TenancyError(f"the session works for {_named(current)}: leave that scope before {user} signs in")
    session.info[_USER] = user
    try:
        _claim(session)
        _announce(session)
        yield
        session.flush()
    finally:
        session.info[_USER] = before
        _announce(session)


def require(session: Session | AsyncSession) -> Tenant:
    """The tenant of `session`. Raises TenancyError where there is none."""
    found = session.info.get(_KEY)
    if isinstance(found, Tenant):
        return found
    raise TenancyError("the session has no tenant: use `with tenant(session, organization_id):` around this")


def guard(table: FromClause) -> None:
    """Refuse sessions without a tenant this table, as those of TenantOwned models: one that belongs to such a model."""
    _owned.add(table)


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
        raise TenancyError(f"the session works for {_named(current)}: leave that scope, or take another session")
    session.info[_KEY] = wanted
    try:
        _claim(session)
        _announce(session)
    except BaseException:
        session.info[_KEY] = None
        raise
    return True


def _leave(session: Session) -> None:
    session.info[_KEY] = None
    session.expunge_all()
    _announce(session)


def _whose(session: Session) -> Tenant | uuid.UUID | None:
    """For whom the session works; a UUID is a user's, in no organization."""
    return session.info.get(_KEY) or session.info.get(_USER)


def _named(whose: Tenant | uuid.UUID) -> str:
    return (
        f"organization {whose.organization_id} as user {whose.user_id}"
        if isinstance(whose, Tenant)
        else f"user {whose}"
    )


def _claim(session: Session) -> bool:
    """Whether one of its connections had settings of another session, whose turn must be over."""
    taken = False
    for connection in tuple(session.info.get(_CONNECTIONS, ())):
        other = _sessions[connection]
        if other.info is session.info:  # the same, perhaps by a proxy
            continue
        whose = _whose(other)
        if other.in_transaction() and whose is not None and whose != _whose(session):
            raise TenancyError(
                f"another session on the same connection works for {_named(whose)}: leave that scope first, or give"
                " this session a connection of its own"
            )
        _sessions[connection], taken = session, True
    return taken


def _announce(session: Session) -> None:
    """Tell the transactions that run already; one that has failed ends without reading it."""
    for connection in tuple(session.info.get(_CONNECTIONS, ())):
        if connection.closed or connection.invalidated or not connection.in_transaction():
            continue  # of an earlier transaction, or lost
        if _sessions[connection].info is session.info and _status(connection) is not TransactionStatus.INERROR:
            _set(connection, session)


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    return connection.connection.driver_connection  # type: ignore[return-value]  # psycopg's


def _status(connection: Connection) -> TransactionStatus:
    return _driver(connection).info.transaction_status


def _set(connection: Connection, session: Session) -> None:
    whose = _whose(session)
    local = not _driver(connection).autocommit  # for this transaction
    if whose is not None and not local:
        raise TenancyError("the connection is in autocommit, where a tenant would end with the first statement")
    organization, user = (whose.organization_id, whose.user_id) if isinstance(whose, Tenant) else (None, whose)
    connection.execute(
        select(
            func.set_config("app.organization_id", str(organization or ""), local),
            func.set_config("app.user_id", str(user or ""), local),
        )
    )


@event.listens_for(Session, "after_begin")
def _begun(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    if transaction.nested:
        return
    session.info.setdefault(_CONNECTIONS, WeakSet()).add(connection)
    _sessions.setdefault(connection, session)
    _claim(session)
    if _whose(session) is not None or _owned:  # a process without models of tenants pays no round trip
        _set(connection, session)


@event.listens_for(Engine, "after_cursor_execute")
def _executed(connection: Connection, _cursor: object, statement: str, *_about: object) -> None:
    """Settings end with a transaction, and a rollback to a savepoint takes them back, whoever asks and in what words.

    A statement that only mentions one costs a round trip.
    """
    session = _sessions.get(connection)
    if session is None or not (_KEY in session.info or _USER in session.info):
        return
    ended = _status(connection) is TransactionStatus.IDLE and not _driver(connection).autocommit
    if ended or "ROLLBACK" in statement.upper():
        _set(connection, session)


@event.listens_for(TenantOwned, "after_mapper_constructed", propagate=True)
def _mapped(mapper: Mapper[Any], _model: type[Any]) -> None:
    guard(mapper.local_table)


@event.listens_for(Session, "do_orm_execute")
def _executing(state: ORMExecuteState) -> None:
    """Before a connection is taken; also what comes from a text of the caller's, of which only the models are known."""
    if _claim(state.session):
        _announce(state.session)
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
    if _claim(session):
        _announce(session)
    touched = (*session.new, *session.dirty, *session.deleted)
    if any(isinstance(it, TenantOwned) for it in touched):
        require(session)
