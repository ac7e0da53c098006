"""Typed JSONB on a real server, as the application's login, directly and through a transaction pooler."""

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, Field
from sqlalchemy import Engine, case, cast, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from db.documents import Document, Part, document
from db.engine import engine
from db.errors import DocumentError
from db.transactions import run
from tests.db.conftest import Prepared
from tests.db.library import FULL, Details, Note, Shelf, save, stored

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def app(route: str) -> Engine:
    return engine(route)


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


def test_whole_documents_are_compared_and_stand_in_expressions(app: Engine) -> None:
    save(app, FULL)
    found = select(Note.body)
    with Session(app) as session:
        for condition in (
            Note.details == FULL,
            Note.details.in_([Details(), FULL]),
            Note.details != Details(),
            func.coalesce(Note.details, Details()) == FULL,
        ):
            assert session.scalars(found.where(condition)).all() == ["a"]
        assert session.scalars(found.where(Note.details == Details())).all() == []
        session.execute(update(Note).values({Note.details: case((Note.id == 0, FULL), else_=Details(copies=7))}))
        assert session.scalar(select(Note.details)) == Details(copies=7)
        session.execute(update(Note).values({Note.details: None}))
        session.execute(update(Note).values({Note.details: func.coalesce(Note.details, Details(copies=8))}))
        assert session.scalar(select(Note.details)) == Details(copies=8)


def test_no_document_is_null_and_not_json_null(library: Prepared, app: Engine) -> None:
    saved = save(app, None)

    assert library.rows("SELECT details IS NULL FROM maps.notes") == [(True,)]
    with Session(app) as session:
        assert session.get_one(Note, saved).details is None


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
        with pytest.raises(
            DocumentError, match=r"^Details field copies: Input should be a valid integer[^\n]*$"
        ) as told:
            details.copies = "many"  # type: ignore[assignment]
        assert "many" not in str(told.value)
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
