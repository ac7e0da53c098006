"""Rows by COPY on a real server, as the application's login, directly and through a transaction pooler."""

import asyncio
import datetime
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
import pytest
from sqlalchemy import BigInteger, Enum, Identity, Text, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from db import bulk
from db.async_engine import async_engine, dispose_async
from db.bulk import copy_rows, copy_rows_async
from db.engine import engine
from db.errors import BulkError, TenancyError
from db.model import Model
from db.tenancy import tenant, tenant_async
from db.transactions import run, run_async
from db.urls import DatabaseURL
from tests.db.conftest import Prepared
from tests.db.library import ONE, TWO, Base, Book, Details, Note, Organization

pytestmark = pytest.mark.usefixtures("clean")
PID = select(func.pg_backend_pid())
NUMBERS: dict[type[DeclarativeBase], str] = {Note: "rank", Book: "pages"}
Write = Callable[[str, type[DeclarativeBase], Iterable[Any]], int]


class Computed(Base):
    """Notes again, with a default that only the server can compute."""

    __tablename__ = "notes"
    __table_args__ = {"extend_existing": True, "schema": "elsewhere"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    rank: Mapped[int] = mapped_column(default=func.length("x"))


class Other(Model, DeclarativeBase):
    """For notes once more, whose mood is one of a list."""


class Moody(Other):
    __tablename__ = "notes"
    __table_args__ = {"schema": "maps"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    body: Mapped[str]
    mood: Mapped[str] = mapped_column(Enum("merry", native_enum=False, validate_strings=True))


def sync_write(url: str, model: type[DeclarativeBase], rows: Iterable[Any]) -> int:
    with Session(engine(url)) as session, tenant(session, ONE):
        try:
            return copy_rows(session, model, rows)
        finally:
            session.execute(text("SELECT 1"))  # the transaction goes on, whatever happened
            session.commit()


def async_write(url: str, model: type[DeclarativeBase], rows: Iterable[Any]) -> int:
    async def main() -> int:
        source = create_async_engine(DatabaseURL.parse(url).sqlalchemy(), connect_args={"prepare_threshold": None})
        try:
            async with AsyncSession(source) as session, tenant_async(session, ONE):
                try:
                    return await copy_rows_async(session, model, rows)
                finally:
                    await session.execute(text("SELECT 1"))
                    await session.commit()
        finally:
            await source.dispose()

    return asyncio.run(main())


@pytest.fixture(params=[sync_write, async_write])
def write(request: pytest.FixtureRequest) -> Write:
    writer: Write = request.param
    return writer


def bodies(library: Prepared) -> list[str]:
    return [body for (body,) in library.rows("SELECT body FROM maps.notes ORDER BY id")]


def test_rows_are_written_with_the_columns_own_defaults(library: Prepared, route: str, write: Write) -> None:
    assert write(route, Note, ({"body": f"{n}"} for n in range(3))) == 3
    assert library.rows("SELECT id, body, rank FROM maps.notes ORDER BY id") == [(1, "0", 0), (2, "1", 0), (3, "2", 0)]


def test_objects_are_written_as_well_and_stay_out_of_the_session(route: str, write: Write) -> None:
    books = [Book(title=f"{n}", organization_id=ONE, details=Details(copies=n)) for n in range(3)]
    books[1].pages = 1
    assert write(route, Book, [books[0], books[2]]) == 2
    assert write(route, Book, books[1:2]) == 1
    assert [book.id for book in books] == [None, None, None]

    with Session(engine(route)) as session, tenant(session, ONE):
        found = session.scalars(select(Book).order_by(Book.title)).all()
        assert [(book.title, book.pages, book.details) for book in found] == [
            (f"{n}", 1, Details(copies=n)) for n in range(3)
        ]
        assert copy_rows(session, Note, (Note(body=f"{n}") for n in range(3))) == 3
        assert not session.new


def test_rows_of_tenants_that_are_refused_without_one_are_a_tenancy_error(route: str) -> None:
    with Session(engine(route)) as session, pytest.raises(TenancyError, match="the session has no tenant"):
        copy_rows(session, Book, [BOOK])

    async def main() -> None:
        source = create_async_engine(DatabaseURL.parse(route).sqlalchemy(), connect_args={"prepare_threshold": None})
        async with AsyncSession(source) as session:
            with pytest.raises(TenancyError, match="the session has no tenant"):
                await copy_rows_async(session, Book, [BOOK])
        await source.dispose()

    asyncio.run(main())


def test_no_rows_are_no_work(library: Prepared, route: str, write: Write) -> None:
    assert write(route, Note, []) == 0
    assert bodies(library) == []


def test_every_type_arrives_as_it_was_given(route: str, write: Write) -> None:
    row = {
        "id": uuid.uuid4(),
        "organization_id": ONE,
        "title": 'tab\t newline\n backslash \\N quote " ü',
        "pages": 7,
        "price": "12.50",
        "created_at": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, datetime.UTC),
        "deleted_at": None,
        "details": Details(copies=4),
        "secret": b"\x00\x01\xff",
    }
    assert write(route, Book, [row]) == 1

    with Session(engine(route)) as session, tenant(session, ONE):
        found = session.scalars(select(Book)).one()
        assert {name: getattr(found, name) for name in row} == {**row, "price": found.price}
        assert str(found.price) == "12.50"


def test_under_row_level_security_only_the_tenants_rows_are_taken(library: Prepared, route: str, write: Write) -> None:
    """COPY itself is refused there: the rows go through a temporary table. Python's defaults are applied."""
    assert write(route, Book, [{"organization_id": ONE, "title": f"{n}"} for n in range(5)]) == 5

    with pytest.raises(
        BulkError, match=r"a row for maps.books was refused: new row violates row-level security"
    ) as told:
        write(route, Book, [{"organization_id": ONE, "title": "x"}, {"organization_id": TWO, "title": "y"}])

    assert told.value.sqlstate == "42501"
    assert library.rows("SELECT organization_id, title, pages FROM maps.books ORDER BY title") == [
        (ONE, f"{n}", 1) for n in range(5)
    ]


def test_two_copies_of_one_transaction_do_not_meet(library: Prepared, route: str) -> None:
    def work(session: Session) -> int:
        with tenant(session, ONE):
            return sum(copy_rows(session, Book, [{"organization_id": ONE, "title": f"{n}"}]) for n in range(3))

    assert run(engine(route), work) == 3
    assert library.rows("SELECT count(*) FROM maps.books") == [(3,)]


def test_pending_objects_are_written_before(library: Prepared, route: str) -> None:
    organization = uuid.uuid4()

    def work(session: Session) -> None:
        session.add(Organization(id=organization, name="New"))
        with tenant(session, organization):
            copy_rows(session, Book, [{"organization_id": organization, "title": "x"}])

    run(engine(route), work)
    assert library.rows("SELECT organization_id FROM maps.books") == [(organization,)]
    library.rows("DELETE FROM maps.books RETURNING 1")
    library.rows("DELETE FROM maps.organizations WHERE name = 'New' RETURNING 1")


def test_a_rollback_takes_the_rows_back(library: Prepared, route: str) -> None:
    with Session(engine(route)) as session:
        assert copy_rows(session, Note, [{"body": "x"}]) == 1
        session.rollback()

    assert bodies(library) == []


GOOD = {"body": "good", "rank": 1}
BOOK = {"organization_id": ONE, "title": "x"}
BAD: dict[str, tuple[type[DeclarativeBase], list[Any], str, str | None]] = {
    "unknown attribute": (Note, [{"body": "x", "colour": "red"}], 'Note has no column called "colour"', None),
    "missing attribute": (Note, [GOOD, {"body": "x", "mood": "m"}], "row 2 for maps.notes lacks 'rank', which", None),
    "too few": (
        Note,
        [GOOD, {"body": "x"}],
        "row 2 for maps.notes has other attributes than the first row, body, r",
        None,
    ),
    "one attribute only": (Note, [{"body": "x"}, {"rank": 1}], "row 2 for maps.notes lacks 'body'", None),
    "nothing first": (Note, [None, GOOD], "row 1 for maps.notes is a NoneType, where a Note or a mapping is", None),
    "nothing later": (Note, [GOOD, None], "row 2 for maps.notes is a NoneType, where a mapping is needed", None),
    "an object after mappings": (Note, [GOOD, Note(body="x")], "row 2 for maps.notes is a Note, where a map", None),
    "a text as long as the first row": (Note, [{"body": "x"}, "x"], "row 2 for maps.notes is a str, where a", None),
    "other objects": (Note, [Moody(body="x", mood="merry")], "row 1 for maps.notes is a Moody, where a Note", None),
    "other objects later": (Note, [Note(body="x"), GOOD], "row 2 for maps.notes is a dict, where a Note is", None),
    "objects with other attributes": (
        Note,
        [Note(body="x"), Note(body="y", rank=1)],
        "row 2 .* other attributes",
        None,
    ),
    "related objects": (Organization, [Organization(id=TWO, name="x", books=[])], 'no column called "books"', None),
    "an expression": (Note, [Note(body=func.lower("x"))], "row 1 for maps.notes holds a value that its", None),
    "nothing": (Note, [{}], "the first row for maps.notes has no attribute", None),
    "any object": (Note, [GOOD, {"body": object(), "rank": 1}], "row 2 for maps.notes holds a value that its", None),
    "any object for an id": (Book, [{**BOOK, "id": object()}], "row 1 for maps.books holds a value that its", None),
    "text for bytes": (Book, [{**BOOK, "secret": "a secret"}], "row 1 for maps.books holds a value that its", None),
    "a dict for text": (Book, [{**BOOK, "title": {"secret": 1}}], "row 1 for maps.books holds a value that its", None),
    "no value of a list": (
        Moody,
        [{"body": "x", "mood": "secret"}],
        "row 1 for maps.notes holds a value that its",
        None,
    ),
    "any object in a document": (Note, [{"body": "x", "details": {"tags": [object()]}}], "row 1.* field tags", None),
    "NUL": (Note, [GOOD, {"body": "se\0cret", "rank": 1}], "row 2 for maps.notes holds a text with a NUL byte", None),
    "half a character": (
        Note,
        [GOOD, {"body": "secret \ud800", "rank": 1}],
        "row 2 for maps.notes holds .* half",
        None,
    ),
    "range": (
        Note,
        [{**GOOD, "rank": "77777777777777777777"}],
        "row 1, column rank,.*: a value is out of range",
        "22003",
    ),
    "enum of quotes": (
        Book,
        [{"organization_id": ONE, "title": "x", "created_at": 'x": "secret'}],
        "row 1, column created_at, .*: invalid input syntax for type timestamp with time zone; nothing",
        "22007",
    ),
    "NULL": (Note, [GOOD, {"body": None, "rank": 1}], 'row 2.* was refused: null value in column "body"', "23502"),
    "type": (
        Note,
        [GOOD, {"body": "x", "rank": "secret"}],
        "row 2, column rank, for maps.notes was refused: inv",
        "22P02",
    ),
    "unique": (Note, [GOOD, GOOD], "row 2 for maps.notes was refused: duplicate key value violates", "23505"),
    "check": (
        Book,
        [{"organization_id": ONE, "title": "x", "pages": 0}],
        'a row for maps.books.*"has_pages"; nothing',
        "23514",
    ),
    "parent": (
        Book,
        [{"organization_id": uuid.UUID(int=9), "title": "x"}],
        "a row for maps.books was refused",
        "42501",
    ),
    "generated": (Note, [{"body": "x", "id": 2**70}], "row 1, column id, .* out of range for type bigint", "22003"),
    "document": (
        Note,
        [{"body": "x", "details": {"copys": 1}}],
        r"row 1 for maps.notes does not fit: .*field copys",
        None,
    ),
    "default": (Computed, [{"body": "x"}], "elsewhere.notes.rank has a default that only an INSERT computes", None),
}


@pytest.mark.parametrize("case", BAD)
def test_rows_that_do_not_fit_are_named_and_none_is_written(
    library: Prepared, route: str, write: Write, case: str
) -> None:
    model, rows, words, state = BAD[case]

    with pytest.raises(BulkError, match=words) as told:
        write(route, model, rows)

    message = str(told.value)
    assert told.value.sqlstate == state
    assert "\n" not in message
    assert "secret" not in message
    assert "7777" not in message
    assert bodies(library) == []
    assert library.rows("SELECT count(*) FROM maps.books") == [(0,)]


def test_the_drivers_error_behind_it_shows_no_row_either(route: str, write: Write) -> None:
    rows = [{"body": "a secret"}, {"body": "a secret"}]

    with pytest.raises(BulkError) as told:
        write(route, Note, rows)

    assert str(told.value.__cause__) == 'duplicate key value violates unique constraint "one_living_body"'


@pytest.mark.parametrize("error", [LookupError, TypeError])
def test_an_error_of_the_rows_own_making_is_raised_as_it_is(
    library: Prepared, route: str, write: Write, error: type[Exception]
) -> None:
    def rows() -> Iterable[dict[str, object]]:
        yield GOOD
        raise error("of a test")

    with pytest.raises(error, match="of a test"):
        write(route, Note, rows())
    assert bodies(library) == []


def test_what_is_not_the_rows_fault_stays_the_drivers_and_is_tried_again(library: Prepared, route: str) -> None:
    calls = 0

    def work(session: Session) -> int:
        nonlocal calls
        calls += 1
        session.execute(text("SET LOCAL lock_timeout = '50ms'"))
        return copy_rows(session, Note, [{"body": "x"}])

    with psycopg.connect(library.owner_url) as rival:
        rival.execute("LOCK TABLE maps.notes")
        with pytest.raises(Exception, match="gave up after 2 attempts: SQLSTATE 55P03"):
            run(engine(route), work, attempts=2)

    assert calls == 2


@pytest.mark.parametrize("model", [Note, Book])
@pytest.mark.parametrize("runner", ["sync", "async"])
def test_a_connection_that_is_lost_in_the_middle_is_replaced_and_the_rows_are_written_once(
    library: Prepared, route: str, model: type[DeclarativeBase], runner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_TOGETHER", 10)
    monkeypatch.setattr(bulk, "_TOGETHER_ASYNC", 10)
    calls = 0

    def rows(pid: int) -> Iterable[dict[str, object]]:
        nonlocal calls
        calls += 1
        for number in range(40):
            if number == 25 and calls == 1:
                library.rows("SELECT pg_terminate_backend(%s)", pid)
            yield {"body": f"{number}"} if model is Note else {"organization_id": ONE, "title": f"{number}"}

    def work(session: Session) -> int:
        with tenant(session, ONE):
            return copy_rows(session, model, rows(session.scalar(PID) or 0))

    async def work_async(session: AsyncSession) -> int:
        async with tenant_async(session, ONE):
            return await copy_rows_async(session, model, rows(await session.scalar(PID) or 0))

    async def main() -> int:
        try:
            return await run_async(async_engine(route), work_async)
        finally:
            await dispose_async()

    assert (run(engine(route), work) if runner == "sync" else asyncio.run(main())) == 40
    assert calls == 2
    assert library.rows(f"SELECT count(*) FROM maps.{model.__tablename__}") == [(40,)]


@pytest.mark.parametrize("model", [Note, Book])
def test_rows_that_are_there_already_can_be_left_out(route: str, model: type[DeclarativeBase]) -> None:
    same = [{"id": n, "body": f"{n}"} for n in range(1, 4)]
    if model is Book:
        same = [{"id": uuid.UUID(int=n), "organization_id": ONE, "title": f"{n}"} for n in range(1, 4)]

    def work(session: Session) -> list[int]:
        with tenant(session, ONE):
            return [copy_rows(session, model, same[:count], skip_existing=True) for count in (2, 3, 3)]

    assert run(engine(route), work) == [2, 1, 0]


@pytest.mark.parametrize("model", [Note, Book])
def test_a_row_far_behind_is_named_by_its_own_number(
    library: Prepared, route: str, write: Write, model: type[DeclarativeBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows go in several statements, and each of these counts from 1; under row-level security they are staged."""
    for name in ("_TOGETHER", "_TOGETHER_ASYNC"):
        monkeypatch.setattr(bulk, name, 10)

    def rows(bad: Any) -> Iterable[Any]:
        for number in range(1, 41):
            text = bad if number == 27 else f"{number}"
            yield {"body": text} if model is Note else {"organization_id": ONE, "title": text}

    with pytest.raises(BulkError, match=rf"^row 27 for maps.{model.__tablename__} holds a text with a NUL byte"):
        write(route, model, rows("\0"))
    with pytest.raises(BulkError, match=rf"^row 27, column \w+, for maps.{model.__tablename__} was refused: invalid"):
        write(
            route,
            model,
            (({**it, NUMBERS[model]: "x"} if n == 26 else {**it, NUMBERS[model]: 1}) for n, it in enumerate(rows("a"))),
        )
    assert library.rows(f"SELECT FROM maps.{model.__tablename__}") == []
    assert write(route, model, rows("27")) == 40


def test_a_line_of_a_function_is_not_taken_for_a_row(library: Prepared, route: str, write: Write) -> None:
    with library.admin() as admin:
        admin.execute(
            "CREATE FUNCTION maps.refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN\n\n\n\n\nRAISE check_violation USING MESSAGE = 'of a test'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON maps.notes FOR EACH ROW"
            " WHEN (new.body = 'bad') EXECUTE FUNCTION maps.refuse()"
        )
    try:
        with pytest.raises(BulkError, match=r"^row 2 for maps.notes was refused: of a test"):
            write(route, Note, [{"body": "good"}, {"body": "bad"}])
    finally:
        with library.admin() as admin:
            admin.execute("DROP FUNCTION maps.refuse() CASCADE")


def test_all_rows_together_may_take_longer_than_a_statement_may(
    library: Prepared, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_TOGETHER", 10)
    with library.admin() as admin:
        admin.execute(
            "CREATE FUNCTION maps.dawdle() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(0.02); RETURN new; END $$;"
            "CREATE TRIGGER dawdle BEFORE INSERT ON maps.books FOR EACH ROW EXECUTE FUNCTION maps.dawdle()"
        )
    try:
        with Session(engine(route)) as session, tenant(session, ONE):
            session.execute(text("SET LOCAL statement_timeout = '1s'"))
            rows = ({"organization_id": ONE, "title": f"{n}"} for n in range(100))
            assert copy_rows(session, Book, rows) == 100
            session.commit()
    finally:
        with library.admin() as admin:
            admin.execute("DROP FUNCTION maps.dawdle() CASCADE")


def test_no_trigger_runs_for_a_row_that_is_left_out(library: Prepared, route: str) -> None:
    def work(session: Session) -> int:
        return copy_rows(session, Note, [{"id": n, "body": f"{n}"} for n in range(1, 4)], skip_existing=True)

    assert run(engine(route), work) == 3
    with psycopg.connect(library.owner_url, autocommit=True) as owner:
        owner.execute(
            "CREATE FUNCTION maps.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'called'; END $$"
        )
        owner.execute("CREATE TRIGGER refuse BEFORE INSERT ON maps.notes FOR EACH ROW EXECUTE FUNCTION maps.refuse()")
        try:
            assert run(engine(route), work) == 0
        finally:
            owner.execute("DROP FUNCTION maps.refuse() CASCADE")


@pytest.mark.requirement("bots.performance.batch-insert")
def test_fifty_thousand_rows_arrive(library: Prepared, route: str) -> None:
    count = run(engine(route), lambda it: copy_rows(it, Note, ({"body": f"{n}", "rank": n} for n in range(50_000))))

    assert count == 50_000
    assert library.rows("SELECT count(*), sum(rank) FROM maps.notes") == [(50_000, sum(range(50_000)))]
