"""JSONB of any shape, on a real server."""

import gc
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Session, configure_mappers

from db.apps.bots.models import Base as Bots
from db.apps.dovvybuddy.models import Base as Dovvybuddy
from db.apps.panamia.models import Base as Panamia
from db.documents import DocumentType
from db.engine import engine
from db.errors import DocumentError
from db.jsonb import Json
from db.transactions import run
from db.vectors import Embedding
from tests.db.conftest import Prepared
from tests.db.library import Note

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def app(route: str) -> Engine:
    return engine(route)


def save(app: Engine, extra: object) -> int:
    with Session(app) as session:
        note = Note(body="a", extra=extra)
        session.add(note)
        session.commit()
        return note.id


def stored(library: Prepared) -> Any:
    [(value,)] = library.rows("SELECT extra FROM maps.notes")
    return value


@pytest.mark.parametrize("value", [{"a": [1, {"b": None}]}, [1], "dark", 3, 1.5, True, None])
def test_json_of_every_kind_comes_out_as_it_went_in(library: Prepared, app: Engine, value: object) -> None:
    saved = save(app, value)

    assert stored(library) == value
    assert library.rows("SELECT extra IS NULL FROM maps.notes") == [(value is None,)]
    with Session(app) as session:
        assert session.get_one(Note, saved).extra == value


CHANGES: dict[str, tuple[Callable[[Any], object], object]] = {
    "a key": (lambda it: it.update(b=3), {"a": [{"c": 1}], "b": 3}),
    "an item of a list": (lambda it: it["a"].append(2), {"a": [{"c": 1}, 2]}),
    "deep": (lambda it: it["a"][0].pop("c"), {"a": [{}]}),
    "by setdefault": (lambda it: it.setdefault("b", {}).update(c=1), {"a": [{"c": 1}], "b": {"c": 1}}),
    "put in, then changed": (lambda it: (it.update(b=[]), it["b"].append(1)), {"a": [{"c": 1}], "b": [1]}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("known", ["read", "flushed", "expired"])
def test_a_change_in_place_is_written(library: Prepared, app: Engine, change: str, known: str) -> None:
    make, result = CHANGES[change]
    with Session(app) as session:
        note = Note(body="a", extra={"a": [{"c": 1}]})
        session.add(note)
        session.flush() if known == "flushed" else session.commit()
        if known == "read":
            session.expunge_all()
            note = session.scalars(select(Note)).one()
        make(note.extra)
        session.commit()

    assert stored(library) == result


def test_a_change_is_written_although_nobody_holds_the_row(library: Prepared, app: Engine) -> None:
    saved = save(app, {"a": 1})

    with Session(app) as session:
        session.get_one(Note, saved).extra["a"] = 2
        gc.collect()
        session.commit()

    assert stored(library) == {"a": 2}


def test_what_was_replaced_is_the_rows_no_more_and_reading_writes_nothing(library: Prepared, app: Engine) -> None:
    saved = save(app, {"a": 1})

    with Session(app) as session:
        note = session.get_one(Note, saved)
        old = note.extra
        assert not session.is_modified(note)
        note.extra = "plain"
        session.commit()
        old["a"] = 2
        assert not session.is_modified(note)

    assert stored(library) == "plain"


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


BAD: dict[str, tuple[object, str]] = {
    "NUL": ({"a": {"b": "se\0cret"}}, "field a.b: a text cannot hold a NUL byte"),
    "NUL alone": ("se\0cret", "a text cannot hold a NUL byte"),
    "NUL in a tuple": ({"a": ("se\0cret",)}, "field a.0: a text cannot hold a NUL byte"),
    "under a number": ({1: "se\0cret"}, "field 1: a text cannot hold a NUL byte"),
    "surrogate": (["\ud800"], "field 0: a text cannot hold half of a surrogate pair"),
    "not a number": ({"a": float("nan")}, "field a: JSON knows finite numbers only"),
    "object": ({"a": object()}, r"holds what JSON has no word for \(TypeError\)"),
    "bytes": ({"a": b"secret"}, r"holds what JSON has no word for \(TypeError\)"),
    "digits": ({"a": 10**5000}, r"holds what JSON has no word for \(ValueError\)"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("way", ["orm", "core", "update"])
def test_what_cannot_be_stored_names_column_and_field_and_not_the_value(
    library: Prepared, app: Engine, case: str, way: str
) -> None:
    value, words = BAD[case]

    def write(session: Session) -> None:
        if way == "orm":
            session.add(Note(body="a", extra=value))
            session.flush()
        elif way == "core":
            session.execute(insert(Note), [{"body": "a", "extra": value}])
        else:
            session.execute(update(Note).values({Note.extra: value}))

    with pytest.raises(DocumentError, match=rf"^maps\.notes\.extra {words}$") as told:
        run(app, write)

    assert "secret" not in repr(told.value)
    assert library.rows("SELECT FROM maps.notes") == []


def test_what_is_searched_for_is_checked_too(app: Engine) -> None:
    save(app, {"a": "b"})

    with Session(app) as session:
        assert session.scalars(select(Note.body).where(Note.extra.contains({"a": "b"}))).all() == ["a"]
        assert session.scalars(select(Note.body).where(Note.extra["a"].as_string() == "b")).all() == ["a"]
        with pytest.raises(DocumentError, match=r"^maps\.notes\.extra field a: a text cannot hold a NUL byte$"):
            session.scalars(select(Note.body).where(Note.extra.contains({"a": "\0"})))


def test_json_that_is_nested_too_deeply_is_named(library: Prepared, app: Engine) -> None:
    with Session(app) as session:
        with pytest.raises(DocumentError, match="nested too deeply"):
            session.execute(insert(Note), [{"body": "a", "extra": deep(100_000)}])
        session.rollback()
        with pytest.raises(DocumentError, match="nested too deeply"):
            session.add(Note(body="a", extra=deep(3_000)))
        note = Note(body="a", extra=[])
        with pytest.raises(DocumentError, match="nested too deeply"):
            note.extra.append(deep(3_000))

    assert library.rows("SELECT FROM maps.notes") == []


@pytest.mark.parametrize("base", [Bots, Dovvybuddy, Panamia], ids=lambda it: str(it.metadata.schema))
def test_every_jsonb_column_of_the_apps_is_a_document_or_checked(base: type[DeclarativeBase]) -> None:
    configure_mappers()
    tables = [table for table in base.metadata.tables.values() if not table.name.endswith("_history")]  # only read
    columns = [column for table in tables for column in table.columns]
    plain = [(column, column.type) for column in columns if isinstance(column.type, Json)]

    assert [str(column) for column in columns if isinstance(column.type, JSONB)] == []
    assert all(kind.column is column for column, kind in plain)  # so that its errors name it
    assert any(isinstance(column.type, (Json, DocumentType, Embedding)) for column in columns)
