"""Changes inside documents find their rows: on a real server, directly and through a transaction pooler."""

import asyncio
import copy
import gc
import pickle

import pytest
from pydantic import Field
from sqlalchemy import Engine, literal, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from db.documents import Document, Part, document
from db.engine import engine
from db.errors import DocumentError
from db.urls import DatabaseURL
from tests.db.conftest import Prepared
from tests.db.library import FULL, Details, Note, Shelf, save, stored

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def app(route: str) -> Engine:
    return engine(route)


CHANGES = {
    "a field": (lambda it: setattr(it, "copies", 9), lambda it: it["copies"] == 9),
    "a field of a part": (lambda it: setattr(it.shelf, "room", "x"), lambda it: it["shelf"]["room"] == "x"),
    "a list in a part": (lambda it: it.shelf.labels.append("b"), lambda it: it["shelf"]["labels"] == ["a", "b"]),
    "a part in a list": (lambda it: setattr(it.shelves[0], "room", "x"), lambda it: it["shelves"][0]["room"] == "x"),
    "a part put into a list, then changed": (
        lambda it: [it.shelves.append(Shelf(room="y")), it.shelves[1].__setattr__("room", "x")],
        lambda it: it["shelves"][1]["room"] == "x",
    ),
    "an item of a dict": (lambda it: it.prices.update(usd=[3]), lambda it: it["prices"]["usd"] == [3]),
    "a list in a dict": (lambda it: it.prices["eur"].pop(), lambda it: it["prices"]["eur"] == [1]),
    "a list put into a dict, then changed": (
        lambda it: (it.prices.__setitem__("x", []), it.prices["x"].append(7)),
        lambda it: it["prices"]["x"] == [7],
    ),
    "a list that setdefault put into a dict": (
        lambda it: (it.prices.setdefault("x", []).append(7), it.prices.setdefault("x", []).append(8)),
        lambda it: it["prices"]["x"] == [7, 8],
    ),
    "a set": (lambda it: it.tags.discard("new"), lambda it: it["tags"] == []),
    "a new part": (
        lambda it: [it.__setattr__("shelf", Shelf(room="z")), it.shelf.labels.append("l")],
        lambda it: it["shelf"] == {"room": "z", "labels": ["l"]},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("flushed", [True, False])
def test_a_change_in_place_is_written(library: Prepared, app: Engine, change: str, flushed: bool) -> None:
    make, shows = CHANGES[change]
    saved = save(app, FULL.model_copy(deep=True))

    with Session(app) as session:
        note = session.get_one(Note, saved)
        if flushed:  # a second change in the same session is tracked as the first one is
            assert note.details is not None
            note.details.copies = 5
            session.commit()
        make(note.details)  # type: ignore[no-untyped-call]
        session.commit()

    assert shows(stored(library))  # type: ignore[no-untyped-call]


def test_a_document_keeps_its_row_until_the_change_is_written(library: Prepared, app: Engine) -> None:
    saved = save(app, FULL.model_copy(deep=True))

    with Session(app) as session:
        session.get_one(Note, saved).details.copies = 9  # type: ignore[union-attr]  # nobody holds the note
        gc.collect()
        session.commit()

    assert stored(library)["copies"] == 9


def test_reading_alone_writes_nothing(app: Engine) -> None:
    saved = save(app, FULL.model_copy(deep=True))

    with Session(app) as session:
        note = session.get_one(Note, saved)
        assert note.details is not None
        _ = (note.details.shelf, note.details.prices["eur"][0], note.details.model_dump())
        assert session.dirty == set() or not session.is_modified(note)


def test_a_document_that_was_replaced_is_the_rows_no_more(library: Prepared, app: Engine) -> None:
    saved = save(app, FULL.model_copy(deep=True))

    with Session(app) as session:
        note = session.get_one(Note, saved)
        old = note.details
        note.details = Details(copies=4)
        session.commit()
        assert old is not None
        old.copies = 77
        assert not session.is_modified(note)
        session.commit()

    assert stored(library)["copies"] == 4


def test_copies_are_not_the_rows(app: Engine) -> None:
    saved = save(app, FULL.model_copy(deep=True))

    with Session(app) as session:
        note = session.get_one(Note, saved)
        assert note.details is not None
        copies = [
            note.details.model_copy(deep=True),
            copy.deepcopy(note.details),
            pickle.loads(pickle.dumps(note.details)),  # noqa: S301
        ]
        for it in copies:
            assert it == note.details
            it.copies = 50
            it.shelf.labels.append("x")
            it.prices["eur"].append(9)
            it.tags.add("z")
        assert not session.is_modified(note)
        assert note.details.shelf is not None
        assert note.details.shelf.labels == ["a"]


def test_a_part_of_one_document_goes_into_another_as_a_copy() -> None:
    one, other = FULL.model_copy(deep=True), Details()
    other.shelf = one.shelf
    other.shelves.append(one.shelves[0])
    other.prices["eur"] = one.prices["eur"]
    assert other.shelf is not None
    assert one.shelf is not None

    other.shelf.room = other.shelves[0].room = "other"
    other.prices["eur"].append(100)

    assert (one.shelf.room, one.shelves[0].room, one.prices["eur"]) == ("north", "south", [1, 2])


def test_an_async_session_tracks_changes_too(library: Prepared, route: str) -> None:
    async def work() -> None:
        source = create_async_engine(DatabaseURL.parse(route).sqlalchemy(), connect_args={"prepare_threshold": None})
        async with AsyncSession(source, expire_on_commit=False) as session:
            note = Note(body="a", details=Details())
            session.add(note)
            await session.commit()
            assert note.details is not None
            note.details.tags.add("x")
            await session.commit()
        await source.dispose()

    asyncio.run(work())

    assert stored(library)["tags"] == ["x"]


def test_what_is_put_in_as_a_mapping_is_written_whole(library: Prepared, app: Engine) -> None:
    class Place(Part):
        room: int = 1

    class Plan(Document):
        places: list[Place] = Field(default_factory=list)
        named: dict[str, Place] = Field(default_factory=dict)
        pair: tuple[list[Place], int] = Field(default_factory=lambda: ([], 1))

    plan = Plan()
    plan.places.append({"room": 5})  # type: ignore[arg-type]
    plan.named["k"] = {"room": 7}  # type: ignore[assignment]
    plan.pair[0].append({"room": 9})  # type: ignore[arg-type]

    with Session(app) as session:
        kept = session.scalar(select(literal(plan, document(Plan))))

    assert kept == Plan(places=[Place(room=5)], named={"k": Place(room=7)}, pair=([Place(room=9)], 1))

    saved = save(app, FULL.model_copy(deep=True))
    with Session(app) as session:
        details = session.get_one(Note, saved).details
        assert details is not None
        details.shelves.append({"room": "east"})  # type: ignore[arg-type]  # its room is required
        session.commit()
        session.get_one(Note, saved).details.shelves.append({"zzz": 5})  # type: ignore[arg-type,union-attr]
        with pytest.raises(
            DocumentError, match=r"field shelves\.2\.room: Field required; field shelves\.2\.zzz: Extra"
        ):
            session.commit()

    assert stored(library)["shelves"][1] == {"room": "east", "labels": []}
