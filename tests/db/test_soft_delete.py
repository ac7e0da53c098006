"""Hidden rows on a real server, as the application's login, directly and through a transaction pooler."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, aliased

from db.engine import engine
from db.errors import SoftDeleteError
from db.soft_delete import restore, restore_async, soft_delete, soft_delete_async
from db.tenancy import tenant
from db.urls import DatabaseURL
from tests.db.conftest import Prepared
from tests.db.library import ONE, TWO, Book, Note

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def app(route: str) -> Engine:
    return engine(route)


@pytest.fixture
def session(app: Engine) -> Iterator[Session]:
    """Holds a living note "kept" and a deleted one, "gone"."""
    with Session(app) as it:
        kept, gone = Note(body="kept"), Note(body="gone")
        it.add_all([kept, gone])
        it.flush()
        soft_delete(it, gone)
        it.commit()
        yield it


def rows(library: Prepared) -> list[tuple[str, bool]]:
    return [
        (body, hidden)
        for body, hidden in library.rows("SELECT body, deleted_at IS NOT NULL FROM maps.notes ORDER BY id")
    ]


@pytest.mark.usefixtures("clean", "session")  # in this order
def test_a_deleted_row_stays_in_the_table_with_its_moment(library: Prepared) -> None:
    assert rows(library) == [("kept", False), ("gone", True)]
    assert library.rows("SELECT now() - max(deleted_at) < interval '1 minute' FROM maps.notes") == [(True,)]


@pytest.mark.requirement("bots.P1.soft-deletes", "bots.layout.soft-delete")
def test_every_kind_of_query_hides_it_unless_asked(session: Session) -> None:
    other = aliased(Note)
    queries = {
        "entity": select(Note.id).join(other, other.id == Note.id),
        "column": select(Note.body),
        "aggregate": select(func.count()).select_from(Note),
        "subquery": select(func.count()).select_from(select(Note).subquery()),
        "union": select(Note.id).where(Note.id.in_(select(Note.id))),
    }
    for name, query in queries.items():
        hidden = session.execute(query).all()
        shown = session.execute(query, execution_options={"include_deleted": True}).all()
        counted = name in {"aggregate", "subquery"}
        assert (hidden[0][0] if counted else len(hidden), shown[0][0] if counted else len(shown)) == (1, 2), name
    assert session.get(Note, 2) is None
    assert session.get(Note, 2, execution_options={"include_deleted": True}) is not None
    assert session.execute(update(Note).values({Note.rank: 1}).returning(Note.body)).all() == [("kept",)]
    assert session.execute(delete(Note).returning(Note.body)).all() == [("kept",)]
    assert session.execute(text("SELECT body FROM notes")).all() == [("gone",)]


def test_the_session_that_deleted_it_does_not_find_it_either(app: Engine) -> None:
    with Session(app) as session:
        note = Note(body="a")
        session.add(note)
        session.flush()
        number = note.id
        soft_delete(session, note)

        assert session.get(Note, number) is None
        assert note.deleted_at is not None
        assert note.deleted_at.tzinfo is not None
        session.rollback()
        assert session.get(Note, number) is None  # it was never committed


def test_deleting_twice_keeps_the_first_moment(session: Session) -> None:
    gone = session.scalars(select(Note).where(Note.id == 2), execution_options={"include_deleted": True}).one()
    before = gone.deleted_at

    soft_delete(session, gone)
    session.commit()

    assert (
        session.scalar(select(Note.deleted_at).where(Note.id == 2), execution_options={"include_deleted": True})
        == before
    )


def test_a_restored_row_is_back(library: Prepared, session: Session) -> None:
    gone = session.get_one(Note, 2, execution_options={"include_deleted": True})

    restore(session, gone)
    restore(session, gone)  # nothing to do
    session.commit()

    assert session.get(Note, 2) is gone
    assert gone.deleted_at is None
    assert rows(library) == [("kept", False), ("gone", False)]


def test_a_row_whose_place_was_taken_cannot_be_restored_and_the_transaction_goes_on(
    library: Prepared, session: Session
) -> None:
    session.add(Note(body="gone"))
    session.flush()
    gone = session.get_one(Note, 2, execution_options={"include_deleted": True})

    with pytest.raises(SoftDeleteError, match=r"^Note \(2,\) cannot be restored: a live row has its place in one_liv"):
        restore(session, gone)
    session.add(Note(body="later"))
    session.commit()

    assert rows(library) == [("kept", False), ("gone", True), ("gone", False), ("later", False)]


@pytest.mark.parametrize("action", [soft_delete, restore])
def test_an_object_that_was_never_written_or_is_really_gone_is_refused(session: Session, action: object) -> None:
    with pytest.raises(SoftDeleteError, match="a Note that is not in the database can be neither deleted nor restored"):
        action(session, Note(body="new"))  # type: ignore[operator]
    kept = session.get_one(Note, 1)
    session.delete(kept)
    session.flush()
    with pytest.raises(SoftDeleteError, match="a Note that is not in the database"):
        action(session, kept)  # type: ignore[operator]


def test_a_row_that_somebody_else_removed_is_named(library: Prepared, session: Session) -> None:
    kept = session.get_one(Note, 1)
    session.commit()
    session.refresh(kept)
    session.commit()
    library.rows("DELETE FROM maps.notes WHERE id = 1 RETURNING 1")

    with pytest.raises(SoftDeleteError, match=r"Note \(1,\) is not in the database, or not this tenant's"):
        soft_delete(session, kept)


def test_another_tenants_row_cannot_be_deleted(library: Prepared, app: Engine) -> None:
    with Session(app) as session:
        with tenant(session, TWO):
            theirs = Book(organization_id=TWO, title="theirs")
            session.add(theirs)
            session.flush()
            session.refresh(theirs)
            session.commit()
            session.refresh(theirs)
        with tenant(session, ONE), pytest.raises(SoftDeleteError, match="not this tenant's"):
            soft_delete(session, theirs)
        session.rollback()

    assert library.rows("SELECT deleted_at FROM maps.books") == [(None,)]


def test_async_sessions_follow_the_same_rules(library: Prepared, route: str) -> None:
    async def work() -> None:
        source = create_async_engine(DatabaseURL.parse(route).sqlalchemy(), connect_args={"prepare_threshold": None})
        async with AsyncSession(source, expire_on_commit=False) as session:
            note = Note(body="a")
            session.add(note)
            await session.flush()
            await soft_delete_async(session, note)
            assert (await session.scalars(select(Note))).all() == []
            await restore_async(session, note)
            assert (await session.scalars(select(Note))).all() == [note]
            await session.commit()
        await source.dispose()

    asyncio.run(work())

    assert rows(library) == [("a", False)]
