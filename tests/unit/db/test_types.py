"""Types reach to the edge: what an editor would underline, mypy refuses."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
PROGRAM = """
from collections.abc import Mapping
from typing import Any, assert_type

from sqlalchemy import Engine, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from db.apps.bots.documents import BotConfig
from db.apps.bots.enums import RunStatus
from db.apps.bots.models import Bot, BotRun
from db.apps.bots.queries import lists
from db.bulk import copy_rows
from db.pagination import Page, Slice, keyset, keyset_async, page
from db.transactions import run, run_async
from tests.db.library import Book, Details, Note, Shelf


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
    details = books.data[0].details
    assert_type(details, Details | None)
    if details is not None:
        assert_type(details.shelves, list[Shelf])


async def right_too(session: AsyncSession, engine: AsyncEngine) -> None:
    async def work(it: AsyncSession) -> int:
        return 1

    assert_type(await keyset_async(session, select(Note), order=(Note.id,)), Slice[Note])
    assert_type(await run_async(engine, work), int)


def wrong(session: Session, engine: Engine, rows: list[Mapping[str, Any]]) -> None:
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
    "a field of a bot's config that is not there": ("Bot().config.timezon", "attr-defined"),
    "a bot that may have no name": ("Bot().name = None", "assignment"),
    "rows of what is no model": ("copy_rows(session, dict, rows)", "type-var|arg-type"),
}


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """mypy's complaints about PROGRAM and all of WRONG, by line."""
    path = tmp_path_factory.mktemp("types") / "application.py"
    path.write_text(PROGRAM.lstrip("\n") + "".join(f"    {statement}\n" for statement, _ in WRONG.values()))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--hide-error-context", str(path)],
        cwd=CHECKOUT,
        text=True,
        capture_output=True,
        check=False,
    )
    return {int(line): text for line, text in re.findall(r"application\.py:(\d+): error: (.*)", done.stdout)}


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
