"""Whose rows a session works on, as the application's login, directly and through a transaction pooler."""

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakSet

import pytest
from sqlalchemy import (
    Engine,
    Executable,
    delete,
    event,
    exists,
    func,
    insert,
    inspect,
    select,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload, selectinload, subqueryload
from sqlalchemy.orm.session import JoinTransactionMode

from db import tenancy
from db.engine import engine
from db.errors import TenancyError
from db.tenancy import Tenant, require, signed_in, tenant, tenant_async
from db.urls import DatabaseURL
from tests.db.conftest import Prepared
from tests.db.library import ONE, TWO, Book, Note, Organization

USER = uuid.UUID(int=77)


pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def app(route: str) -> Engine:
    return engine(route)


def settings(session: Session) -> tuple[str, ...]:
    return tuple(
        session.execute(
            text(  # NULL in a server session that never had it, '' in one that has
                "SELECT coalesce(current_setting('app.organization_id', true), ''),"
                " coalesce(current_setting('app.user_id', true), '')"
            )
        ).one()
    )


def add(app: Engine, organization: uuid.UUID, *titles: str) -> list[uuid.UUID]:
    with Session(app) as session, tenant(session, organization):
        books = [Book(organization_id=organization, title=title) for title in titles]
        session.add_all(books)
        session.commit()
        return [book.id for book in books]


def test_a_tenant_sees_its_own_rows_in_every_transaction_of_the_session(app: Engine) -> None:
    add(app, ONE, "a", "b")
    add(app, TWO, "c")

    with Session(app) as session, tenant(session, ONE, USER) as scope:
        first = session.scalars(select(Book.title).order_by(Book.title)).all()
        assert settings(session) == (str(ONE), str(USER))
        session.commit()
        second = session.scalar(select(func.count()).select_from(Book))

    assert scope == Tenant(ONE, USER)
    assert (list(first), second) == (["a", "b"], 2)


def test_without_a_tenant_models_of_tenants_raise_and_raw_sql_sees_nothing(app: Engine) -> None:
    add(app, ONE, "a")

    with Session(app) as session:
        assert session.scalar(text("SELECT count(*) FROM maps.books")) == 0
        for statement in (select(Book), select(Book.title), update(Book).values({Book.pages: 2}), delete(Book)):
            with pytest.raises(TenancyError, match="the session has no tenant: use `with tenant"):
                session.execute(statement)
        with pytest.raises(TenancyError, match="the session has no tenant"):
            session.execute(insert(Book), [{"organization_id": ONE, "title": "x", "pages": 1}])
        with pytest.raises(TenancyError, match="the session has no tenant"):
            require(session)
        session.add(Book(organization_id=ONE, title="x"))
        with pytest.raises(TenancyError, match="the session has no tenant"):
            session.flush()
        session.expunge_all()
        with pytest.raises(ProgrammingError, match="violates row-level security"):
            session.execute(
                text("INSERT INTO maps.books (id, organization_id, title, pages) VALUES (:id, :id, 'x', 1)"),
                {"id": ONE},
            )

    assert count(app) == 1


PAGES = select(Book.__table__.c.pages, Book.__table__.c.title).subquery()
READS: dict[str, Executable] = {
    "a count": select(func.count()).select_from(Book),
    "a count of a sub-select": select(func.count()).select_from(select(Book).subquery()),
    "an exists": select(exists().where(Book.pages == 1)),
    "a union": union_all(select(Book.id), select(Book.id)),
    "a join": select(Note.body).join(Book, Book.pages == Note.rank),
    "an outer join": select(Note).outerjoin(aliased(Book), true()),
    "a condition": select(Note).where(Note.rank.in_(select(Book.pages))),
    "a scalar sub-select": select(Note.body, select(func.max(Book.pages)).scalar_subquery()),
    "a common table expression": select(select(Book.pages).cte("all_pages").c.pages),
    "an alias": select(func.count()).select_from(aliased(Book)),
    "the table": select(Book.__table__),
    "a column of the table": select(Book.__table__.c.pages),
    "a column of its alias": select(Book.__table__.alias().c.pages),
    "columns of a sub-select": select(PAGES.c.pages, PAGES.c.title),
    "a join of a relationship": select(Organization).join(Organization.books),
    "an outer join of a relationship": select(Organization.name).outerjoin(Organization.books),
    "a sub-select that joins one": select(select(Organization.id).join(Organization.books).subquery().c.id),
    "a condition on a relationship": select(Organization).where(Organization.books.any()),
    "a joined load": select(Organization).options(joinedload(Organization.books)),
    "a joined load of some rows": select(Organization).limit(1).options(joinedload(Organization.books)),
    "a load of what is joined": select(Organization)
    .outerjoin(Organization.books)
    .options(contains_eager(Organization.books)),
    "a load by another select": select(Organization).options(selectinload(Organization.books)),
    "a load by a sub-select": select(Organization).options(subqueryload(Organization.books)),
    "a text of the caller's": select(Book).from_statement(text("SELECT * FROM maps.books")),
}


@pytest.mark.parametrize("name", READS)
def test_without_a_tenant_no_statement_over_a_model_of_tenants_is_answered_with_emptiness(
    app: Engine, name: str
) -> None:
    async def asynchronously() -> None:
        source = create_async_engine(app.url, connect_args={"prepare_threshold": None})
        async with AsyncSession(source) as session:
            with pytest.raises(TenancyError, match="the session has no tenant"):
                await session.execute(READS[name])  # it reads all rows
        await source.dispose()

    with Session(app) as session:
        with pytest.raises(TenancyError, match="the session has no tenant"):
            session.execute(READS[name]).unique().all()
        with tenant(session, ONE):
            session.execute(READS[name]).unique().all()
    asyncio.run(asynchronously())


def test_without_a_tenant_the_older_ways_to_ask_raise_as_well(app: Engine) -> None:
    with Session(app) as session:
        with pytest.raises(TenancyError, match="the session has no tenant"):
            session.query(Book).count()
        with pytest.raises(TenancyError, match="the session has no tenant"):
            session.execute(insert(Note).from_select(["body"], select(Book.title)))


def test_without_a_tenant_related_rows_are_not_missing(app: Engine) -> None:
    with Session(app) as session:
        organization = session.get_one(Organization, ONE)
        with pytest.raises(TenancyError, match="the session has no tenant"):
            organization.books  # noqa: B018


BOOKS = Book.metadata.tables["maps.books"]
BULK: dict[str, Callable[[Session], object]] = {
    "objects": lambda it: it.bulk_save_objects([Book(organization_id=ONE, title="x")]),
    "objects that get their ids": lambda it: it.bulk_save_objects(
        [Book(organization_id=ONE, title="x")], return_defaults=True
    ),
    "inserted mappings": lambda it: it.bulk_insert_mappings(
        inspect(Book), [{"organization_id": ONE, "title": "x"} for _ in range(2)]
    ),
    "updated mappings": lambda it: it.bulk_update_mappings(inspect(Book), [{"id": ONE, "title": "x"}]),
    "the table's insert": lambda it: it.execute(insert(BOOKS), [{"organization_id": ONE, "title": "x"}]),
    "the connection's update": lambda it: it.connection().execute(update(BOOKS).values({Book.pages: 2})),
}


@pytest.mark.parametrize("name", BULK)
def test_without_a_tenant_the_older_ways_to_write_raise_as_well(app: Engine, name: str) -> None:
    add(app, ONE, "a")

    with Session(app) as session:
        with pytest.raises(TenancyError, match="the session has no tenant: use `with tenant"):
            BULK[name](session)
        session.rollback()

    assert count(app) == 1


def test_a_connection_that_outlives_its_session_is_its_owners_business(app: Engine) -> None:
    with app.connect() as connection:
        with Session(connection) as session, pytest.raises(TenancyError, match="no tenant"):
            session.execute(select(Book.__table__))
        assert connection.execute(select(Book.__table__)).all() == []


def test_models_without_the_mixin_need_no_tenant(app: Engine) -> None:
    with Session(app) as session:
        session.add(Note(body="free"))
        session.commit()
        assert session.scalars(select(Note.body)).all() == ["free"]


def count(app: Engine, organization: uuid.UUID = ONE) -> int | None:
    with Session(app) as session, tenant(session, organization):
        return session.scalar(select(func.count()).select_from(Book))


def test_another_tenants_rows_are_neither_read_nor_changed_nor_made(app: Engine) -> None:
    [theirs] = add(app, TWO, "theirs")

    with Session(app) as session, tenant(session, ONE):
        assert require(session) == Tenant(ONE)
        assert session.get(Book, theirs) is None
        assert session.execute(update(Book).values({Book.title: "mine"}).returning(Book.id)).all() == []
        assert session.execute(delete(Book).returning(Book.id)).all() == []
        with pytest.raises(ProgrammingError, match="violates row-level security"), session.begin_nested():
            session.execute(insert(Book), [{"organization_id": TWO, "title": "x", "pages": 1}])
        session.commit()

    assert count(app, TWO) == 1


def test_a_session_that_changes_its_tenant_forgets_the_first_ones_objects(app: Engine) -> None:
    [mine] = add(app, ONE, "mine")

    with Session(app) as session:
        with tenant(session, ONE):
            book = session.get(Book, mine)
            session.add(Book(organization_id=ONE, title="pending"))
        assert settings(session) == ("", "")
        with tenant(session, TWO):
            assert session.get(Book, mine) is None
        session.commit()

    assert book is not None
    assert book.title == "mine"
    assert count(app) == 2


def test_a_scope_inside_the_same_scope_changes_nothing_and_another_is_refused(app: Engine) -> None:
    with Session(app) as session, tenant(session, ONE, USER):
        with tenant(session, ONE, USER):
            pass
        assert settings(session) == (str(ONE), str(USER))
        with pytest.raises(TenancyError, match=f"the session works for organization {ONE} as user {USER}: leave"):
            tenant(session, TWO).__enter__()
        with pytest.raises(TenancyError, match="leave that scope"):
            tenant(session, ONE).__enter__()
        assert require(session) == Tenant(ONE, USER)


def test_a_transaction_that_runs_already_becomes_the_tenants(app: Engine) -> None:
    add(app, ONE, "a")

    with Session(app) as session, session.begin():
        assert session.scalar(text("SELECT count(*) FROM maps.books")) == 0
        with tenant(session, ONE):
            assert session.scalar(text("SELECT count(*) FROM maps.books")) == 1
        assert session.scalar(text("SELECT count(*) FROM maps.books")) == 0


@pytest.mark.parametrize("statement", ["SELECT 1/0", "SELECT pg_terminate_backend(pg_backend_pid())"])
def test_a_failed_transaction_keeps_its_own_error_and_leaves_no_tenant(app: Engine, statement: str) -> None:
    with Session(app) as session:
        with pytest.raises(Exception, match=r"division by zero|terminat|closed|crash"), tenant(session, ONE):  # noqa: PT012
            session.execute(text("SELECT 1"))
            session.execute(text(statement))
        session.rollback()
        assert settings(session) == ("", "")
        with pytest.raises(TenancyError):
            require(session)


def test_a_flush_that_failed_leaves_no_tenant(app: Engine) -> None:
    with Session(app) as session:
        with pytest.raises(ProgrammingError, match="row-level security"), tenant(session, ONE):
            session.add(Book(organization_id=TWO, title="x"))
        session.rollback()
        assert settings(session) == ("", "")


def test_a_rollback_to_a_savepoint_does_not_bring_an_earlier_tenant_back(app: Engine) -> None:
    with Session(app) as session:
        with tenant(session, ONE):
            session.execute(text("SELECT 1"))
            point = session.begin_nested()
            with pytest.raises(Exception, match="division by zero"):
                session.execute(text("SELECT 1/0"))
        point.rollback()  # the setting was made before the savepoint, so that the rollback restores it
        assert settings(session) == ("", "")
        with tenant(session, TWO):
            with pytest.raises(Exception, match="division by zero"), session.begin_nested():
                session.execute(text("SELECT 1/0"))
            assert settings(session) == (str(TWO), "")


@pytest.mark.parametrize(
    "words",
    [
        None,  # SQLAlchemy's own
        " rollback to mine",
        "ROLLBACK TRANSACTION TO SAVEPOINT mine",
        "ROLLBACK  WORK TO mine",
        "/* of /* an */ app */ ROLLBACK TO SAVEPOINT mine",
        "-- of an app\nROLLBACK/**/TO mine",
        "SELECT 1; ROLLBACK TO mine",
    ],
)
def test_a_rollback_to_a_savepoint_of_the_connection_does_not_bring_it_back_either(
    app: Engine, words: str | None
) -> None:
    add(app, ONE, "a")

    with Session(app) as session:
        with tenant(session, ONE):
            session.execute(text("SELECT 1"))
            connection = session.connection()
            point = connection.begin_nested()
            connection.execute(text("SAVEPOINT mine"))
        if words is None:
            point.rollback()
        else:
            connection.execute(text(words))
        assert settings(session) == ("", "")
        assert session.scalar(text("SELECT count(*) FROM maps.books")) == 0


@pytest.mark.parametrize("words", ["COMMIT", "end", "ROLLBACK", "ABORT", "SELECT 1; COMMIT", "ROLLBACK AND CHAIN"])
def test_a_transaction_that_is_ended_in_sql_is_followed_by_one_of_the_same_tenant(app: Engine, words: str) -> None:
    add(app, ONE, "a")

    with Session(app) as session:
        with tenant(session, ONE, USER):
            session.execute(text("SELECT 1"))
            session.execute(text(words))
            assert session.scalars(select(Book.title)).all() == ["a"]
            assert settings(session) == (str(ONE), str(USER))
        assert settings(session) == ("", "")


MODES: list[JoinTransactionMode] = ["conditional_savepoint", "create_savepoint", "rollback_only"]


@pytest.mark.parametrize("mode", MODES)
def test_sessions_on_one_connection_do_not_work_for_two_at_once(app: Engine, mode: JoinTransactionMode) -> None:
    add(app, ONE, "a")
    add(app, TWO, "b")
    refused = f"another session on the same connection works for organization {ONE} as user None: leave that scope"

    with app.connect() as connection:
        first, second, third = (Session(connection, join_transaction_mode=mode) for _ in range(3))
        assert settings(first) == settings(second) == ("", "")
        with tenant(first, ONE):
            assert first.scalars(select(Book.title)).all() == ["a"]
            second.add(Note(body="a"))
            for attempt in (
                lambda: tenant(second, TWO).__enter__(),
                lambda: signed_in(second, USER).__enter__(),
                lambda: settings(second),
                second.flush,
                third.connection,
            ):
                with pytest.raises(TenancyError, match=refused):
                    attempt()
            assert first.scalars(select(Book.title)).all() == ["a"]
        second.flush()
        with tenant(second, TWO):
            assert second.scalars(select(Book.title)).all() == ["b"]
            assert second.connection().scalars(select(Book.__table__.c.title)).all() == ["b"]
        with tenant(first, ONE), tenant(second, ONE):
            assert first.scalars(select(Book.title)).all() == second.scalars(select(Book.title)).all() == ["a"]
        for session in (first, second, third):
            session.close()


def test_a_session_that_ended_inside_its_scope_leaves_nothing_to_another_on_its_connection(app: Engine) -> None:
    add(app, ONE, "a")

    with app.connect() as connection:
        first, second = Session(connection), Session(connection)
        assert settings(second) == ("", "")
        with tenant(first, ONE):
            assert settings(first) == (str(ONE), "")
            first.commit()
            assert settings(second) == ("", "")
            second.commit()
            assert settings(first) == (str(ONE), "")
            first.commit()
            second.add(Note(body="a"))
            second.flush()
            assert settings(second) == ("", "")
        assert settings(second) == ("", "")


def test_a_user_who_is_signed_in_stays_it_until_the_scope_ends(app: Engine) -> None:
    with Session(app) as session:
        with signed_in(session, USER):
            assert settings(session) == ("", str(USER))
            with pytest.raises(TenancyError, match="the session has no tenant"):
                session.scalars(select(Book)).all()
            with pytest.raises(Exception, match="division by zero"), session.begin_nested() as point:
                session.execute(text("SELECT 1/0"))
            assert settings(session) == ("", str(USER))
            session.commit()
            assert settings(session) == ("", str(USER))
            with tenant(session, ONE):
                assert settings(session) == (str(ONE), "")
            assert settings(session) == ("", str(USER))
            with signed_in(session, ONE):
                assert settings(session) == ("", str(ONE))
            point = session.begin_nested()
            session.add(Note(body="a"))
        assert settings(session) == ("", "")
        point.rollback()
        assert settings(session) == ("", "")


def test_a_failed_statement_of_who_is_signed_in_keeps_its_own_error(app: Engine) -> None:
    with Session(app) as session:
        with pytest.raises(Exception, match="division by zero"), signed_in(session, USER):
            session.execute(text("SELECT 1/0"))
        session.rollback()
        assert settings(session) == ("", "")


def test_nobody_signs_in_inside_a_scope_of_somebody_else(app: Engine) -> None:
    with Session(app) as session:
        with tenant(session, ONE, USER):
            with signed_in(session, USER):
                assert settings(session) == (str(ONE), str(USER))
            with pytest.raises(TenancyError, match=f"organization {ONE} as user {USER}: leave that scope before {TWO}"):
                signed_in(session, TWO).__enter__()
            assert settings(session) == (str(ONE), str(USER))
        with pytest.raises(TenancyError, match="the user is 'x'"):
            signed_in(session, "x").__enter__()  # type: ignore[arg-type]


def test_a_savepoint_of_a_connection_without_session_or_tenant_is_rolled_back_as_ever(app: Engine) -> None:
    with app.connect() as connection:
        connection.begin_nested().rollback()
        assert connection.scalar(text("SELECT 1")) == 1
    with Session(app) as session:
        session.begin_nested().rollback()
        assert settings(session) == ("", "")


@pytest.mark.parametrize("level", ["READ COMMITTED", "AUTOCOMMIT"])
def test_a_setting_made_for_the_whole_server_session_is_nobody_elses(library: Prepared, level: str) -> None:
    app = engine(library.app_url)  # a pooler chooses server sessions itself, so that the same one need not come back
    add(app, ONE, "a")
    with Session(app) as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        session.execute(text("SELECT set_config('app.organization_id', :id, false)"), {"id": str(ONE)})
        session.execute(text("SELECT set_config('app.user_id', :id, false)"), {"id": str(USER)})
        session.commit()

    with Session(app.execution_options(isolation_level=level)) as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) == pid
        assert session.scalar(text("SELECT count(*) FROM maps.books")) == 0
        assert settings(session) == ("", "")
    app.dispose()


def test_a_process_without_models_of_tenants_pays_nothing(app: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenancy, "_owned", WeakSet())
    sent: list[str] = []

    def listener(*about: Any) -> None:
        sent.append(about[2])

    with Session(app) as session:
        event.listen(app, "before_cursor_execute", listener)
        session.scalars(select(Note.body)).all()
    event.remove(app, "before_cursor_execute", listener)

    assert [it.split()[0] for it in sent] == ["SELECT"]


def test_a_connection_that_is_lost_before_the_scope_begins_leaves_no_tenant(library: Prepared) -> None:
    with Session(engine(library.app_url)) as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        library.rows("SELECT pg_terminate_backend(%s)", pid)
        with pytest.raises(OperationalError, match=r"terminating connection|closed the connection"):
            tenant(session, ONE).__enter__()
        with pytest.raises(TenancyError):
            require(session)


def test_a_session_in_autocommit_is_refused_because_its_tenant_would_be_forgotten(app: Engine) -> None:
    add(app, ONE, "a")

    with Session(app.execution_options(isolation_level="AUTOCOMMIT")) as session:
        with pytest.raises(TenancyError, match="in autocommit, where a tenant would end"), tenant(session, ONE):
            session.scalars(select(Book)).all()
        with pytest.raises(TenancyError, match="no tenant"):
            session.scalars(select(Book)).all()


@pytest.mark.parametrize("value", ["", "x' OR 1=1 --", None, 7])
def test_what_is_no_uuid_is_refused_before_anything_is_sent(app: Engine, value: object) -> None:
    with Session(app) as session:
        with pytest.raises(TenancyError, match=r"the organization is .*: give its id, a UUID"):
            tenant(session, value).__enter__()  # type: ignore[arg-type]
        with pytest.raises(TenancyError, match="the user is 'x'"):
            tenant(session, ONE, "x").__enter__()  # type: ignore[arg-type]


def test_ids_given_as_text_are_taken(app: Engine) -> None:
    with Session(app) as session, tenant(session, str(ONE)) as scope:  # type: ignore[arg-type]
        assert scope == Tenant(ONE)


def test_many_clients_of_two_organizations_never_see_the_others_rows(app: Engine) -> None:
    add(app, ONE, "1-a", "1-b")
    add(app, TWO, "2-a")

    def client(number: int) -> set[str]:
        organization = (ONE, TWO)[number % 2]
        seen = set()
        for _ in range(10):
            with Session(app) as session, tenant(session, organization):
                seen |= set(session.scalars(select(Book.title)))
                session.commit()
            with Session(app) as session:
                assert session.scalar(text("SELECT count(*) FROM maps.books")) == 0
        return seen

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(client, range(8)))

    assert seen == [{"1-a", "1-b"}, {"2-a"}] * 4


def test_an_async_session_is_told_the_scope_that_waits(route: str) -> None:
    async def work() -> None:
        source = create_async_engine(DatabaseURL.parse(route).sqlalchemy(), connect_args={"prepare_threshold": None})
        async with AsyncSession(source) as session:
            await session.execute(text("SELECT 1"))
            with pytest.raises(TenancyError, match="use `async with tenant_async"):
                tenant(session, ONE).__enter__()  # type: ignore[arg-type]
            async with tenant_async(session, ONE):
                await session.execute(text("COMMIT"))
                assert await session.run_sync(settings) == (str(ONE), "")
        await source.dispose()

    asyncio.run(work())


def test_async_sessions_follow_the_same_rules(route: str) -> None:
    async def work() -> None:
        source = create_async_engine(DatabaseURL.parse(route).sqlalchemy(), connect_args={"prepare_threshold": None})
        async with AsyncSession(source) as session:
            async with tenant_async(session, ONE, USER) as scope:
                assert scope == require(session) == Tenant(ONE, USER)
                session.add(Book(organization_id=ONE, title="a"))
                await session.commit()
                async with tenant_async(session, ONE, USER):
                    assert (await session.scalars(select(Book.title))).all() == ["a"]
                with pytest.raises(TenancyError):
                    await tenant_async(session, TWO).__aenter__()
            with pytest.raises(TenancyError):
                await session.execute(select(Book))
            with pytest.raises(TenancyError, match="no tenant"):
                require(session)
        await source.dispose()

    asyncio.run(work())
