"""Pages of a query: by number with a total, or by a cursor that stays fast however deep it goes.

`page` counts all rows and skips those before the page: 300,000 rows deep that is slow. `keyset` begins behind the last
row of the page before, by one index lookup, and rows that come or go meanwhile shift nothing.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
import hashlib
import hmac
import json
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Select,
    UniqueConstraint,
    and_,
    asc,
    desc,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import UnaryExpression

from db.errors import CursorError, PageError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")
LARGEST = 1000  # rows a page: beyond it a client wants an export
VARIABLE = "DB_CURSOR_KEY"
_KEY_LENGTH = 32  # characters or bytes, at least: as long as what the HMAC yields
_LAST_ROW = 2**63 - 1  # OFFSET is a bigint
_SIGNATURE = 16  # bytes of the HMAC-SHA256 that are kept (RFC 2104, 5: at least half)


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page and where it stands; pages are counted from 1, and an empty result has 0 of them."""

    data: Sequence[T]
    page: int
    page_size: int
    total_count: int
    total_pages: int


@dataclass(frozen=True)
class Slice(Generic[T]):
    """Rows behind a cursor; `next_cursor` leads on, and is None where nothing follows."""

    data: Sequence[T]
    next_cursor: str | None
    has_more: bool


Order = ColumnElement[Any] | InstrumentedAttribute[Any]


def page(session: Session, statement: Select[T], page: int = 1, size: int = 20) -> Page[T]:
    """Page number `page` of `statement`, an ordered select of one entity or column; a page past the end is empty.

    The count and the rows are two statements: rows that are written in between show in the second only.
    Raises PageError for a size outside 1 to 1000, a page below 1, and a select without ORDER BY.
    """
    _check_size(size)
    if not _is_number(page) or not 1 <= page <= _LAST_ROW // size:
        raise PageError(f"page is {_shown(page)}: give a number from 1")
    if len(statement.column_descriptions) != 1:
        raise PageError("the select has several columns: select one entity, or page over its ids")
    _check_whole(statement)
    if not statement._order_by_clauses:  # no public name; a page of unordered rows is arbitrary
        raise PageError(
            "the select has no order, so its pages would overlap: add .order_by(), ending in a unique column"
        )
    counted = statement.order_by(None)
    count = select(func.count()).select_from(counted.subquery())
    # such as include_deleted, which the count must obey too
    total = session.scalar(count, execution_options=statement.get_execution_options()) or 0
    data = session.scalars(statement.limit(size).offset((page - 1) * size)).all()
    return Page(data, page, size, total, -(-total // size))


async def page_async(session: AsyncSession, statement: Select[T], page: int = 1, size: int = 20) -> Page[T]:
    """`page` for an async session."""
    return await session.run_sync(_page, statement, page, size)


_page = page  # the name is a parameter above


def keyset(
    session: Session,
    statement: Select[T],
    order: Sequence[Order],
    *,
    after: str | None = None,
    size: int = 20,
    key: str | bytes | None = None,
) -> Slice[T]:
    """The `size` rows of `statement` behind `after`, by `order`: columns, plain or with .desc(), the last one
    unique in what is selected.

    `order` replaces the select's own. Cursors are signed with `key` (default: DB_CURSOR_KEY) and good for this order
    only; whoever has one can read the values of its last row's order columns. Indexed columns in one direction are
    compared as a row, which one index serves. Raises PageError for a size outside 1 to 1000, and for an order that
    leaves rows out (nullable columns) or undecided; CursorError for a cursor that is not one of this order's.
    """
    _check_size(size)
    if len(statement.column_descriptions) != 1:
        raise PageError("the select has several columns: select one entity, or page over its ids")
    _check_whole(statement)
    ordering = _Ordering.of(order, statement)
    secret = _secret(key)
    chosen = statement.order_by(None).order_by(*ordering.clauses()).limit(size + 1)
    if after is not None:
        chosen = chosen.where(ordering.behind(_opened(after, ordering, secret)))
    found = session.execute(chosen.add_columns(*ordering.columns)).all()
    rows, more = found[:size], len(found) > size
    cursor = _sealed(rows[-1][1:], ordering, secret) if more else None
    return Slice([row[0] for row in rows], cursor, more)


async def keyset_async(
    session: AsyncSession,
    statement: Select[T],
    order: Sequence[Order],
    *,
    after: str | None = None,
    size: int = 20,
    key: str | bytes | None = None,
) -> Slice[T]:
    """`keyset` for an async session."""
    return await session.run_sync(keyset, statement, order, after=after, size=size, key=key)


@dataclass(frozen=True)
class _Ordering:
    columns: tuple[ColumnElement[Any], ...]
    descending: tuple[bool, ...]

    @classmethod
    def of(cls, order: Sequence[Order], statement: Select[Any]) -> _Ordering:
        columns, descending = [], []
        for given in order:
            clause: Any = given.__clause_element__() if isinstance(given, InstrumentedAttribute) else given
            down = False
            if isinstance(clause, UnaryExpression) and clause.modifier in (operators.asc_op, operators.desc_op):
                down = clause.modifier is operators.desc_op
                clause = clause.element
            if not isinstance(clause, Column):
                raise PageError(f'the order has "{given}": give columns, plain or with .asc() or .desc()')
            if clause.nullable:
                raise PageError(f"the order has {_plain(clause)}, which may be NULL: such rows would be left out")
            columns.append(clause)
            descending.append(down)
        ordering = cls(tuple(columns), tuple(descending))
        # a key of another table, such as a joined parent's, is the same for many of the selected rows
        selected = [it._deannotate() for it in statement.columns_clause_froms]
        if not selected or not all(ordering._decides(it) for it in selected):
            raise PageError(
                "the order does not decide between all rows: end it in a unique column of what is selected,"
                " such as its primary key"
            )
        return ordering

    def _decides(self, table: FromClause) -> bool:
        ours = {column.name for column in map(_plain, self.columns) if column.table is table}
        unique = (it for it in getattr(table, "constraints", ()) if isinstance(it, UniqueConstraint))
        keys = [{column.name for column in key} for key in (table.primary_key, *unique)]
        return any(key and key <= ours for key in keys)

    def clauses(self) -> list[ColumnElement[Any]]:
        return [(desc if down else asc)(column) for column, down in zip(self.columns, self.descending, strict=True)]

    def behind(self, values: Sequence[Any]) -> ColumnElement[bool]:
        """The rows behind the one with `values`."""
        bound = [literal(value, column.type) for value, column in zip(values, self.columns, strict=True)]
        if len(set(self.descending)) == 1:
            ours, theirs = tuple_(*self.columns), tuple_(*bound)
            return ours < theirs if self.descending[0] else ours > theirs
        alternatives = []
        for position, (column, down) in enumerate(zip(self.columns, self.descending, strict=True)):
            same = [one == other for one, other in zip(self.columns[:position], bound[:position], strict=True)]
            alternatives.append(and_(*same, column < bound[position] if down else column > bound[position]))
        return or_(*alternatives)

    def fingerprint(self) -> bytes:
        """Of names and directions, so that a cursor of another order is told apart."""
        text = ",".join(f"{_plain(it)} {down}" for it, down in zip(self.columns, self.descending, strict=True))
        return hashlib.sha256(text.encode()).digest()


def _plain(column: ColumnElement[Any]) -> Column[Any]:
    plain: Column[Any] = column._deannotate()  # type: ignore[assignment]  # checked in _Ordering.of
    return plain


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: object) -> str:
    return repr(value)[:40]


def _check_size(size: int) -> None:
    if not _is_number(size) or not 1 <= size <= LARGEST:
        raise PageError(f"the page size is {_shown(size)}: give a number from 1 to {LARGEST}")


def _check_whole(statement: Select[Any]) -> None:
    # no public names: what the page would override, or skip on every page
    if any(it is not None for it in (statement._limit_clause, statement._offset_clause, statement._fetch_clause)):
        raise PageError("the select has a limit or an offset of its own: the page sets them, so leave them out")


def _secret(key: str | bytes | None) -> bytes:
    given = os.environ.get(VARIABLE, "") if key is None else key
    secret = given.encode() if isinstance(given, str) else given
    if len(secret) < _KEY_LENGTH:
        what = "is not set" if not secret else f"has {len(secret)} characters"
        raise CursorError(f"{VARIABLE} {what}: cursors are signed with {_KEY_LENGTH} random characters or more")
    return secret


# What a column of an order can hold, as text that reads back to the very same value.
_FORMS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "b": (bool, lambda it: "1" if it else "", bool),  # before int, whose subclass it is
    "i": (int, str, int),
    "s": (str, str, str),
    "t": (datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),  # before date, as above
    "d": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "u": (uuid.UUID, str, uuid.UUID),
    "n": (decimal.Decimal, str, decimal.Decimal),
    "f": (float, float.hex, float.fromhex),
}


def _sealed(values: Sequence[Any], ordering: _Ordering, secret: bytes) -> str:
    texts = []
    for value, column in zip(values, ordering.columns, strict=True):
        for tag, (kind, write, _) in _FORMS.items():
            if isinstance(value, kind):
                texts.append(tag + write(value))
                break
        else:
            raise PageError(f"the order has {_plain(column)}, and a {type(value).__name__} cannot stand in a cursor")
    payload = json.dumps(texts, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_signature(payload, ordering, secret) + payload).decode().rstrip("=")


def _opened(cursor: str, ordering: _Ordering, secret: bytes) -> list[Any]:
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (ValueError, AttributeError, TypeError, binascii.Error):
        raise CursorError(f"the cursor {_shown(cursor)} is malformed: pass next_cursor as it was given") from None
    signature, payload = raw[:_SIGNATURE], raw[_SIGNATURE:]
    if not hmac.compare_digest(signature, _signature(payload, ordering, secret)):
        raise CursorError("the cursor was changed, or belongs to another order or key: begin again without one")
    return [_FORMS[text[0]][2](text[1:]) for text in json.loads(payload)]


def _signature(payload: bytes, ordering: _Ordering, secret: bytes) -> bytes:
    return hmac.digest(secret, ordering.fingerprint() + payload, "sha256")[:_SIGNATURE]
