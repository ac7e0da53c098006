"""Writing many rows by COPY, several times as fast as INSERT; also where row-level security forbids COPY."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

import psycopg
from psycopg import sql
from sqlalchemy import Column, Connection, RowMapping, Table, func, inspect, select
from sqlalchemy.orm import DeclarativeBase, Session

from db.connections import without_rows
from db.errors import BulkError, DbError
from db.tenancy import TenantOwned, require

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

Row = Mapping[str, Any]
M = TypeVar("M", bound=DeclarativeBase)
_NONE: Any = object()  # there are no rows
_TOGETHER = 10_000  # rows a statement
_TOGETHER_ASYNC = 1_000  # computing so many rows' values keeps the event loop for some tens of milliseconds
# What the rows themselves are to blame for; anything else (a lost connection, a deadlock) stays the driver's error, so
# that db.transactions.run tries again
_NOT_ALLOWED = "42501"
_ROWS_FAULT = ("22", "23", _NOT_ALLOWED, "428C9")  # the last: a value for a generated column


def copy_rows(
    session: Session, model: type[M], rows: Iterable[M] | Iterable[Row | RowMapping], *, skip_existing: bool = False
) -> int:
    """Write `rows` in the session's transaction; returns how many.

    They are objects of `model`, whose columns a type checker follows, or mappings by attribute name, such as those of a
    csv.DictReader or of `result.mappings()`, which cost less. All have the attributes of the first. Those that are left
    out take the model's Python default, else the column's. The session does not get to know the objects; pending ones
    are flushed before.
    Under row-level security, and with `skip_existing`, the rows go through a temporary table, 10,000 at a time, while
    the next ones are computed. `skip_existing` leaves out, and does not count, what a unique constraint would refuse.

    Raises BulkError for rows that do not fit; none is written then, and the transaction can go on. Raises TenancyError
    where they are refused because the session has no tenant; an owner, who sees all organizations, needs none.
    """
    session.flush()
    given: Iterator[Any] = iter(rows)
    first = next(given, _NONE)
    if first is _NONE:
        return 0
    with session.begin_nested():
        connection = session.connection()
        plan = _Plan(connection, model, first, skip_existing=skip_existing)
        driver: psycopg.Connection[Any] = cast("Any", connection.connection.driver_connection)
        with plan.explained(session), driver.cursor() as cursor, ThreadPoolExecutor(1) as beside:

            def insert() -> None:
                plan.written += cursor.execute(plan.insert).rowcount
                cursor.execute(plan.empty)

            if plan.staged:
                cursor.execute(plan.create)
            inserting: Future[None] | None = None
            for chunk in plan.chunks(itertools.chain([first], given), _TOGETHER):
                if inserting is not None:
                    inserting.result()
                with cursor.copy(plan.copy) as copy:
                    for values in plan.counted(chunk):
                        copy.write_row(values)
                if plan.staged:  # the next chunk's values are computed meanwhile, by this thread
                    inserting = beside.submit(insert)
            if inserting is not None:
                inserting.result()
                cursor.execute(plan.drop)
        return plan.written


async def copy_rows_async(
    session: AsyncSession,
    model: type[M],
    rows: Iterable[M] | Iterable[Row | RowMapping],
    *,
    skip_existing: bool = False,
) -> int:
    """`copy_rows` for an async session."""
    await session.flush()
    given: Iterator[Any] = iter(rows)
    first = next(given, _NONE)
    if first is _NONE:
        return 0
    async with session.begin_nested():
        plan = await session.run_sync(lambda sync: _Plan(sync.connection(), model, first, skip_existing=skip_existing))
        raw = await (await session.connection()).get_raw_connection()
        driver = cast("psycopg.AsyncConnection[Any]", raw.driver_connection)
        with plan.explained(session):
            async with driver.cursor() as cursor:
                if plan.staged:
                    await cursor.execute(plan.create)
                for chunk in plan.chunks(itertools.chain([first], given), _TOGETHER_ASYNC):
                    async with cursor.copy(plan.copy) as copy:
                        for values in plan.counted(chunk):
                            await copy.write_row(values)
                    if plan.staged:
                        plan.written += (await cursor.execute(plan.insert)).rowcount
                        await cursor.execute(plan.empty)
                if plan.staged:
                    await cursor.execute(plan.drop)
        return plan.written


_UNFIT = "value that its column does not take"
# where messages quote a value: "9" is out of range for type x, invalid input syntax for type uuid: "9"
_VALUES = (
    (re.compile(r'(?s): ".*"$'), ""),
    (re.compile(r'(?s)^(value )?".*" is out of range'), "a value is out of range"),
)


class _Plan:
    """The statements, and the way from a mapping to a row of COPY."""

    def __init__(
        self, connection: Connection, model: type[DeclarativeBase], given: Row | DeclarativeBase, *, skip_existing: bool
    ) -> None:
        mapper = inspect(model)
        self._objects_of = model if isinstance(given, DeclarativeBase) else None
        first = assigned(given) if isinstance(given, DeclarativeBase) else given
        self._of_tenants = issubclass(model, TenantOwned)
        self._table = cast("Table", mapper.local_table)
        self._row = 1
        if not isinstance(first, Mapping):
            raise self._misplaced(first, f"{model.__name__} or a mapping")
        attributes = {it.key: cast("Column[Any]", it.columns[0]) for it in mapper.column_attrs}
        if not first:
            raise BulkError(f"the first row for {self._table} has no attribute: every row has those of the first")
        unknown = [name for name in first if name not in attributes]
        if unknown:
            raise BulkError(f'{model.__name__} has no column called "{unknown[0]}"')
        self._names = list(first)
        self._defaults = [
            (key, _default(column))
            for key, column in attributes.items()
            if key not in first and column.default is not None
        ]
        self._columns = [attributes[name] for name in (*self._names, *(key for key, _ in self._defaults))]
        dialect = connection.dialect
        self._processors = [
            (position, process)
            for position, column in enumerate(self._columns)
            if (process := column.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        ]
        self.written = 0
        self._sending = False  # or else computing, where an error may be of the rows' own making
        self._row = self._before = 0  # the row in hand, and how many came before its chunk
        target = sql.Identifier(*filter(None, (self._table.schema, self._table.name)))
        columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in self._columns)
        staging = sql.Identifier("pg_temp", f"copy_{secrets.token_hex(8)}")
        self.create = sql.SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            staging, columns, target
        )
        self.empty = sql.SQL("TRUNCATE {}").format(staging)
        self.drop = sql.SQL("DROP TABLE {}").format(staging)
        self.insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} AS given {}").format(
            target, columns, columns, staging, self._missing(target) if skip_existing else sql.SQL("")
        )
        # whether COPY cannot write to the table itself: the function knows owners, BYPASSRLS and FORCE (manual, 9.27)
        self.staged = skip_existing or bool(connection.scalar(select(func.row_security_active(target.as_string()))))
        self.copy = sql.SQL("COPY {} ({}) FROM STDIN").format(staging if self.staged else target, columns)

    def _missing(self, target: sql.Identifier) -> sql.Composed:
        """The condition for rows that are not there; triggers run for a row before its conflict is seen."""
        keys = [sql.Identifier(it.name) for it in self._table.primary_key if it in self._columns]
        same = sql.SQL(" AND ").join(sql.SQL("there.{} = given.{}").format(key, key) for key in keys)
        unless = sql.SQL("WHERE NOT EXISTS (SELECT FROM {} AS there WHERE {}) ").format(target, same)
        return (unless if len(keys) == len(self._table.primary_key) else sql.Composed([])) + sql.SQL(
            "ON CONFLICT DO NOTHING"
        )

    def chunks(self, rows: Iterable[Any], size: int) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows' values, `size` rows at a time: a statement for all would meet the server's statement_timeout."""
        values = self._values(rows)
        while chunk := list(itertools.islice(values, size)):
            yield chunk

    def counted(self, chunk: Sequence[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """The chunk's rows, while an error knows which of all rows is being sent."""
        self._row = self._before = self._row - len(chunk)
        self._sending = True
        for values in chunk:
            self._row += 1
            yield values
        self._sending = False
        if not self.staged:
            self.written += len(chunk)

    def _values(self, rows: Iterable[Any]) -> Iterator[Sequence[Any]]:
        """The rows' values in the order of COPY's columns, counting them."""
        pick: Callable[[Row], Any] = itemgetter(*self._names) if len(self._names) > 1 else self._single
        width = len(self._names)
        for given in rows:
            self._row += 1
            row = given
            if self._objects_of is not None:
                if not isinstance(given, self._objects_of):
                    raise self._misplaced(given, self._objects_of.__name__)
                row = assigned(given)
            try:
                if len(row) != width:
                    raise BulkError(self._about(f"has other attributes than the first row, {', '.join(self._names)}"))
                values: Sequence[Any] = pick(row)
            except KeyError as error:
                raise BulkError(self._about(f"lacks {error}, which the first row has")) from None
            except TypeError:
                raise self._misplaced(row, "mapping") from None
            if self._defaults or self._processors:
                values = [*values, *(make() for _, make in self._defaults)]
                try:
                    for position, process in self._processors:
                        values[position] = process(values[position])
                except DbError as error:  # of a column's type: a document, an embedding, a time without zone
                    raise BulkError(self._about(f"does not fit: {error}")) from error
                except (TypeError, ValueError, AttributeError, LookupError) as error:  # of SQLAlchemy's types
                    raise BulkError(self._about(f"holds a {_UNFIT}")) from error
            yield values

    @contextmanager
    def explained(self, session: Session | AsyncSession) -> Iterator[None]:
        """Turns the driver's errors about rows into BulkError."""
        try:
            yield
        except UnicodeEncodeError as error:
            raise BulkError(self._about("holds a text with half of a surrogate pair")) from error
        except TypeError as error:
            if not self._sending:
                raise
            raise BulkError(self._about(f"holds a {_UNFIT}")) from error
        except psycopg.Error as error:
            told = self._told(error)
            without_rows(error)
            if told is None:
                raise
            if self._of_tenants and told.sqlstate == _NOT_ALLOWED:
                require(session)
            raise told from error

    def _told(self, error: psycopg.Error) -> BulkError | None:
        """What `error` says about the rows; None where it is about something else. Shows no value."""
        state = error.sqlstate
        if state is None:
            about = "text with a NUL byte" if "NUL" in str(error) else _UNFIT  # the driver refuses both
            unsent = isinstance(error, psycopg.DataError | psycopg.ProgrammingError)
            return BulkError(self._about(f"holds a {about}")) if unsent else None
        if not state.startswith(_ROWS_FAULT):
            return None
        diag = error.diag
        told = diag.message_primary or ""
        place = (
            f" (constraint {diag.constraint_name})" if diag.constraint_name and diag.constraint_name not in told else ""
        )
        for pattern, instead in _VALUES:
            told = pattern.sub(instead, told)
        line = re.search(r"^COPY \w+, line (\d+)(?:, column (\w+))?", diag.context or "", re.MULTILINE)
        where = "a row"
        if line is not None:
            where = f"row {self._before + int(line[1])}" + (f", column {line[2]}," if line[2] else "")
        return BulkError(f"{where} for {self._table} was refused: {told}{place}; nothing was written", sqlstate=state)

    def _single(self, row: Row) -> tuple[Any]:
        return (row[self._names[0]],)

    def _misplaced(self, given: object, wanted: str) -> BulkError:
        return BulkError(self._about(f"is a {type(given).__name__}, where a {wanted} is needed"))

    def _about(self, told: str) -> str:
        return f"row {self._row} for {self._table} {told}; nothing was written"


def assigned(given: DeclarativeBase) -> Row:
    """What was assigned to an object, relationships too: they are refused, for COPY would lose them."""
    return {name: value for name, value in vars(given).items() if name != "_sa_instance_state"}


def _default(column: Column[Any]) -> Callable[[], Any]:
    default: Any = column.default
    if default.is_scalar:
        return lambda: default.arg
    if default.is_callable:
        return lambda: default.arg(None)
    raise BulkError(
        f"{column.table}.{column.name} has a default that only an INSERT computes: give its value in every row"
    )
