"""Every object of a schema has a test that misses it: each is dropped in turn, and its tests and no others must fail.

Dropping happens in a transaction that is rolled back, and the catalogue's tests are called, not run by pytest, so that
hundreds of objects against hundreds of tests take seconds.
"""

import importlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import psycopg
import pytest
from _pytest.mark import ParameterSet
from psycopg import sql

from db import migrations
from tests.db import catalogue
from tests.db.catalogue import Catalogue
from tests.db.conftest import Prepare

MODULES = {
    "bots": "tests.db.test_bots_catalogue",
    "dovvybuddy": "tests.db.test_dovvybuddy_catalogue",
    "maps": "tests.db.test_maps_catalogue",
    "panamia": "tests.db.test_panamia_catalogue",
    "petsitting": "tests.db.test_petsitting_catalogue",
}


@dataclass(frozen=True)
class Case:
    """One case of a test that takes nothing but the catalogue and parameters."""

    name: str
    names: tuple[str, ...]  # the parameters that are text: what the case is about
    fails: Callable[[Catalogue], bool]


@pytest.mark.parametrize("app", MODULES)
def test_what_is_dropped_is_missed_by_the_tests_that_name_it_and_by_no_others(app: str, prepare: Prepare) -> None:
    prepared = prepare(app)
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    cases = list(_cases(importlib.import_module(MODULES[app])))
    assert len(cases) > 10
    wrong = []
    tried: set[str] = set()
    with closing(prepared.admin()) as connection:
        whole = catalogue.read_by(connection, app)
        assert [case.name for case in cases if case.fails(whole)] == []
        for dropped, statement in _mutations(app, whole):
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(statement)
                    left = catalogue.read_by(connection, app)
            except psycopg.errors.DependentObjectsStillExist:  # of an extension, or the key of a partition
                continue
            except psycopg.errors.InvalidTableDefinition:  # a key's column cannot be NULL
                continue
            tried.add(dropped)
            gone = _gone(whole, left)
            red = [case for case in cases if case.fails(left)]
            if not any(_names(case, dropped) for case in red):
                wrong.append(f"nothing misses {dropped}")
            wrong += [
                f"{case.name} fails without {dropped}, of which it says nothing"
                for case in red
                if case.names and not any(_about(case, name) for name in gone)
            ]
    assert wrong == []
    assert sorted(_all(whole) - tried) == []


def _cases(module: ModuleType) -> Iterator[Case]:
    for name, function in vars(module).items():
        if not name.startswith("test_"):
            continue
        parameters = list(function.__annotations__.items())[:-1]  # the last is what it returns
        holders = [parameter for parameter, kind in parameters if kind in {Catalogue, "Catalogue"}]
        if len(holders) != 1:
            continue
        marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
        for chosen in itertools.product(*(_values(*mark.args[:2]) for mark in marks)):
            given = {key: value for each in chosen for key, value in each.items()}
            if {holders[0], *given} == {parameter for parameter, _ in parameters}:
                texts = tuple(value for value in given.values() if isinstance(value, str))
                yield Case(f"{name}[{'-'.join(texts)}]", texts, _failing(function, holders[0], given))


def _values(names: str | tuple[str, ...], rows: Iterable[Any]) -> list[dict[str, Any]]:
    keys = [names] if isinstance(names, str) else list(names)
    cells = [row.values if isinstance(row, ParameterSet) else (row,) if len(keys) == 1 else row for row in rows]
    return [dict(zip(keys, row, strict=True)) for row in cells]


def _failing(function: Callable[..., None], holder: str, given: dict[str, Any]) -> Callable[[Catalogue], bool]:
    def fails(found: Catalogue) -> bool:
        try:
            function(**{holder: found}, **given)
        except (AssertionError, KeyError):
            return True
        return False

    return fails


def _mutations(schema: str, whole: Catalogue) -> Iterator[tuple[str, sql.Composed]]:
    """What is dropped, and how."""
    parts = (_of_tables, _of_columns, _of_what_tables_have, _of_routines, _of_partitions)
    for name, statement, *names in itertools.chain.from_iterable(part(whole) for part in parts):
        yield name, sql.SQL(statement).format(*map(sql.Identifier, names), schema=sql.Identifier(schema))


_Mutation = tuple[str, ...]  # what is dropped, the statement, the names in it


def _of_tables(whole: Catalogue) -> Iterator[_Mutation]:
    for table, storage in whole.storage.items():
        yield table, "DROP TABLE {schema}.{} CASCADE", table
        if whole.row_security[table]:
            yield table, "ALTER TABLE {schema}.{} DISABLE ROW LEVEL SECURITY", table
        if "forced" in storage:
            yield table, "ALTER TABLE {schema}.{} NO FORCE ROW LEVEL SECURITY", table


def _of_columns(whole: Catalogue) -> Iterator[_Mutation]:
    for name, text in whole.columns.items():
        change = "ALTER TABLE {schema}.{} ALTER COLUMN {} DROP "
        yield name, "ALTER TABLE {schema}.{} DROP COLUMN {} CASCADE", *name.split(".")
        if not text.partition(" ")[0].endswith("?"):
            yield name, f"{change} NOT NULL", *name.split(".")
        if " generated " in text:
            yield name, f"{change} EXPRESSION", *name.split(".")
        elif " = " in text:
            yield name, f"{change} DEFAULT", *name.split(".")


def _of_what_tables_have(whole: Catalogue) -> Iterator[_Mutation]:
    for name in whole.constraints:
        yield name, "ALTER TABLE {schema}.{} DROP CONSTRAINT {} CASCADE", *name.split(".")
    for name in whole.indexes:
        yield name, "DROP INDEX {schema}.{} CASCADE", name.split(".")[1]
    for name in whole.triggers:
        yield name, "DROP TRIGGER {} ON {schema}.{}", *reversed(name.split("."))
    for name in whole.policies:
        yield name, "DROP POLICY {} ON {schema}.{}", *reversed(name.split("."))
    for name in whole.privileges:
        yield name, "REVOKE ALL ON {schema}.{} FROM {}", *name.split(".")
    for name in whole.enums:
        kind, value = name.split(".")
        yield name, f"ALTER TYPE {{schema}}.{{}} RENAME VALUE '{value}' TO 'another'", kind


def _of_routines(whole: Catalogue) -> Iterator[_Mutation]:
    for signature, text in whole.routines.items():
        name, _, arguments = signature.partition("(")
        routine = f"ROUTINE {{schema}}.{{}}({arguments}"
        yield signature, f"DROP {routine} CASCADE", name
        if "search_path" in text:
            yield signature, f"ALTER {routine} RESET search_path", name
        for role in text.rpartition("for ")[2].split():
            yield signature, f"REVOKE ALL ON {routine} FROM {role}", name


def _of_partitions(whole: Catalogue) -> Iterator[_Mutation]:
    for name in whole.partitions:
        table, _, month = name.partition("+")
        for statement in ("DROP TABLE %s", "ALTER TABLE %s NO FORCE ROW LEVEL SECURITY", "DROP POLICY owner ON %s"):
            yield (
                name,
                f"""DO $$ BEGIN EXECUTE (SELECT format('{statement}', inhrelid::regclass) FROM pg_inherits
                    WHERE inhparent = '{{schema}}.{table}'::regclass
                    ORDER BY inhrelid::regclass::text OFFSET {month} LIMIT 1); END $$""",
            )


def _all(whole: Catalogue) -> set[str]:
    return {name for kind in _KINDS for name in getattr(whole, kind)}


_KINDS: tuple[str, ...] = ("columns", "constraints", "indexes", "triggers", "functions", "routines", "policies")
_KINDS += ("enums", "privileges", "row_security", "storage", "partitions")


def _gone(whole: Catalogue, left: Catalogue) -> set[str]:
    """Names of all that is gone or other than it was; dropping a column takes its constraints along."""
    gone: set[str] = set(whole.others - left.others)
    for kind in _KINDS:
        before, after = getattr(whole, kind), getattr(left, kind)
        gone |= {name for name in before if before[name] != after.get(name)}
    return gone


def _names(case: Case, name: str) -> bool:
    """Whether the case's id says this very name, in one parameter or in one for each of its parts."""
    return name in case.names or sorted(name.split(".")) == sorted(case.names)


def _about(case: Case, name: str) -> bool:
    """Whether the case names it; one without parameters can be about anything, by its own name."""
    return not case.names or any(text in {name, *name.split(".")} for text in case.names)
