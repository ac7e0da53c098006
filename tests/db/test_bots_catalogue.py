"""Every object of schema bots is there as it should be, and nothing further.

What should be there is written in catalogues/bots, one object a line, so that a lost column, index, constraint,
trigger, policy, function, enum value or grant fails the test that names it and no other.
"""

from __future__ import annotations

import re

import pytest

from db import migrations
from tests.db.bots_catalogue import QUERIES, expected, found
from tests.db.conftest import Prepare, Prepared

OBJECTS = {kind: expected(kind) for kind in QUERIES}
# what the document lists of `bots`, line by line (139 to 191), as PostgreSQL says it
DOCUMENT = {
    "id": "uuid not null default gen_random_uuid()",
    "organization_id": "uuid not null",
    "created_by_id": "uuid not null",
    "name": "text not null",
    "description": "text",
    "slug": "text not null",
    "is_active": "boolean not null default true",
    "schedule": "text",
    "config": "jsonb not null",
    "last_run_at": "timestamp with time zone",
    "next_run_at": "timestamp with time zone",
    "created_at": "timestamp with time zone not null default now()",
    "updated_at": "timestamp with time zone not null default now()",
    "deleted_at": "timestamp with time zone",
}
INDEXES = {
    "bots_org_id_idx": "(organization_id)",
    "bots_slug_idx": "(organization_id, slug) WHERE (deleted_at IS NULL)",
    "bots_active_idx": "(is_active) WHERE (deleted_at IS NULL)",
    "bots_next_run_idx": "(next_run_at)",
}
ENTITIES = (
    "users", "organizations", "organization_members", "roles", "permissions", "bots", "bot_runs", "bot_logs",
    "workflows", "workflow_runs", "tasks", "credentials", "sessions", "session_recordings", "notifications",
    "activity_logs", "api_keys", "settings",
)  # fmt: skip


@pytest.fixture(scope="module")
def database(prepare: Prepare) -> Prepared:
    prepared = prepare("bots")
    migrations.upgrade("bots", prepared.owner_url, report=lambda _: None)
    return prepared


@pytest.fixture(scope="module")
def there(database: Prepared) -> dict[str, dict[str, str]]:
    return {kind: found(database, kind) for kind in QUERIES}


@pytest.mark.parametrize("name", OBJECTS["tables"])
@pytest.mark.requirement("bots.P0.schema-definitions", "bots.P2.row-level-security")
def test_table(there: dict[str, dict[str, str]], name: str) -> None:
    assert there["tables"].get(name) == OBJECTS["tables"][name]


@pytest.mark.parametrize("name", OBJECTS["columns"])
@pytest.mark.requirement("bots.P0.schema-definitions")
def test_column(there: dict[str, dict[str, str]], name: str) -> None:
    assert there["columns"].get(name) == OBJECTS["columns"][name]


@pytest.mark.parametrize("name", OBJECTS["indexes"])
@pytest.mark.requirement("bots.P0.indexes")
def test_index(there: dict[str, dict[str, str]], name: str) -> None:
    assert there["indexes"].get(name) == OBJECTS["indexes"][name]


@pytest.mark.parametrize("name", OBJECTS["constraints"])
@pytest.mark.requirement("bots.P0.relationships", "bots.goals.data-integrity")
def test_constraint(there: dict[str, dict[str, str]], name: str) -> None:
    assert there["constraints"].get(name) == OBJECTS["constraints"][name]


@pytest.mark.parametrize("name", OBJECTS["triggers"])
@pytest.mark.requirement("bots.P1.audit-columns")
def test_trigger(there: dict[str, dict[str, str]], name: str) -> None:
    assert there["triggers"].get(name) == OBJECTS["triggers"][name]


@pytest.mark.parametrize("name", OBJECTS["policies"])
@pytest.mark.requirement("bots.P2.row-level-security")
def test_policy(there: dict[str, dict[str, str]], name: str) -> None:
    assert there["policies"].get(name) == OBJECTS["policies"][name]


@pytest.mark.parametrize("name", OBJECTS["enums"])
@pytest.mark.requirement("bots.P1.enums")
def test_enum(there: dict[str, dict[str, str]], name: str) -> None:
    assert there["enums"].get(name) == OBJECTS["enums"][name]


@pytest.mark.parametrize("name", OBJECTS["functions"])
@pytest.mark.requirement("bots.P2.stored-procedures")
def test_function(there: dict[str, dict[str, str]], name: str) -> None:
    assert there["functions"].get(name) == OBJECTS["functions"][name]


@pytest.mark.parametrize("name", OBJECTS["grants"])
@pytest.mark.requirement("bots.security.least-privilege")
def test_grant(there: dict[str, dict[str, str]], name: str) -> None:
    assert there["grants"].get(name) == OBJECTS["grants"][name]


@pytest.mark.parametrize("kind", QUERIES)
def test_there_is_nothing_further(there: dict[str, dict[str, str]], kind: str) -> None:
    assert sorted(there[kind].keys() - OBJECTS[kind].keys()) == []


@pytest.mark.parametrize("name", ENTITIES)
@pytest.mark.requirement("bots.P0.schema-definitions")
def test_each_table_of_the_document_is_there(there: dict[str, dict[str, str]], name: str) -> None:
    assert name in there["tables"]


@pytest.mark.parametrize("column", DOCUMENT)
@pytest.mark.requirement("bots.P0.schema.bots")
def test_column_of_bots_is_the_documents(there: dict[str, dict[str, str]], column: str) -> None:
    assert there["columns"].get(f"bots.{column}") == DOCUMENT[column]


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.requirement("bots.P0.schema.bots.indexes", "bots.P0.indexes")
def test_index_of_bots_is_the_documents_corrected(there: dict[str, dict[str, str]], index: str) -> None:
    assert there["indexes"].get(index, "").endswith(f" USING btree {INDEXES[index]}")


@pytest.mark.requirement("bots.P0.schema.bots")
def test_bots_refers_to_its_organization_which_takes_it_along_and_to_its_author(
    there: dict[str, dict[str, str]],
) -> None:
    keys = there["constraints"]

    assert keys["bots.fk_bots_organization_id"].endswith("REFERENCES bots.organizations(id) ON DELETE CASCADE")
    assert keys["bots.fk_bots_created_by_id_users"] == "FOREIGN KEY (created_by_id) REFERENCES bots.users(id)"


@pytest.mark.requirement("bots.P2.row-level-security", "bots.P0.relationships")
def test_every_key_between_rows_of_organizations_carries_the_organization(there: dict[str, dict[str, str]]) -> None:
    """Save those to what belongs to no organization: users, organizations themselves, permissions."""
    free = re.compile(r"REFERENCES bots\.(users|organizations|permissions)\(id\)")
    scoped = re.compile(r"FOREIGN KEY \((organization_id|scope_id|role_scope_id), \w+\)")
    loose = [
        name
        for name, definition in there["constraints"].items()
        if definition.startswith("FOREIGN KEY") and not scoped.match(definition) and not free.search(definition)
    ]

    assert loose == []


@pytest.mark.requirement("bots.P2.row-level-security")
def test_every_function_with_the_owners_rights_sets_its_path_with_temporary_objects_last(
    there: dict[str, dict[str, str]],
) -> None:
    unsafe = [
        name
        for name, definition in there["functions"].items()
        if "with the owner's rights" in definition and "search_path=pg_catalog, pg_temp" not in definition
    ]

    assert unsafe == []


@pytest.mark.requirement("bots.security.least-privilege")
def test_no_function_is_everybodys(there: dict[str, dict[str, str]]) -> None:
    assert [name for name, definition in there["functions"].items() if "PUBLIC" in definition] == []


@pytest.mark.requirement("bots.P0.indexes")
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


@pytest.mark.requirement("bots.P1.migration-rollback", "bots.P0.migrations", "bots.metrics.rollback-time")
def test_all_revisions_down_and_up_again_leave_the_same_schema_within_seconds(
    database: Prepared, prepare: Prepare
) -> None:
    again = prepare("bots")
    migrations.upgrade("bots", again.owner_url, report=lambda _: None)
    files = [revision.revision for revision in reversed(migrations.revisions("bots"))]
    for target in (*files[1:], "base"):
        migrations.downgrade("bots", again.owner_url, target=target, report=lambda _: None)
    left = {kind: found(again, kind) for kind in QUERIES}
    assert not any(left.values())
    [(seconds,)] = again.rows("SELECT extract(epoch FROM max(reverted) - min(reverted)) FROM"
                              " (SELECT reverted_at AS reverted FROM bots.migration_history) AS steps")  # fmt: skip
    assert seconds < 30
    migrations.upgrade("bots", again.owner_url, report=lambda _: None)

    assert {kind: found(again, kind) for kind in QUERIES} == {kind: found(database, kind) for kind in QUERIES}
