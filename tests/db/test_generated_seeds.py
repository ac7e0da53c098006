"""Generated rows in a real database, written by the owner's login."""

import sys
import types
from collections.abc import Iterator

import psycopg
import pytest

from db import connections, seeds
from db.errors import SeedError
from db.seeds import generated, rows
from db.seeds.generated import Generated, one_of
from db.seeds.rows import key, key_sql
from db.urls import DatabaseURL
from tests.db.conftest import Prepared
from tests.db.library import ONE, Book, Note

pytestmark = pytest.mark.usefixtures("clean")
COLUMNS = {"id": key_sql("n", "book"), "organization_id": f"'{ONE}'", "title": "n", "pages": "1"}
BOOKS = Generated(Book, 25_001, COLUMNS)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A set "load" of maps that exists in this process only."""
    module = types.ModuleType("db.apps.maps.seeds.load")
    module.GENERATED = (BOOKS, Generated(Note, 3, {"id": "n + 1", "body": "'note ' || n"}))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def owners(library: Prepared) -> Iterator[list[generated.Connection]]:
    """Two connections of the owner."""
    opened = [connections.connect(DatabaseURL.parse(library.owner_url)) for _ in range(2)]
    yield opened
    for connection in opened:
        connection.close()


def write(library: Prepared, lines: list[str]) -> int:
    return rows.write("maps", library.owner_url, ["load"], ca_file=None, report=lines.append)


@pytest.mark.usefixtures("load")
def test_rows_are_written_once_and_reported_a_table(library: Prepared, lines: list[str]) -> None:
    assert write(library, lines) == 25_004
    assert write(library, lines) == 0
    assert [it.rpartition(" in ")[0] for it in lines] == [
        "maps: seed set load wrote 25001 rows of books",
        "maps: seed set load wrote 3 rows of notes",
        "maps: seed set load wrote 0 rows of books",
        "maps: seed set load wrote 0 rows of notes",
    ]
    assert library.rows("SELECT reltuples FROM pg_class WHERE oid = 'maps.books'::regclass") == [(25_001,)]


def test_keys_are_those_that_the_program_computes(library: Prepared, owners: list[generated.Connection]) -> None:
    generated.write(owners, Generated(Book, 12, COLUMNS))

    assert dict(library.rows("SELECT title, id FROM maps.books")) == {f"{n}": key("book", f"{n}") for n in range(12)}


def test_values_come_in_turn(owners: list[generated.Connection]) -> None:
    query = f"SELECT {one_of(('a', 'b', 'c'))} FROM generate_series(0, 4) AS n"

    assert owners[0].execute(query.encode()).fetchall() == [("a",), ("b",), ("c",), ("a",), ("b",)]


def test_an_interrupted_run_keeps_its_batches_and_the_next_one_goes_on(
    library: Prepared, owners: list[generated.Connection]
) -> None:
    broken = Generated(Book, 40, {**COLUMNS, "title": "n + 0 / (25 - n)"}, batch=10)

    with pytest.raises(psycopg.errors.DivisionByZero):
        generated.write(owners[:1], broken)
    found = {int(title) for (title,) in library.rows("SELECT title FROM maps.books")}
    assert found >= set(range(20))
    assert found.isdisjoint(range(20, 30))  # the batch that broke
    assert generated.write(owners, Generated(Book, 40, COLUMNS)) == 40 - len(found)


def test_it_says_how_far_it_is(
    owners: list[generated.Connection], lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generated, "_PROGRESS_EVERY", -1.0)
    generated.write(owners, Generated(Book, 25, COLUMNS, batch=10), progress=lines.append)

    assert lines == [f"{done} of 25 rows of books" for done in (10, 20, 25)]


def test_a_row_that_was_changed_stays_and_one_that_was_deleted_comes_back(
    library: Prepared, owners: list[generated.Connection]
) -> None:
    few = Generated(Book, 5, COLUMNS)
    generated.write(owners, few)
    with library.admin() as admin:
        admin.execute("UPDATE maps.books SET title = 'mine' WHERE title = '0'")
        admin.execute("DELETE FROM maps.books WHERE title = '4'")

    assert generated.write(owners, few) == 1
    assert library.rows("SELECT title FROM maps.books ORDER BY title") == [("1",), ("2",), ("3",), ("4",), ("mine",)]


def test_no_rows_are_no_work(owners: list[generated.Connection]) -> None:
    assert generated.write(owners, Generated(Book, 0, COLUMNS)) == 0


def test_rows_without_their_key_are_refused_before_anything_is_written(owners: list[generated.Connection]) -> None:
    keyless = Generated(Book, 3, {"organization_id": f"'{ONE}'", "title": "n"})

    with pytest.raises(SeedError, match=r"generated rows of maps.books lack id: without keys they would come twice"):
        generated.write(owners, keyless)


def test_a_row_that_does_not_fit_is_one_line(library: Prepared, lines: list[str], load: types.ModuleType) -> None:
    nowhere = {**COLUMNS, "organization_id": key_sql("n", "nobody")}
    load.GENERATED = (Generated(Book, 1, nowhere),)  # type: ignore[attr-defined]

    with pytest.raises(SeedError, match=r"maps cannot be seeded: SQLSTATE 23503, insert or update on table") as told:
        write(library, lines)

    assert "\n" not in str(told.value)


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
