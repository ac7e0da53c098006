"""Every object of panamia's schema by name, against the lists in panamia_columns.py and panamia_rules.py."""

import pytest

from db import migrations
from tests.db import catalogue
from tests.db.catalogue import Catalogue, further
from tests.db.conftest import Prepare
from tests.db.panamia_columns import COLUMNS, GROUP_OF, JSONB
from tests.db.panamia_rules import CONSTRAINTS, FUNCTIONS, INDEXES, PRIVILEGES, ROUTINES, TRIGGERS


def ids(column: str) -> list[str]:
    """The requirements that a column belongs to."""
    table, _, name = column.partition(".")
    found = [f"panamia.groups.{GROUP_OF[table]}"]
    if name in JSONB.get(table, ()):
        found.append(f"panamia.jsonb.{table}")
    if name in {"created_at", "updated_at"}:
        found.append("panamia.timestamps.columns")
    if name == "id":
        found += ["panamia.keys.id", "panamia.keys.no-extension"]
    return found


def marked(names: list[str]) -> list[object]:
    return [pytest.param(name, marks=pytest.mark.requirement(*ids(name))) for name in names]


@pytest.fixture(scope="module")
def panamia(prepare: Prepare) -> Catalogue:
    prepared = prepare("panamia")
    migrations.upgrade("panamia", prepared.owner_url, report=lambda _: None)
    return catalogue.read(prepared, "panamia")


@pytest.mark.parametrize("name", marked(list(GROUP_OF)))
def test_the_table_is_there(panamia: Catalogue, name: str) -> None:
    assert name in panamia.tables


@pytest.mark.parametrize("name", marked(list(COLUMNS)))
def test_the_column_has_its_type_nullability_and_default(panamia: Catalogue, name: str) -> None:
    assert panamia.columns.get(name) == COLUMNS[name]


@pytest.mark.parametrize("name", marked(list(CONSTRAINTS)))
def test_the_constraint_says_what_the_list_says(panamia: Catalogue, name: str) -> None:
    assert panamia.constraints.get(name) == CONSTRAINTS[name]


@pytest.mark.parametrize("name", marked(list(INDEXES)))
def test_the_index_is_the_lists_and_valid(panamia: Catalogue, name: str) -> None:
    assert panamia.indexes.get(name) == INDEXES[name]


@pytest.mark.parametrize("name", TRIGGERS)
@pytest.mark.requirement("panamia.timestamps.updated-at")
def test_a_trigger_keeps_the_tables_updated_at(panamia: Catalogue, name: str) -> None:
    assert panamia.triggers.get(name) == TRIGGERS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.requirement("panamia.timestamps.updated-at")
def test_the_function_of_the_triggers_takes_the_servers_clock(panamia: Catalogue, name: str) -> None:
    assert panamia.functions.get(name) == FUNCTIONS[name]


@pytest.mark.parametrize("name", ROUTINES)
def test_the_function_has_nobody_elses_rights(panamia: Catalogue, name: str) -> None:
    assert panamia.routines.get(name) == ROUTINES[name]


@pytest.mark.parametrize("name", PRIVILEGES)
def test_the_group_has_these_privileges_on_the_table(panamia: Catalogue, name: str) -> None:
    assert panamia.privileges.get(name) == PRIVILEGES[name]


@pytest.mark.requirement("panamia.groups.count")
def test_there_is_nothing_further(panamia: Catalogue) -> None:
    assert further(panamia.tables, GROUP_OF) == []
    assert further(panamia.columns, COLUMNS) == []
    assert further(panamia.constraints, CONSTRAINTS) == []
    assert further(panamia.indexes, INDEXES) == []
    assert further(panamia.triggers, TRIGGERS) == []
    assert further(panamia.functions, FUNCTIONS) == []
    assert further(panamia.privileges, PRIVILEGES) == []
    assert panamia.others == frozenset()


@pytest.mark.requirement("panamia.groups.count")
def test_the_lists_groups_hold_twenty_seven_tables() -> None:
    assert len(GROUP_OF) == 27
