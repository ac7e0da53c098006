"""The recipes of docs/migrations.md as they stand: on 1,000,000 rows, with 20 clients at work that notice nothing."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from db import migrations
from db.errors import MigrationError
from db.migrations import waits
from tests.db.conftest import Prepare, Prepared
from tests.recipes import CLIENTS, TABLE, clients_at_work, counted, recipes, write

RECIPES = recipes()
HEAD = migrations.revisions("maps")[-1].revision
GOAL = 0.2  # seconds; the limit is the longest lock timeout of the runner
LIMIT = waits.lock_timeout(waits.ATTEMPTS) / 1000
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def template(prepare: Prepare) -> Prepared:
    """maps with its table of 1,000,000 places."""
    prepared = prepare("maps")
    migrations.upgrade("maps", prepared.owner_url, report=lambda _: None)
    with psycopg.connect(prepared.owner_url) as owner:
        owner.execute(TABLE)
    return prepared


@pytest.fixture
def large(template: Prepared) -> Iterator[Prepared]:
    """A database of a test's own, copied from the template."""
    name = f"{template.access.database}_{next(_numbers)}"
    with closing(template.server.connect()) as admin:
        source = sql.Identifier(template.access.database)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(name), source))
        yield dataclasses.replace(template, access=dataclasses.replace(template.access, database=name))
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def constraint(name: str, extra: str = "convalidated") -> str:
    return f"SELECT {extra} FROM pg_constraint WHERE conname = '{name}'"


def index(name: str) -> str:
    return f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('maps.{name}')"


def no(condition: str, table: str = "places") -> str:
    return f"SELECT count(*) = 0 FROM maps.{table} WHERE {condition}"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What must hold after the recipe, and the columns that the release uses which runs meanwhile."""

    holds: str
    columns: tuple[str, ...] = ("name", "city")
    later: tuple[str, ...] = ()  # the columns of the release after that, for which the last step is


OUTCOMES = {
    "Add a column": Outcome(no("visits IS DISTINCT FROM 0")),
    "Back-fill rows": Outcome("SELECT count(DISTINCT token) = count(*) FROM maps.places"),
    "Make a column NOT NULL": Outcome(
        "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'maps.places'::regclass AND attname = 'city'"
    ),
    "Add a check": Outcome(constraint("ck_places_name")),
    "Add a foreign key": Outcome(constraint("fk_places_user_id_users")),
    "Add an index": Outcome(index("ix_places_city")),
    "Add a unique constraint": Outcome(constraint("uq_places_name_id", "contype = 'u'")),
    "Add an enum value": Outcome("SELECT 'museum' = ANY (enum_range(NULL::maps.place_kind)::text[])"),
    "Rename a column, or change its type": Outcome(no("title IS DISTINCT FROM name"), later=("title", "city")),
    "Split a table": Outcome(
        "SELECT count(*) = 0 FROM maps.places p FULL JOIN maps.place_cities c ON c.place_id = p.id"
        " WHERE p.city IS DISTINCT FROM c.city"
    ),
    "Drop a column or a table": Outcome(
        "SELECT count(*) = 0 FROM pg_attribute WHERE attrelid = 'maps.places'::regclass AND attname = 'city'",
        columns=("name",),
    ),
}


def test_every_recipe_of_the_page_is_tried() -> None:
    assert list(OUTCOMES) == list(RECIPES)


@pytest.mark.parametrize("title", OUTCOMES)
def test_a_recipe_and_its_way_back_hold_no_client_up_and_show_none_an_error(
    title: str, large: Prepared, home: Path
) -> None:
    recipe, outcome = RECIPES[title], OUTCOMES[title]
    before = shape(large)
    names = write(home, recipe.steps[:-1] if outcome.later else recipe.steps, after=HEAD)

    with unnoticed(title, large, outcome.columns):
        assert migrations.upgrade("maps", large.owner_url, home=home, report=print) == tuple(names)
    assert counted(large, outcome.holds) is True

    if outcome.later:
        names += write(home, recipe.steps[-1:], after=names[-1])
        with unnoticed(f"{title}, last step", large, outcome.later):
            assert migrations.upgrade("maps", large.owner_url, home=home, report=print) == (names[-1],)
    if recipe.reversible:
        with unnoticed(f"{title}, undone", large, outcome.columns):
            undone = migrations.downgrade("maps", large.owner_url, target=HEAD, home=home, report=print)
        assert undone == tuple(reversed(names))
        assert shape(large) == before
    else:
        with pytest.raises(MigrationError, match=f"revision {names[-1]} .* failed: NotImplementedError: "):
            migrations.downgrade("maps", large.owner_url, target=HEAD, home=home, report=print)


@contextmanager
def unnoticed(what: str, prepared: Prepared, columns: tuple[str, ...]) -> Iterator[None]:
    """Clients at work meanwhile see no error, and wait less than the runner's lock timeout."""
    with clients_at_work(prepared, *columns) as work:
        yield
    print(  # noqa: T201  # the figures of the page, with `pytest -s`
        f"{what}: {work.statements:,} statements, blocked for {work.blocked * 1000:.0f} ms at most (goal"
        f" {GOAL * 1000:.0f}, limit {LIMIT * 1000:.0f}), slowest {work.slowest * 1000:.0f} ms"
    )
    assert work.errors == []
    assert work.statements > CLIENTS
    assert work.blocked < LIMIT


def shape(prepared: Prepared) -> list[tuple[object, ...]]:
    """Columns, constraints, indexes, triggers and tables of maps, but for their order."""
    return prepared.rows(
        """SELECT concat_ws(' ', attrelid::regclass, attname, atttypid::regtype, attnotnull, atthasdef) AS it
            FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            WHERE c.relnamespace = 'maps'::regnamespace AND attnum > 0 AND NOT attisdropped
        UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'maps'::regnamespace
            AND contype <> 'n'
        UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY it"""
    )
