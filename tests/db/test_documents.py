"""Typed JSONB on a real server, as the application's login, directly and through a transaction pooler."""

import asyncio
import copy
import gc
import pickle
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, Field
from sqlalchemy import Engine, cast, insert, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from db.documents import Document, Part, document
from db.engine import engine
from db.errors import DocumentError
from db.transactions import run
from db.urls import DatabaseURL
from tests.db.conftest import Prepared
from tests.db.library import Details, Note, Shelf

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def app(route: str) -> Engine:
    return engine(route)


def stored(library: Prepared) -> Any:
    [(value,)] = library.rows("SELECT details FROM maps.notes")
    return value


def save(app: Engine, details: Details | None) -> int:
    with Session(app) as session:
        note = Note(body="a", details=details)
        session.add(note)
        session.commit()
        return note.id


FULL = Details(
    copies=2,
    shelf=Shelf(room="north", labels=["a"]),
    shelves=[Shelf(room="south")],
    prices={"eur": [1, 2]},
    tags={"new"},
    printed=datetime(2026, 1, 2, tzinfo=UTC),
)


def test_a_model_goes_in_and_the_same_model_comes_out(library: Prepared, app: Engine) -> None:
    saved = save(app, FULL)

    with Session(app) as session:
        found = session.get_one(Note, saved).details

    assert found == FULL
    assert isinstance(found, Details)
    assert found.shelf is not None
    assert isinstance(found.shelf, Shelf)
    assert stored(library)["version"] == 3
    assert stored(library)["printed"] == "2026-01-02T00:00:00Z"


def test_no_document_is_null_and_not_json_null(library: Prepared, app: Engine) -> None:
    saved = save(app, None)

    assert library.rows("SELECT details IS NULL FROM maps.notes") == [(True,)]
    with Session(app) as session:
        assert session.get_one(Note, saved).details is None


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


def test_mappings_that_fit_are_taken_also_by_core(library: Prepared, app: Engine) -> None:
    with Session(app) as session:
        session.execute(insert(Note), [{"body": "a", "details": {"copies": 3}}])
        note = session.scalars(select(Note)).one()
        assert note.details == Details(copies=3)
        note.details = {"copies": 4}  # type: ignore[assignment]
        session.commit()

    assert stored(library)["copies"] == 4


BAD: dict[str, tuple[object, str]] = {
    "unknown field": ({"copys": 1}, "field copys: Extra inputs are not permitted"),
    "wrong type": ({"copies": "many"}, "field copies: Input should be a valid integer"),
    "in a part": ({"shelf": {"labels": []}}, "field shelf.room: Field required"),
    "not an object": ([1], "takes a Details, not a list"),
    "another model": (Shelf(room="x"), "takes a Details, not a Shelf"),
    "NUL": ({"shelf": {"room": "se\0cret"}}, "field shelf.room: a text cannot hold a NUL byte"),
    "NUL in a key": ({"prices": {"se\0cret": []}}, r"field prices.\(a key\): a text cannot hold a NUL byte"),
    "NUL in a list": ({"shelf": {"room": "", "labels": ["x", "\0"]}}, "field shelf.labels.1: a text cannot hold a NUL"),
    "surrogate": ({"tags": ["\ud800"]}, r"field tags\.?\d?: (a text cannot hold half|Input should be a valid string)"),
    "infinite": ({"weight": float("inf")}, "field weight: JSON knows finite numbers only"),
    "not validated": (Details.model_construct(copies="many"), "field copies: Input should be a valid integer"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("way", ["orm", "core"])
def test_json_that_does_not_fit_names_column_and_field_and_writes_nothing(
    library: Prepared, app: Engine, case: str, way: str
) -> None:
    value, words = BAD[case]

    def write(session: Session) -> None:
        if way == "orm":
            session.add(Note(body="a", details=value))  # type: ignore[arg-type]
            session.flush()
        else:
            session.execute(insert(Note), [{"body": "a", "details": value}])

    place = r"^maps\.notes\.details \(Details\)"
    with pytest.raises(DocumentError, match=f"{place} {words}") as told:
        run(app, write)

    assert "\n" not in str(told.value)
    assert "many" not in str(told.value)
    assert library.rows("SELECT FROM maps.notes") == []


def test_an_assignment_that_does_not_fit_is_refused_at_once_and_a_list_when_it_is_written(
    library: Prepared, app: Engine
) -> None:
    saved = save(app, FULL.model_copy(deep=True))
    with Session(app) as session:
        details = session.get_one(Note, saved).details
        assert details is not None
        with pytest.raises(ValueError, match="valid integer"):
            details.copies = "many"  # type: ignore[assignment]
        details.shelves.append("no shelf")  # type: ignore[arg-type]
        with pytest.raises(DocumentError, match=r"maps\.notes\.details \(Details\) field shelves\.1: Input should be"):
            session.commit()

    assert stored(library)["shelves"] == [{"room": "south", "labels": []}]


@pytest.mark.parametrize(
    ("old", "copies"),
    [
        ('{"n": 5}', 5),
        ('{"version": 1, "n": 5}', 5),
        ('{"version": 2, "count": 6}', 6),
        ('{"version": 3}', 1),
        ("{}", 1),
    ],
)
def test_older_versions_are_upgraded_when_they_are_read(library: Prepared, app: Engine, old: str, copies: int) -> None:
    library.rows("INSERT INTO maps.notes (body, details) VALUES ('a', %s) RETURNING 1", old)

    with Session(app) as session:
        note = session.scalars(select(Note)).one()
        assert note.details is not None
        assert note.details.copies == copies
        note.details.weight = 2.0
        session.commit()

    assert (stored(library)["version"], stored(library)["copies"]) == (3, copies)


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ('{"version": 4}', "holds version 4, this release knows 1 to 3"),
        ('{"version": "x"}', "holds version x, this release knows 1 to 3"),
        ('{"version": 3, "copies": "many"}', "field copies: Input should be a valid integer"),
        ("[1]", "holds a JSON list where an object is needed"),
    ],
)
def test_json_in_the_database_that_does_not_fit_is_named_when_it_is_read(
    library: Prepared, app: Engine, old: str, words: str
) -> None:
    library.rows("INSERT INTO maps.notes (body, details) VALUES ('a', %s) RETURNING 1", old)

    with Session(app) as session, pytest.raises(DocumentError, match=rf"^maps\.notes\.details \(Details\) {words}"):
        session.scalars(select(Note)).all()


def test_fields_can_be_searched_by(app: Engine) -> None:
    save(app, FULL)

    with Session(app) as session:
        by_number = select(Note.body).where(Note.details["copies"].as_integer() == 2)
        by_containment = select(Note.body).where(cast(Note.details, JSONB).contains({"shelf": {"room": "north"}}))
        assert session.scalars(by_number).all() == session.scalars(by_containment).all() == ["a"]


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


def test_a_model_that_could_not_be_tracked_or_upgraded_is_refused_at_once() -> None:
    class Plain(BaseModel):
        x: int = 1

    @dataclass
    class Loose:
        x: int

    @dataclass(frozen=True)
    class Fixed:
        x: int

    class Holder(Part):
        plain: list[Plain] | None = None

    class WithPlain(Document):
        holder: Holder

    class WithLoose(Document):
        loose: dict[str, Loose]

    class WithFixed(Document):
        fixed: Fixed
        again: Shelf | None = None
        and_again: Shelf | None = None

    class NoUpgrade(Document, version=2):
        pass

    class OwnVersion(Document):
        version: int = 1

    with pytest.raises(DocumentError, match=r"Holder.plain holds a Plain, whose changes are not tracked: make"):
        document(WithPlain)
    with pytest.raises(DocumentError, match=r"WithLoose.loose holds a Loose"):
        document(WithLoose)
    with pytest.raises(DocumentError, match=r"NoUpgrade has no upgrade from version 1: @NoUpgrade.upgrade"):
        document(NoUpgrade)
    with pytest.raises(DocumentError, match=r"OwnVersion has a field version"):
        document(OwnVersion)
    document(WithFixed)


@pytest.mark.parametrize(
    ("fails", "name"), [(lambda old: {"x": old["missing"]}, "KeyError"), (lambda _: {"x": 1 / 0}, "ZeroDivisionError")]
)
def test_an_upgrade_that_fails_is_named(app: Engine, fails: Any, name: str) -> None:
    class Brittle(Document, version=2):
        pass

    Brittle.upgrade(1)(fails)

    words = rf"a document \(Brittle\) cannot be upgraded from version 1: {name}"
    with Session(app) as session, pytest.raises(DocumentError, match=words):
        session.scalar(select(cast(text("'{}'"), document(Brittle))))


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


class Anything(Document):
    value: dict[str, Any] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), r"holds what JSON has no word for \(PydanticSerializationError\)"),
        (b"\xff", r"holds what JSON has no word for \(UnicodeDecodeError\)"),
        (10**5000, r"holds what JSON has no word for \(ValueError\)"),
    ],
    ids=["object", "bytes", "digits"],
)
def test_what_json_cannot_say_is_named(app: Engine, value: object, words: str) -> None:
    given = Anything(value={"secret": value})

    with Session(app) as session, pytest.raises(DocumentError, match=rf"^a document \(Anything\) {words}$"):
        session.scalar(select(literal(given, document(Anything))))


def test_a_document_that_is_nested_too_deeply_is_named() -> None:
    deep: Any = []
    for _ in range(3_000):
        deep = [deep]

    with pytest.raises(ValueError, match="nested too deeply"):
        Anything(value={"a": deep})
    with pytest.raises(ValueError, match="nested too deeply"):
        Anything().value = {"a": deep}
    with pytest.raises(DocumentError, match="nested too deeply"):
        Anything().value["a"] = deep


def test_an_assignment_that_does_not_fit_is_refused_without_showing_the_value() -> None:
    with pytest.raises(ValueError, match="valid integer") as told:
        Details().copies = "secret"  # type: ignore[assignment]

    assert "secret" not in str(told.value)
