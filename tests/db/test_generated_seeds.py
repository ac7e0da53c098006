"""Generated rows in a real database, written by the owner's login."""

import sys
import types
import uuid

import pytest

from db import seeds
from db.engine import unpooled
from db.errors import BulkError, SeedError
from db.seeds import generated, rows
from db.seeds.generated import Generated
from db.seeds.rows import key
from db.urls import DatabaseURL
from tests.db.conftest import Prepared
from tests.db.library import ONE, Book, Note

pytestmark = pytest.mark.usefixtures("clean")
BOOKS = Generated(Book, 50_001, lambda n: {"id": key("book", f"{n}"), "organization_id": ONE, "title": f"{n}"})


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A set "load" of maps that exists in this process only."""
    module = types.ModuleType("db.apps.maps.seeds.load")
    module.GENERATED = (BOOKS, Generated(Note, 3, lambda n: {"id": n + 1, "body": f"note {n}"}))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def write(library: Prepared, lines: list[str]) -> int:
    return rows.write("maps", library.owner_url, ["load"], ca_file=None, report=lines.append)


@pytest.mark.usefixtures("load")
def test_rows_are_written_once_and_reported_a_table(library: Prepared, lines: list[str]) -> None:
    assert write(library, lines) == 50_004
    assert write(library, lines) == 0
    assert lines == [
        "maps: seed set load wrote 50001 rows of books",
        "maps: seed set load wrote 3 rows of notes",
        "maps: seed set load wrote 0 rows of books",
        "maps: seed set load wrote 0 rows of notes",
    ]
    assert library.rows("SELECT reltuples FROM pg_class WHERE oid = 'maps.books'::regclass") == [(50_001,)]


def test_an_interrupted_run_keeps_its_chunks_and_the_next_one_goes_on(
    library: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generated, "CHUNK", 10)
    source = unpooled(DatabaseURL.parse(library.owner_url))

    def row(number: int) -> dict[str, object]:
        if number == 25:
            raise KeyboardInterrupt
        return dict(BOOKS.row(number))

    with pytest.raises(KeyboardInterrupt):
        generated.write(source, Generated(Book, 40, row))
    assert library.rows("SELECT count(*) FROM maps.books") == [(20,)]
    assert generated.write(source, Generated(Book, 40, BOOKS.row)) == 20


def test_a_row_that_was_changed_stays_and_one_that_was_deleted_comes_back(library: Prepared) -> None:
    source = unpooled(DatabaseURL.parse(library.owner_url))
    few = Generated(Book, 5, BOOKS.row)
    generated.write(source, few)
    with library.admin() as admin:
        admin.execute("UPDATE maps.books SET title = 'mine' WHERE title = '0'")
        admin.execute("DELETE FROM maps.books WHERE title = '4'")

    assert generated.write(source, few) == 1
    assert library.rows("SELECT title FROM maps.books ORDER BY title") == [("1",), ("2",), ("3",), ("4",), ("mine",)]


def test_no_rows_are_no_work(library: Prepared) -> None:
    assert generated.write(unpooled(DatabaseURL.parse(library.owner_url)), Generated(Book, 0, BOOKS.row)) == 0


def test_rows_without_their_key_are_refused_before_anything_is_written(library: Prepared) -> None:
    keyless = Generated(Book, 3, lambda n: {"organization_id": ONE, "title": f"{n}"})

    with pytest.raises(SeedError, match=r"generated rows of maps.books lack id: without keys they would come twice"):
        generated.write(unpooled(DatabaseURL.parse(library.owner_url)), keyless)


def test_a_row_that_does_not_fit_is_one_line(library: Prepared, lines: list[str], load: types.ModuleType) -> None:
    bad = {"id": uuid.UUID(int=1), "organization_id": uuid.UUID(int=9), "title": "x"}
    load.GENERATED = (Generated(Book, 1, lambda _: bad),)  # type: ignore[attr-defined]

    with pytest.raises(SeedError, match=r"maps cannot be seeded: a row for maps.books was refused: insert or") as told:
        write(library, lines)

    assert "\n" not in str(told.value)
    assert isinstance(told.value.__cause__, BulkError)


@pytest.mark.usefixtures("load")
def test_a_database_that_is_not_migrated_gets_one_line(library: Prepared, lines: list[str]) -> None:
    with library.admin() as admin:
        admin.execute("ALTER TABLE maps.books RENAME TO renamed")
    try:
        with pytest.raises(SeedError, match="maps cannot be seeded, its schema is not up to date: run its migrations"):
            write(library, lines)
    finally:
        with library.admin() as admin:
            admin.execute("ALTER TABLE maps.renamed RENAME TO books")


@pytest.mark.parametrize("name", ["demo", "load"])
def test_example_data_needs_to_be_named_in_production(library: Prepared, name: str) -> None:
    with pytest.raises(SeedError, match=f'seed set "{name}" holds example data and is refused in production'):
        seeds.seed("maps", library.owner_url, [name])
    with pytest.raises(SeedError, match="refused in production"):
        seeds.seed("maps", library.owner_url, ["demo", "load"], allowed_in_production=["demo"])


def test_a_set_that_is_named_is_written_in_production_too(library: Prepared, lines: list[str]) -> None:
    with pytest.raises(SeedError, match="maps cannot be seeded, its schema is not up to date"):  # past the refusal
        seeds.seed("maps", library.owner_url, ["demo"], allowed_in_production=["demo"], report=lines.append)
