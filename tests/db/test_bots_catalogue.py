"""Every object of schema bots is there as it should be, and nothing further.

What should be there is written in catalogues/bots, one object a line, so that a lost column, index, constraint,
trigger, policy, function, enum value or grant fails the test that names it and no other.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from db import migrations
from tests.db import catalogue
from tests.db.catalogue import Catalogue, further
from tests.db.conftest import Prepare, Prepared


def listed(kind: str) -> dict[str, str]:
    """Name and definition of every object of `kind` that should be there."""
    lines = (Path(__file__).parent / "catalogues" / "bots" / f"{kind}.txt").read_text().splitlines()
    return {name: definition for name, _, definition in (line.partition(" = ") for line in lines)}


TABLES, COLUMNS, INDEXES, CONSTRAINTS = listed("tables"), listed("columns"), listed("indexes"), listed("constraints")
TRIGGERS, POLICIES, ENUMS, FUNCTIONS = listed("triggers"), listed("policies"), listed("enums"), listed("functions")
GRANTS, PARTITIONS = listed("grants"), listed("partitions")
# what the document lists of `bots`, line by line (139 to 191), as PostgreSQL says it
DOCUMENT = {
    "id": "uuid = gen_random_uuid()",
    "organization_id": "uuid",
    "created_by_id": "uuid",
    "name": "text",
    "description": "text?",
    "slug": "text",
    "is_active": "boolean = true",
    "schedule": "text?",
    "config": "jsonb",
    "last_run_at": "timestamptz?",
    "next_run_at": "timestamptz?",
    "created_at": "timestamptz = now()",
    "updated_at": "timestamptz = now()",
    "deleted_at": "timestamptz?",
}
DOCUMENTS_INDEXES = {
    "bots_org_id_idx": "(organization_id)",
    "bots_slug_idx": "(organization_id, slug) WHERE (deleted_at IS NULL) UNIQUE",
    "bots_active_idx": "(is_active) WHERE (deleted_at IS NULL)",
    "bots_next_run_idx": "(next_run_at)",
}
ENTITIES = (
    "users", "organizations", "organization_members", "roles", "permissions", "bots", "bot_runs", "bot_logs",
    "workflows", "workflow_runs", "tasks", "credentials", "sessions", "session_recordings", "notifications",
    "activity_logs", "api_keys", "settings",
)  # fmt: skip


def proof(name: str, requirement: str) -> object:
    """A case that proves a requirement of its own."""
    return pytest.param(name, marks=pytest.mark.requirement(requirement))


@pytest.fixture(scope="module")
def database(prepare: Prepare) -> Prepared:
    prepared = prepare("bots")
    migrations.upgrade("bots", prepared.owner_url, report=lambda _: None)
    return prepared


@pytest.fixture(scope="module")
def there(database: Prepared) -> Catalogue:
    return catalogue.read(database, "bots")


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.requirement("bots.P0.schema-definitions", "bots.P2.row-level-security")
def test_the_table_is_stored_and_protected_as_listed(there: Catalogue, name: str) -> None:
    assert there.storage.get(name) == TABLES[name]


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.requirement("bots.P0.schema-definitions")
def test_the_column_has_its_type_nullability_and_default(there: Catalogue, name: str) -> None:
    assert there.columns.get(name) == COLUMNS[name]


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.requirement("bots.P0.indexes")
def test_the_index_is_the_lists_and_valid(there: Catalogue, name: str) -> None:
    assert there.indexes.get(name) == INDEXES[name]


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.requirement("bots.P0.relationships", "bots.goals.data-integrity", "bots.problem.integrity")
def test_the_constraint_says_what_the_list_says(there: Catalogue, name: str) -> None:
    assert there.constraints.get(name) == CONSTRAINTS[name]


@pytest.mark.parametrize("name", TRIGGERS)
@pytest.mark.requirement("bots.P1.audit-columns")
def test_the_trigger_runs_when_the_list_says(there: Catalogue, name: str) -> None:
    assert there.triggers.get(name) == TRIGGERS[name]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.requirement("bots.P2.row-level-security")
def test_the_policy_shows_whom_the_list_says_what_it_says(there: Catalogue, name: str) -> None:
    assert there.policies.get(name) == POLICIES[name]


@pytest.mark.parametrize("name", ENUMS)
@pytest.mark.requirement("bots.P1.enums")
def test_the_value_has_its_place_in_the_enum(there: Catalogue, name: str) -> None:
    assert there.enums.get(name) == int(ENUMS[name])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.requirement("bots.P2.stored-procedures")
def test_the_function_has_the_rights_and_callers_that_the_list_gives_it(there: Catalogue, name: str) -> None:
    assert there.routines.get(name) == FUNCTIONS[name]


@pytest.mark.parametrize("name", GRANTS)
@pytest.mark.requirement("bots.security.least-privilege")
def test_the_group_has_these_privileges_on_the_table(there: Catalogue, name: str) -> None:
    assert there.privileges.get(name) == frozenset(GRANTS[name].split("; "))


@pytest.mark.parametrize("name", PARTITIONS)
@pytest.mark.requirement("bots.P2.partitioning")
def test_the_month_has_a_partition_of_its_own_that_shows_nobody_its_rows(there: Catalogue, name: str) -> None:
    assert there.partitions.get(name) == PARTITIONS[name]


def test_there_is_nothing_further(there: Catalogue) -> None:
    assert further(there.tables, TABLES) == []
    assert further(there.columns, COLUMNS) == []
    assert further(there.indexes, INDEXES) == []
    assert further(there.constraints, CONSTRAINTS) == []
    assert further(there.triggers, TRIGGERS) == []
    assert further(there.policies, POLICIES) == []
    assert further(there.enums, ENUMS) == []
    assert further(there.routines, FUNCTIONS) == []
    assert further(there.privileges, GRANTS) == []
    assert further(there.partitions, PARTITIONS) == []
    types = {f"type {name.partition('.')[0]}" for name in ENUMS}
    assert further(there.others, types | {f"policy {name.partition('.')[2]}" for name in POLICIES}) == []


@pytest.mark.parametrize("name", [proof(it, f"bots.tables.{it}") for it in ENTITIES])
@pytest.mark.requirement("bots.P0.schema-definitions", "bots.goals.normalized")
def test_each_table_of_the_document_is_there(there: Catalogue, name: str) -> None:
    assert name in there.tables


@pytest.mark.parametrize("column", [proof(it, f"bots.columns.{it}") for it in DOCUMENT])
def test_column_of_bots_is_the_documents(there: Catalogue, column: str) -> None:
    assert there.columns.get(f"bots.{column}") == DOCUMENT[column]


@pytest.mark.parametrize("index", [proof(it, f"bots.indexes.{it}") for it in DOCUMENTS_INDEXES])
@pytest.mark.requirement("bots.P0.indexes")
def test_index_of_bots_is_the_documents_corrected(there: Catalogue, index: str) -> None:
    assert there.indexes.get(f"bots.{index}") == f"bots.bots USING btree {DOCUMENTS_INDEXES[index]}"


@pytest.mark.requirement("bots.columns.organization_id", "bots.columns.created_by_id")
def test_bots_refers_to_its_organization_which_takes_it_along_and_to_its_author(
    there: Catalogue,
) -> None:
    keys = there.constraints

    assert keys["bots.fk_bots_organization_id"].endswith("REFERENCES bots.organizations(id) ON DELETE CASCADE")
    assert keys["bots.fk_bots_created_by_id_users"] == "FOREIGN KEY (created_by_id) REFERENCES bots.users(id)"


@pytest.mark.requirement("bots.P2.row-level-security", "bots.P0.relationships")
def test_every_key_between_rows_of_organizations_carries_the_organization(there: Catalogue) -> None:
    """Save those to what belongs to no organization: users, organizations themselves, permissions."""
    free = re.compile(r"REFERENCES bots\.(users|organizations|permissions)\(id\)")
    scoped = re.compile(r"FOREIGN KEY \((organization_id|scope_id|role_scope_id), \w+\)")
    loose = [
        name
        for name, definition in there.constraints.items()
        if definition.startswith("FOREIGN KEY") and not scoped.match(definition) and not free.search(definition)
    ]

    assert loose == []


@pytest.mark.requirement("bots.P2.row-level-security")
def test_every_function_with_the_owners_rights_sets_its_path_with_temporary_objects_last(
    there: Catalogue,
) -> None:
    unsafe = [
        name
        for name, definition in there.routines.items()
        if "with the owner's rights" in definition and "search_path=pg_catalog, pg_temp" not in definition
    ]

    assert unsafe == []


@pytest.mark.requirement("bots.security.least-privilege")
def test_no_function_is_everybodys(there: Catalogue) -> None:
    assert [name for name, definition in there.routines.items() if "PUBLIC" in definition] == []


@pytest.mark.requirement("bots.P0.indexes", "bots.problem.slow")
def test_every_foreign_key_that_is_followed_has_an_index(database: Prepared) -> None:
    """Authors and editors excepted: those keys are looked up when a membership is erased, which is never."""
    without = database.rows(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint k WHERE contype = 'f' AND conparentid = 0"
        " AND connamespace = 'bots'::regnamespace AND conname !~ '(created|updated|deleted)_by_id'"
        " AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = k.conrelid"
        " AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)"
        " AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indkey[0] = k.conkey[1])"
    )

    assert without == []


@pytest.mark.requirement("bots.P1.migration-rollback", "bots.P0.migrations", "bots.goals.migrations",
                         "bots.metrics.rollback-time", "bots.success.rollback-time")  # fmt: skip
def test_all_revisions_down_and_up_again_leave_the_same_schema_within_seconds(
    database: Prepared, prepare: Prepare
) -> None:
    again = prepare("bots")
    migrations.upgrade("bots", again.owner_url, report=lambda _: None)
    files = [revision.revision for revision in reversed(migrations.revisions("bots"))]
    for target in (*files[1:], "base"):
        migrations.downgrade("bots", again.owner_url, target=target, report=lambda _: None)
    assert not catalogue.read(again, "bots").tables
    assert not catalogue.read(again, "bots").others
    [(seconds,)] = again.rows("SELECT extract(epoch FROM max(reverted) - min(reverted)) FROM"
                              " (SELECT reverted_at AS reverted FROM bots.migration_history) AS steps")  # fmt: skip
    assert seconds < 30
    migrations.upgrade("bots", again.owner_url, report=lambda _: None)

    assert catalogue.read(again, "bots") == catalogue.read(database, "bots")
