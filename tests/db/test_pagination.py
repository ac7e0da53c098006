"""Pages on a real server, as the application's login, directly and through a transaction pooler."""

import asyncio
import base64
import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, Select, event, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, aliased, selectinload

from db.engine import engine
from db.errors import CursorError, PageError
from db.pagination import Page, Slice, keyset, keyset_async, page, page_async
from db.soft_delete import soft_delete
from db.tenancy import tenant
from tests.db.library import ONE, TWO, Book, Note

pytestmark = pytest.mark.usefixtures("clean")
KEY = "a key of 32 characters, or more.."
NOTES = [f"note {number:02}" for number in range(1, 26)]
BY_ID = select(Note.body).order_by(Note.id)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_CURSOR_KEY", KEY)


@pytest.fixture
def app(route: str) -> Engine:
    """With 25 notes, whose rank is their number modulo 3."""
    with Session(engine(route)) as session:
        session.execute(insert(Note), [{"body": it, "rank": n % 3} for n, it in enumerate(NOTES, start=1)])
        session.commit()
    return engine(route)


@pytest.mark.requirement("bots.patterns.list-bots", "bots.layout.pagination")
def test_a_page_has_its_rows_and_the_documents_four_numbers(app: Engine) -> None:
    with Session(app) as session:
        assert page(session, BY_ID, 3, 10) == Page(NOTES[20:], 3, 10, 25, 3)
        assert page(session, BY_ID) == Page(NOTES[:20], 1, 20, 25, 2)
        assert page(session, BY_ID, 5, 5) == Page(NOTES[20:], 5, 5, 25, 5)
        assert page(session, BY_ID, 99, 10) == Page([], 99, 10, 25, 3)
        assert page(session, BY_ID.where(Note.rank == 7)) == Page([], 1, 20, 0, 0)


def test_the_total_of_a_query_with_distinct_or_groups_is_that_of_its_rows(app: Engine) -> None:
    with Session(app) as session:
        assert page(session, select(Note.rank).distinct().order_by(Note.rank)).total_count == 3
        grouped = select(func.count()).select_from(Note).group_by(Note.rank).order_by(Note.rank)
        assert page(session, grouped) == Page([8, 9, 8], 1, 20, 3, 1)


@pytest.mark.parametrize("bounded", [BY_ID.limit(3), BY_ID.offset(3), BY_ID.fetch(3), BY_ID.slice(0, 3)])
def test_a_select_with_bounds_of_its_own_is_refused(app: Engine, bounded: Select[str]) -> None:
    """The page would override its limit, and each slice would skip its offset once more."""
    with Session(app) as session:
        with pytest.raises(PageError, match="has a limit or an offset of its own"):
            page(session, bounded)
        with pytest.raises(PageError, match="has a limit or an offset of its own"):
            keyset(session, bounded, order=(Note.id,))


def test_deleted_rows_are_in_neither_the_page_nor_the_total(app: Engine) -> None:
    with Session(app) as session:
        soft_delete(session, session.get_one(Note, 1))
        found = page(session, select(Note).order_by(Note.id), 1, 5)
        everything = page(session, BY_ID.execution_options(include_deleted=True))
        behind = keyset(session, select(Note.body), order=(Note.id,), size=2)

    assert (found.data[0].body, found.total_count, everything.total_count) == (NOTES[1], 24, 25)
    assert behind.data == NOTES[1:3]


@pytest.mark.parametrize("size", [0, -1, 1001, 1_000_000, True, "20", None, 1.5])
def test_a_size_out_of_bounds_is_refused_by_both(app: Engine, size: Any) -> None:
    with Session(app) as session:
        with pytest.raises(PageError, match=rf"the page size is {size!r}: give a number from 1 to 1000"):
            page(session, BY_ID, 1, size)
        with pytest.raises(PageError, match="give a number from 1 to 1000"):
            keyset(session, BY_ID, order=(Note.id,), size=size)
        assert not session.in_transaction()


@pytest.mark.parametrize("number", [0, -3, 2**62, "1", True, None])
def test_a_page_number_out_of_bounds_is_refused(app: Engine, number: Any) -> None:
    with Session(app) as session, pytest.raises(PageError, match=r"page is .*: give a number from 1"):
        page(session, BY_ID, number)


def test_pages_of_an_unordered_select_are_refused(app: Engine) -> None:
    with Session(app) as session, pytest.raises(PageError, match=r"the select has no order.*add .order_by"):
        page(session, select(Note))


def test_a_select_of_several_columns_is_refused_by_both(app: Engine) -> None:
    several: Any = select(Note.id, Note.body).order_by(Note.id)
    with Session(app) as session:
        with pytest.raises(PageError, match="the select has several columns"):
            page(session, several)
        with pytest.raises(PageError, match="the select has several columns"):
            keyset(session, several, order=(Note.id,))


ORDERS: dict[str, tuple[Any, ...]] = {
    "one column": (Note.id,),
    "one column, down": (Note.id.desc(),),
    "two, up": (Note.rank, Note.id.asc()),
    "two, down": (Note.rank.desc(), Note.id.desc()),
    "mixed": (Note.rank.desc(), Note.id),
    "mixed, three": (Note.rank, Note.body.desc(), Note.id),
    "a unique text": (Note.body.desc(),),
}


def walk(following: Callable[[str | None], Slice[Any]]) -> list[Any]:
    found: list[Any] = []
    cursor = None
    while True:
        part = following(cursor)
        found += part.data
        assert part.has_more is (part.next_cursor is not None)
        if part.next_cursor is None:
            return found
        assert len(part.data) == 4
        cursor = part.next_cursor


@pytest.mark.parametrize("name", ORDERS)
def test_walking_by_cursors_gives_every_row_once_in_order(app: Engine, name: str) -> None:
    order = ORDERS[name]
    with Session(app) as session:
        everything = session.scalars(select(Note.body).order_by(*order)).all()
        walked = walk(lambda cursor: keyset(session, select(Note.body), order=order, after=cursor, size=4))

    assert walked == everything
    assert len(walked) == 25


def test_the_last_full_slice_has_no_cursor(app: Engine) -> None:
    with Session(app) as session:
        assert keyset(session, BY_ID, order=(Note.id,), size=25) == Slice(NOTES, None, False)
        assert keyset(session, BY_ID.where(Note.rank == 9), order=(Note.id,)) == Slice([], None, False)


def test_rows_that_come_and_go_shift_nothing(app: Engine) -> None:
    with Session(app) as session:
        first = keyset(session, BY_ID, order=(Note.id.desc(),), size=5)
        session.execute(insert(Note), [{"body": "new"}])
        session.execute(text("DELETE FROM maps.notes WHERE id IN (21, 19)"))
        second = keyset(session, BY_ID, order=(Note.id.desc(),), after=first.next_cursor, size=5)

    assert [it[-2:] for it in (*first.data, *second.data)] == [
        str(it) for it in (25, 24, 23, 22, 21, 20, 18, 17, 16, 15)
    ]


def test_times_and_uuids_of_one_tenant_are_walked(app: Engine) -> None:
    """Many rows of one transaction have the same created_at."""
    with Session(app) as session:
        for organization in (ONE, TWO):
            with tenant(session, organization):
                session.add_all([Book(organization_id=organization, title=f"{n}") for n in range(10)])
                session.flush()
        with tenant(session, ONE):
            walked = walk(
                lambda cursor: keyset(
                    session, select(Book), order=(Book.created_at.desc(), Book.id.desc()), after=cursor, size=4
                )
            )
        session.rollback()

    assert sorted(it.title for it in walked) == [f"{n}" for n in range(10)]


def test_an_alias_can_be_walked_with_its_loader_options(app: Engine) -> None:
    other = aliased(Note)
    with Session(app) as session:
        statement = select(other).options(selectinload("*"))
        walked = walk(lambda cursor: keyset(session, statement, order=(other.rank, other.id), after=cursor, size=4))

    assert len(walked) == 25


def test_a_joined_tables_key_does_not_decide_between_the_selected_rows(app: Engine) -> None:
    other = aliased(Note)
    statement = select(Note.body).join(other, other.rank == Note.rank)
    with Session(app) as session:
        statements: list[Select[Any]] = [statement, select(Note.body), select(func.now())]
        for undecided in statements:
            with pytest.raises(PageError, match="end it in a unique column of what is selected"):
                keyset(session, undecided, order=(other.id,), size=1)
        walked = walk(lambda it: keyset(session, statement, order=(other.id, Note.id), after=it, size=4))

    assert len(walked) == 8 * 8 + 9 * 9 + 8 * 8


def test_columns_of_one_direction_are_compared_as_a_row_so_that_one_index_serves_them(app: Engine) -> None:
    seen: list[str] = []

    @event.listens_for(app, "before_cursor_execute")
    def keep(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    order = (Note.rank.desc(), Note.id.desc())
    with Session(app) as session:
        first = keyset(session, select(Note.body), order=order, size=5)
        keyset(session, select(Note.body), order=order, after=first.next_cursor, size=5)

    assert "(maps.notes.rank, maps.notes.id) < (" in seen[-1]


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ((Note.rank,), "the order does not decide between all rows: end it in a unique column"),
        ((), "the order does not decide between all rows"),
        ((Note.mood, Note.id), "the order has notes.mood, which may be NULL: such rows would be left out"),
        ((func.lower(Note.body), Note.id), r'the order has "lower\(.*\)": give columns, plain or with .asc'),
        ((Note.id.desc().nulls_last(),), "give columns, plain or with .asc"),
    ],
)
def test_an_order_that_loses_or_mixes_up_rows_is_refused(app: Engine, order: tuple[Any, ...], words: str) -> None:
    with Session(app) as session, pytest.raises(PageError, match=words):
        keyset(session, select(Note), order=order)


def cursor_of(session: Session, *order: Any, **more: Any) -> str:
    cursor = keyset(session, select(Note), order=order or (Note.id,), size=1, **more).next_cursor
    assert cursor is not None
    return cursor


@pytest.mark.parametrize(
    "cursor", ["", "x", "no cursor!", "é", "\0", "AAAA", "A" * 9000, 7, b"AAAA", "=", "' OR 1=1 --"]
)
def test_a_malformed_cursor_is_one_line(app: Engine, cursor: Any) -> None:
    with Session(app) as session, pytest.raises(CursorError) as failure:
        keyset(session, select(Note), order=(Note.id,), after=cursor)

    assert "\n" not in str(failure.value)
    assert len(str(failure.value)) < 150
    assert not session.in_transaction()


def test_a_cursor_with_any_byte_changed_is_refused(app: Engine) -> None:
    with Session(app) as session:
        cursor = cursor_of(session)
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        for position in range(len(raw)):
            changed = bytearray(raw)
            changed[position] ^= 1
            with pytest.raises(CursorError, match="was changed, or belongs to another order or key: begin again"):
                keyset(session, select(Note), order=(Note.id,), after=base64.urlsafe_b64encode(changed).decode())


def test_a_cursor_of_another_order_or_key_is_refused(app: Engine) -> None:
    with Session(app) as session:
        for foreign in (
            cursor_of(session, Note.id.desc()),
            cursor_of(session, Note.rank, Note.id),
            cursor_of(session, key=b"x" * 32),
        ):
            with pytest.raises(CursorError, match="belongs to another order or key"):
                keyset(session, select(Note), order=(Note.id,), after=foreign)


def test_without_a_key_it_says_what_to_set(app: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with Session(app) as session:
        with pytest.raises(CursorError, match="DB_CURSOR_KEY has 5 characters: cursors are signed with 32 random"):
            keyset(session, BY_ID, order=(Note.id,), key="short")
        monkeypatch.delenv("DB_CURSOR_KEY")
        with pytest.raises(CursorError, match="DB_CURSOR_KEY is not set"):
            keyset(session, BY_ID, order=(Note.id,))


def test_every_type_a_cursor_can_hold_reads_back_to_the_same_value_and_others_are_refused() -> None:
    from db.pagination import _FORMS, _opened, _Ordering, _sealed  # noqa: PLC0415  # no table has all these columns

    ordering = _Ordering.of((Note.id,), select(Note))
    values: list[Any] = [
        True, False, -7, "ü\0\"", datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, datetime.UTC),
        datetime.datetime(2026, 1, 2), datetime.date(2026, 1, 2), uuid.UUID(int=5), decimal.Decimal("1.10"), 0.1,
    ]  # fmt: skip
    for value in values:
        [back] = _opened(_sealed([value], ordering, b"k"), ordering, b"k")
        assert (back, type(back)) == (value, type(value))
    assert len(_FORMS) == 8
    with pytest.raises(PageError, match=r"the order has notes.id, and a list cannot stand in a cursor"):
        _sealed([[1]], ordering, b"k")


def test_async_sessions_get_the_same_pages(app: Engine) -> None:
    async def work() -> tuple[Page[str], Slice[str], Slice[str]]:
        source = create_async_engine(app.url, connect_args={"prepare_threshold": None})
        async with AsyncSession(source) as session:
            first = await keyset_async(session, BY_ID, order=(Note.id,), size=2)
            second = await keyset_async(session, BY_ID, order=(Note.id,), size=2, after=first.next_cursor)
            numbered = await page_async(session, BY_ID, 2, 10)
        await source.dispose()
        return numbered, first, second

    numbered, first, second = asyncio.run(work())

    assert numbered == Page(NOTES[10:20], 2, 10, 25, 3)
    assert [*first.data, *second.data] == NOTES[:4]
