"""Types reach to the edge: what an editor would underline, mypy refuses."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy.orm import DeclarativeBase

from db.apps.bots import models as bots
from db.apps.dovvybuddy import models as dovvybuddy
from db.apps.maps import models as maps
from db.apps.panamia import models as panamia
from db.apps.petsitting import models as petsitting

CHECKOUT = Path(__file__).parents[3]
PROGRAM = """
from collections.abc import Mapping
from typing import Annotated, Any, assert_type

from sqlalchemy import Engine, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from db.apps.bots.documents import BotConfig
from db.apps.bots.enums import RunStatus
from db.apps.bots.models import Bot, BotRun, Organization
from db.apps.bots.queries import lists
from db.apps.dovvybuddy import models as dovvybuddy
from db.apps.maps import models as maps
from db.apps.panamia import models as panamia
from db.apps.petsitting import models as petsitting
from db.bulk import copy_rows
from db.model import Model, required
from db.pagination import Page, Slice, keyset, keyset_async, page
from db.transactions import run, run_async
from tests.db.library import Book, Details, Note, Shelf

key = Annotated[int, mapped_column(primary_key=True)]


class Late(Model):
    late: Mapped[str] = mapped_column(default="late")


class Base(Model, DeclarativeBase):
    pass


class Own(Late, Base):
    __tablename__ = "own"
    id: Mapped[key] = mapped_column()
    code: Mapped[str] = required(unique=True)


def right(session: Session, engine: Engine) -> None:
    books = page(session, select(Book).order_by(Book.id))
    assert_type(books, Page[Book])
    assert_type(books.data[0].pages, int)
    assert_type(keyset(session, select(Book.title), order=(Book.id,)), Slice[str])
    assert_type(run(engine, lambda it: it.get(Book, 1)), Book | None)
    bots = lists.list_bots(session)
    assert_type(bots, Page[Bot])
    assert_type(bots.data[0].config, BotConfig)
    assert_type(bots.data[0].runs[0].status, RunStatus)
    bot = Bot(name="Prices", slug="prices", config=BotConfig(), runs=[BotRun(started_at=func.now())], deleted_at=None)
    assert_type(bot.runs, list[BotRun])
    session.execute(update(Bot).where(Bot.id == bot.id).values({Bot.name: "Stock", Bot.is_active: False}))
    copy_rows(session, Book, session.execute(select(Book.title)).mappings())
    copy_rows(session, Book, session.execute(select(Book.title)).mappings().all())
    Own(code="x")
    Own(id=1, code="x", late="y")
    details = books.data[0].details
    assert_type(details, Details | None)
    if details is not None:
        assert_type(details.shelves, list[Shelf])


async def right_too(session: AsyncSession, engine: AsyncEngine) -> None:
    async def work(it: AsyncSession) -> int:
        return 1

    assert_type(await keyset_async(session, select(Note), order=(Note.id,)), Slice[Note])
    assert_type(await run_async(engine, work), int)


def wrong(session: Session, engine: Engine, bots: list[Bot], rows: list[Mapping[str, Any]]) -> None:
"""
WRONG = {
    "a column that is not there": ("select(Book.titel)", "attr-defined"),
    "a column of the result that is not there": (
        "page(session, select(Book).order_by(Book.id)).data[0].titel",
        "attr-defined",
    ),
    "a column's value as another type": ("number: str = session.scalars(select(Book.pages)).one()", "assignment"),
    "a field of a document that is not there": ("Details().copys", "attr-defined"),
    "a document's field as another type": ('Details().copies = "many"', "assignment"),
    "another model as a document": ("Note(body='x').details = Shelf(room='x')", "assignment"),
    "a page of two columns": ("page(session, select(Book.id, Book.title))", "arg-type"),
    "a size that is no number": ('page(session, select(Book), size="20")', "arg-type"),
    "work that takes no session": ("run(engine, lambda: 1)", "misc|arg-type"),
    "a bot's column that is not there": ("select(Bot.titel)", "attr-defined"),
    "a run's status that is no status": ('BotRun().status = "sleeping"', "assignment"),
    "a field of a bot's config that is not there": ("bots[0].config.timezon", "attr-defined"),
    "a bot that may have no name": ("bots[0].name = None", "assignment"),
    "a keyword that is no column": ('Organization(name="x", slug="x", nme="x")', "call-arg"),
    "a keyword of another type": ('Organization(name=1, slug="x")', "arg-type"),
    "a column that is not given": ('Organization(name="x")', "call-arg"),
    "a mixin's column of another type": ('Organization(name="x", slug="x", deleted_at="never")', "arg-type"),
    "an expression of another type": ('Organization(name=func.now(), slug="x")', "arg-type"),
    "other objects as related ones": ('Organization(name="x", slug="x", members=[bots[0]])', "list-item"),
    "another document than the column's": ('Bot(name="x", slug="x", config=Details())', "arg-type"),
    "a key that nothing makes": ('maps.User(email="x")', "call-arg"),
    "a document that nothing makes": ('Bot(name="x", slug="x")', "call-arg"),
    "a required column that is not given": ("Own(late='x')", "call-arg"),
    "a required column of another type": ("Own(code=3)", "arg-type"),
    "a keyword that is no column, in maps": ('maps.User(id="x", email="x", nme="x")', "call-arg"),
    "a keyword of another type, in maps": ('maps.User(id=1, email="x")', "arg-type"),
    "a keyword that is no column, in panamia": ('panamia.UserList(name="x", titel="x")', "call-arg"),
    "a keyword of another type, in panamia": ('panamia.UserList(name=b"x")', "arg-type"),
    "a keyword that is no column, in dovvybuddy": (
        'dovvybuddy.Destination(name="x", country="x", nme="x")',
        "call-arg",
    ),
    "a keyword of another type, in dovvybuddy": ('dovvybuddy.Destination(name="x", country=2)', "arg-type"),
    "a keyword that is no column, in petsitting": (
        'petsitting.Listing(title="x", price_cents=1, titel="x")',
        "call-arg",
    ),
    "a keyword of another type, in petsitting": ('petsitting.Listing(title="x", price_cents="1")', "arg-type"),
    "a written column that is not there": ('update(Bot).values({Bot.nme: "x"})', "attr-defined"),
    "a document's field that is not there, written": ("bots[0].config.retrys = 3", "attr-defined"),
    "a part's field that is not there, written": ("bots[0].config.viewport.widht = 3", "attr-defined"),
    "rows with a column that is not there": ('copy_rows(session, Note, [Note(body="x", mod="y")])', "call-arg"),
    "rows with a value of another type": ("copy_rows(session, Note, (Note(body=it) for it in range(3)))", "arg-type"),
    "rows of what is no model": ("copy_rows(session, dict, rows)", "type-var|arg-type"),
}


EXAMPLES = re.findall(r"```python\n(.*?)```", (CHECKOUT / "db/README.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy says of PROGRAM with all of WRONG, and of the README's examples."""
    path = tmp_path_factory.mktemp("types") / "application.py"
    path.write_text(PROGRAM.lstrip("\n") + "".join(f"    {statement}\n" for statement, _ in WRONG.values()))
    examples = path.with_name("examples.py")
    examples.write_text("".join(EXAMPLES))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--hide-error-context", str(path), str(examples)],
        cwd=CHECKOUT,
        text=True,
        capture_output=True,
        check=False,
    )
    return done.stdout


@pytest.fixture(scope="module")
def complaints(said: str) -> dict[int, str]:
    """The complaints about PROGRAM and WRONG, by line."""
    return {int(line): text for line, text in re.findall(r"application\.py:(\d+): error: (.*)", said)}


FIRST = PROGRAM.lstrip("\n").count("\n") + 1


@pytest.mark.requirement("bots.P0.query-builders", "bots.types.rows", "bots.goals.type-safe-queries")
def test_a_right_program_is_accepted_with_exact_types(complaints: dict[int, str]) -> None:
    assert {line: text for line, text in complaints.items() if line < FIRST} == {}
    assert complaints


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.requirement("bots.metrics.type-errors", "bots.stories.type-safe", "bots.success.type-errors")
def test_a_mistake_is_a_type_error(complaints: dict[int, str], name: str) -> None:
    position = list(WRONG).index(name)

    assert re.search(rf"\[({WRONG[name][1]})\]$", complaints.get(FIRST + position, "no complaint"))


def test_the_readmes_examples_have_types(said: str) -> None:
    assert len(EXAMPLES) >= 12
    assert [it for it in said.splitlines() if it.startswith("Found")]
    assert [it for it in said.splitlines() if "examples.py" in it] == []


def columns_that_may_be_left_out(model: type[DeclarativeBase]) -> set[str]:
    """To the type checker: what is assigned something, save `required(...)`."""
    bodies = [
        ast.parse(inspect.getsource(it)).body[0] for it in model.__mro__ if it.__module__.startswith(("db.", "tests."))
    ]
    return {
        it.target.id
        for body in bodies
        if isinstance(body, ast.ClassDef)
        for it in body.body
        if isinstance(it, ast.AnnAssign) and isinstance(it.target, ast.Name) and it.value is not None
        if not ast.unparse(it.value).startswith("required(")
    }


@pytest.mark.parametrize("app", [bots, dovvybuddy, maps, panamia, petsitting], ids=lambda it: it.__name__)
def test_a_column_that_nothing_but_the_application_fills_is_demanded(app: ModuleType) -> None:
    may_be_missing = []
    for mapper in app.Base.registry.mappers:
        optional = columns_that_may_be_left_out(mapper.class_)
        for attribute in mapper.column_attrs:
            column = attribute.columns[0]
            filled = column.nullable or column.default or column.server_default or column.foreign_keys  # by a relation
            if not filled and attribute.key in optional:
                may_be_missing.append(str(attribute))

    assert may_be_missing == []


def columns_by_text(source: str) -> list[int]:
    """The lines of `source` where a statement names columns in ways that no checker follows."""

    def named(call: ast.Call) -> bool:
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        texts = [
            key for it in call.args if isinstance(it, ast.Dict) for key in it.keys if isinstance(key, ast.Constant)
        ]
        return method == "filter_by" or (method == "values" and bool(call.keywords or texts))

    return [it.lineno for it in ast.walk(ast.parse(source)) if isinstance(it, ast.Call) and named(it)]


@pytest.mark.parametrize(
    "statement", ['update(Bot).values(nme="x")', 'insert(Bot).values({"nme": "x"})', 'query(Bot).filter_by(nme="x")']
)
def test_columns_named_by_text_are_found(statement: str) -> None:
    assert columns_by_text(f"first = 1\n{statement}.returning(Bot.id)") == [2]
    assert columns_by_text('update(Bot).where(Bot.name == "x").values({Bot.name: "y"})') == []


def test_no_statement_here_or_in_the_documentation_names_columns_by_text() -> None:
    sources = {str(it): it.read_text() for folder in ("db", "tests") for it in (CHECKOUT / folder).rglob("*.py")}
    sources["README"] = "".join(EXAMPLES)

    assert "copy_rows" in sources["README"]
    assert {name: found for name, text in sources.items() if (found := columns_by_text(text))} == {}
