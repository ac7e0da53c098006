"""Every object of maps' schema by name: maps-schema.md's two tables and what Better Auth 1.7 adds."""

import re
from collections.abc import Iterable

import pytest

from db import migrations
from tests.db import catalogue
from tests.db.catalogue import Catalogue, columns, further
from tests.db.conftest import Prepare

CREATED, UPDATED = "created_at timestamp = now()", "updated_at timestamp = now()"
OF_THE_DOCUMENT = {
    **columns(
        "users",
        "id text",
        "email text",
        "email_verified boolean = false",
        "name text = ''::text",
        "image text?",
        CREATED,
        UPDATED,
    ),
    **columns("sessions", "id text", "user_id text", "expires_at timestamp", CREATED),
}
OF_BETTER_AUTH = {
    **columns(
        "sessions",
        "token text = (gen_random_uuid())::text",
        "ip_address text?",
        "user_agent text?",
        UPDATED,
    ),
    **columns(
        "accounts",
        "id text",
        "account_id text",
        "provider_id text",
        "user_id text",
        "access_token text?",
        "refresh_token text?",
        "id_token text?",
        "access_token_expires_at timestamp?",
        "refresh_token_expires_at timestamp?",
        "scope text?",
        "password text?",
        CREATED,
        UPDATED,
    ),
    **columns("verifications", "id text", "identifier text", "value text", "expires_at timestamp", CREATED, UPDATED),
}
COLUMNS = OF_THE_DOCUMENT | OF_BETTER_AUTH
TABLES = ("users", "sessions", "accounts", "verifications")
WITH_ITS_USER = "FOREIGN KEY (user_id) REFERENCES maps.users(id) ON DELETE CASCADE"
CONSTRAINTS = {
    **{f"{table}.pk_{table}": "PRIMARY KEY (id)" for table in TABLES},
    "users.uq_users_email": "UNIQUE (email)",
    "sessions.uq_sessions_token": "UNIQUE (token)",
    "sessions.fk_sessions_user_id_users": WITH_ITS_USER,
    "accounts.fk_accounts_user_id_users": WITH_ITS_USER,
}
INDEXES = {
    "sessions.ix_sessions_user_id": "maps.sessions USING btree (user_id)",
    "accounts.ix_accounts_user_id": "maps.accounts USING btree (user_id)",
    "verifications.ix_verifications_identifier": "maps.verifications USING btree (identifier)",
}
# who reports sees no token and no hash of a password
READABLE = {
    "users": "SELECT",
    "sessions": "SELECT (created_at, expires_at, id, ip_address, updated_at, user_agent, user_id)",
    "accounts": (
        "SELECT (access_token_expires_at, account_id, created_at, id, provider_id, refresh_token_expires_at, scope,"
        " updated_at, user_id)"
    ),
    "verifications": "SELECT (created_at, expires_at, id, updated_at)",
}
PRIVILEGES = {
    **{f"{table}.maps_app": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}) for table in TABLES},
    **{f"{table}.maps_readonly": frozenset({READABLE[table]}) for table in TABLES},
}


def requirement(name: str) -> pytest.MarkDecorator:
    """What a table, column or rule belongs to."""
    if name in OF_BETTER_AUTH or name.partition(".")[0] in {"accounts", "verifications"} or "token" in name:
        return pytest.mark.requirement("maps.auth.better-auth")
    found = [f"maps.tables.{name.partition('.')[0]}"]
    if name in OF_THE_DOCUMENT:
        found.append(f"maps.columns.{name}")
    if ".fk_" in name:
        found.append("maps.rules.cascade")
    if name.endswith("_at"):
        found.append("maps.conventions.timestamps")
    return pytest.mark.requirement(*found)


def marked(names: Iterable[str]) -> list[object]:
    return [pytest.param(name, marks=requirement(name)) for name in names]


@pytest.fixture(scope="module")
def maps(prepare: Prepare) -> Catalogue:
    prepared = prepare("maps")
    migrations.upgrade("maps", prepared.owner_url, report=lambda _: None)
    return catalogue.read(prepared, "maps")


@pytest.mark.parametrize("name", marked(TABLES))
@pytest.mark.requirement("maps.testing.structure")
def test_the_table_is_there(maps: Catalogue, name: str) -> None:
    assert name in maps.tables


@pytest.mark.parametrize("name", marked(COLUMNS))
def test_the_column_has_its_type_nullability_and_default(maps: Catalogue, name: str) -> None:
    assert maps.columns.get(name) == COLUMNS[name]


@pytest.mark.parametrize("name", marked(CONSTRAINTS))
def test_the_constraint_says_what_the_list_says(maps: Catalogue, name: str) -> None:
    assert maps.constraints.get(name) == CONSTRAINTS[name]


@pytest.mark.parametrize("name", marked(INDEXES))
def test_the_index_is_the_lists_and_valid(maps: Catalogue, name: str) -> None:
    assert maps.indexes.get(name) == INDEXES[name]


@pytest.mark.parametrize("name", PRIVILEGES)
def test_the_group_has_these_privileges_on_the_table(maps: Catalogue, name: str) -> None:
    assert maps.privileges.get(name) == PRIVILEGES[name]


@pytest.mark.requirement("maps.conventions.names", "maps.conventions.plural")
@pytest.mark.parametrize("name", [*COLUMNS, *TABLES])
@pytest.mark.requirement("maps.conventions.columns")
def test_a_name_is_snake_case_and_a_tables_plural(maps: Catalogue, name: str) -> None:
    table, _, column = name.partition(".")

    assert table in maps.tables
    assert table.endswith("s")
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", column or table)


@pytest.mark.requirement("maps.conventions.keys", "maps.types.ids", "maps.conventions.stamps")
@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_a_text_key_called_id_and_both_timestamps(maps: Catalogue, table: str) -> None:
    assert maps.columns.get(f"{table}.id") == "text"
    assert maps.constraints.get(f"{table}.pk_{table}") == "PRIMARY KEY (id)"
    assert maps.columns.get(f"{table}.created_at") == maps.columns.get(f"{table}.updated_at") == "timestamp = now()"


@pytest.mark.requirement("maps.conventions.foreign-keys", "maps.conventions.booleans")
def test_foreign_keys_are_named_for_what_they_name_and_cascade_and_booleans_begin_false(maps: Catalogue) -> None:
    keys = [text for text in maps.constraints.values() if text.startswith("FOREIGN")]
    assert len(keys) == 2
    assert all(text.startswith("FOREIGN KEY (user_id)") and text.endswith("ON DELETE CASCADE") for text in keys)
    assert [text for text in maps.columns.values() if text.startswith("boolean")] == ["boolean = false"]


def test_there_is_nothing_further(maps: Catalogue) -> None:
    assert further(maps.tables, TABLES) == []
    assert further(maps.columns, COLUMNS) == []
    assert further(maps.constraints, CONSTRAINTS) == []
    assert further(maps.indexes, INDEXES) == []
    assert further(maps.privileges, PRIVILEGES) == []
    assert (maps.triggers, maps.functions, maps.others) == ({}, {}, frozenset())
