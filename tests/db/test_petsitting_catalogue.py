"""Every object of petsitting's schema by name, and every right it has in its host's (panamia.md, "Sidecar")."""

from contextlib import closing

import pytest

from db import migrations
from tests.db import catalogue
from tests.db.catalogue import Catalogue, columns, further
from tests.db.conftest import Prepare, Prepared
from tests.db.panamia_columns import STAMPS
from tests.db.panamia_rules import TOUCH

pytestmark = pytest.mark.requirement("panamia.sidecar.schema")
TABLES = ("listings", "bookings")
COLUMNS = {
    **columns(
        "listings",
        "id text",
        "sitter_id text",
        "title text",
        "description text?",
        "price_cents integer",
        "is_active boolean = true",
        *STAMPS,
    ),
    **columns(
        "bookings",
        "id text",
        "owner_id text",
        "sitter_id text",
        "listing_id text",
        "status text = 'requested'::text",
        "starts_on date",
        "ends_on date",
        *STAMPS,
    ),
}
TO_USERS = "REFERENCES panamia.users(id) ON DELETE CASCADE"
CONSTRAINTS = {
    "listings.pk_listings": "PRIMARY KEY (id)",
    "listings.uq_listings_id_sitter_id": "UNIQUE (id, sitter_id)",
    "listings.ck_listings_price_cents": "CHECK ((price_cents >= 0))",
    "listings.fk_listings_sitter_id_users": f"FOREIGN KEY (sitter_id) {TO_USERS}",
    "bookings.pk_bookings": "PRIMARY KEY (id)",
    "bookings.ck_bookings_status": "CHECK ((status = ANY (ARRAY['requested'::text, 'confirmed'::text, 'declined'::text,"
    " 'cancelled'::text, 'completed'::text])))",
    "bookings.ck_bookings_not_oneself": "CHECK ((owner_id <> sitter_id))",
    "bookings.ck_bookings_days": "CHECK ((ends_on >= starts_on))",
    "bookings.fk_bookings_owner_id_users": f"FOREIGN KEY (owner_id) {TO_USERS}",
    "bookings.fk_bookings_sitter_id_users": f"FOREIGN KEY (sitter_id) {TO_USERS}",
    "bookings.fk_bookings_listing_id_sitter_id_listings": "FOREIGN KEY (listing_id, sitter_id)"
    " REFERENCES petsitting.listings(id, sitter_id) ON DELETE CASCADE",
}
INDEXES = {
    "listings.ix_listings_sitter_id_created_at_id": "petsitting.listings USING btree (sitter_id, created_at, id)",
    "bookings.ix_bookings_owner_id_created_at_id": "petsitting.bookings USING btree (owner_id, created_at, id)",
    "bookings.ix_bookings_sitter_id_created_at_id": "petsitting.bookings USING btree (sitter_id, created_at, id)",
    "bookings.ix_bookings_listing_id_sitter_id_starts_on": "petsitting.bookings USING btree"
    " (listing_id, sitter_id, starts_on)",
}
TRIGGERS = {
    f"{table}.{table}_touch": f"BEFORE UPDATE ON petsitting.{table} FOR EACH ROW EXECUTE FUNCTION petsitting.touch()"
    for table in TABLES
}
FUNCTIONS = {"touch()": TOUCH}
ROUTINES = {"touch()": "returns trigger, plpgsql, volatile, for petsitting_app petsitting_owner"}
PRIVILEGES = {
    f"{table}.{role}": privileges
    for table in TABLES
    for role, privileges in (
        ("petsitting_app", frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})),
        ("petsitting_readonly", frozenset({"SELECT"})),
    )
}
OF_THE_HOST = {  # column by column: its owner may refer to it, its application may read it, and nobody anything else
    f"{table}.{column}.{role}": privilege
    for table, columns in (
        ("users", ("id", "name", "email", "image", "screenname")),
        ("sessions", ("session_token", "user_id", "expires")),
    )
    for column in columns
    for role, privilege in (("petsitting_owner", "REFERENCES"), ("petsitting_app", "SELECT"))
}


@pytest.fixture(scope="module")
def migrated(prepare: Prepare) -> Prepared:
    prepared = prepare("petsitting")
    migrations.upgrade("petsitting", prepared.owner_url, report=lambda _: None)
    return prepared


@pytest.fixture(scope="module")
def petsitting(migrated: Prepared) -> Catalogue:
    return catalogue.read(migrated, "petsitting")


@pytest.fixture(scope="module")
def granted(migrated: Prepared) -> dict[str, str]:
    """What was granted on columns of the host's tables, by "table.column.role"."""
    query = """
        SELECT concat_ws('.', c.relname, a.attname, g.grantee::regrole), string_agg(g.privilege_type, ', ')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) g
        WHERE c.relnamespace = 'panamia'::regnamespace
            AND g.grantee <> to_regrole('panamia_readonly') GROUP BY 1"""
    with closing(migrated.admin()) as admin:
        return dict(admin.execute(query).fetchall())


@pytest.mark.parametrize("name", TABLES)
def test_the_table_is_there(petsitting: Catalogue, name: str) -> None:
    assert name in petsitting.tables


@pytest.mark.parametrize("name", COLUMNS)
def test_the_column_has_its_type_nullability_and_default(petsitting: Catalogue, name: str) -> None:
    assert petsitting.columns.get(name) == COLUMNS[name]


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.requirement("panamia.sidecar.foreign-keys")
def test_the_constraint_says_what_the_list_says(petsitting: Catalogue, name: str) -> None:
    assert petsitting.constraints.get(name) == CONSTRAINTS[name]


@pytest.mark.parametrize("name", INDEXES)
def test_the_index_is_the_lists_and_valid(petsitting: Catalogue, name: str) -> None:
    assert petsitting.indexes.get(name) == INDEXES[name]


@pytest.mark.parametrize("name", TRIGGERS)
def test_a_trigger_keeps_updated_at(petsitting: Catalogue, name: str) -> None:
    assert petsitting.triggers.get(name) == TRIGGERS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_function_of_the_triggers_takes_the_servers_clock(petsitting: Catalogue, name: str) -> None:
    assert petsitting.functions.get(name) == FUNCTIONS[name]


@pytest.mark.parametrize("name", ROUTINES)
def test_the_function_has_nobody_elses_rights(petsitting: Catalogue, name: str) -> None:
    assert petsitting.routines.get(name) == ROUTINES[name]


@pytest.mark.parametrize("name", PRIVILEGES)
def test_the_group_has_these_privileges_on_the_table(petsitting: Catalogue, name: str) -> None:
    assert petsitting.privileges.get(name) == PRIVILEGES[name]


@pytest.mark.parametrize("name", OF_THE_HOST)
def test_the_group_has_this_right_on_a_column_of_the_hosts(granted: dict[str, str], name: str) -> None:
    assert granted.get(name) == OF_THE_HOST[name]


def test_it_has_no_further_right_on_the_hosts_columns(granted: dict[str, str]) -> None:
    assert further(granted, OF_THE_HOST) == []


def test_there_is_nothing_further(petsitting: Catalogue) -> None:
    assert further(petsitting.tables, TABLES) == []
    assert further(petsitting.columns, COLUMNS) == []
    assert further(petsitting.constraints, CONSTRAINTS) == []
    assert further(petsitting.indexes, INDEXES) == []
    assert further(petsitting.triggers, TRIGGERS) == []
    assert further(petsitting.functions, FUNCTIONS) == []
    assert further(petsitting.privileges, PRIVILEGES) == []
    assert petsitting.others == frozenset()
