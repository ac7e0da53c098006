"""Every object of dovvybuddy's schema by name, against a list written from its document ("Backend Changes")."""

from collections.abc import Iterable

import pytest

from db import migrations
from tests.db import catalogue
from tests.db.catalogue import Catalogue, columns, further
from tests.db.conftest import Prepare

ID, CREATED, ACTIVE = (
    "id uuid = extensions.uuid_generate_v4()",
    "created_at timestamptz = now()",
    "is_active boolean = true",
)
COLUMNS = {
    **columns("destinations", ID, "name text", "country text", ACTIVE, CREATED),
    **columns(
        "dive_sites",
        ID,
        "destination_id uuid",
        "name text",
        "description text?",
        "min_certification_level text",
        "min_logged_dives integer?",
        "difficulty_band text",
        "access_type text",
        ACTIVE,
        CREATED,
    ),
    **columns(
        "leads", ID, "type text", "diver_profile jsonb = '{}'::jsonb", "request_details jsonb = '{}'::jsonb", CREATED
    ),
    **columns(
        "sessions",
        ID,
        "diver_profile jsonb?",
        "conversation_history jsonb = '[]'::jsonb",
        CREATED,
        "expires_at timestamptz = (now() + '24:00:00'::interval)",
    ),
    **columns(
        "content_embeddings",
        ID,
        "content_path text",
        "chunk_text text",
        "embedding extensions.vector(1536)",
        "metadata jsonb = '{}'::jsonb",
        CREATED,
    ),
}
TABLES = ("destinations", "dive_sites", "leads", "sessions", "content_embeddings")


def one_of(column: str, *values: str) -> str:
    listed = ", ".join(f"'{value}'::text" for value in values)
    return f"CHECK (({column} = ANY (ARRAY[{listed}])))"


CONSTRAINTS = {
    **{f"{table}.pk_{table}": "PRIMARY KEY (id)" for table in TABLES},
    "dive_sites.fk_dive_sites_destination_id_destinations": (
        "FOREIGN KEY (destination_id) REFERENCES dovvybuddy.destinations(id) ON DELETE RESTRICT"
    ),
    "dive_sites.ck_dive_sites_min_certification_level": one_of("min_certification_level", "OW", "AOW", "Rescue"),
    "dive_sites.ck_dive_sites_difficulty_band": one_of("difficulty_band", "beginner", "intermediate", "advanced"),
    "dive_sites.ck_dive_sites_access_type": one_of("access_type", "shore", "boat"),
    "dive_sites.ck_dive_sites_min_logged_dives": "CHECK ((min_logged_dives >= 0))",
    "leads.ck_leads_type": one_of("type", "training", "trip"),
    "leads.ck_leads_diver_profile": "CHECK ((jsonb_typeof(diver_profile) = 'object'::text))",
    "leads.ck_leads_request_details": "CHECK ((jsonb_typeof(request_details) = 'object'::text))",
    "sessions.ck_sessions_diver_profile": "CHECK ((jsonb_typeof(diver_profile) = 'object'::text))",
    "sessions.ck_sessions_conversation_history": "CHECK ((jsonb_typeof(conversation_history) = 'array'::text))",
    "content_embeddings.ck_content_embeddings_metadata": "CHECK ((jsonb_typeof(metadata) = 'object'::text))",
}
INDEXES = {
    "dive_sites.ix_dive_sites_destination_id": "dovvybuddy.dive_sites USING btree (destination_id)",
    "dive_sites.ix_dive_sites_name": "dovvybuddy.dive_sites USING gin (name extensions.gin_trgm_ops)",
    "sessions.ix_sessions_expires_at": "dovvybuddy.sessions USING btree (expires_at)",
    "content_embeddings.ix_content_embeddings_embedding": (
        "dovvybuddy.content_embeddings USING hnsw (embedding extensions.vector_cosine_ops)"
    ),
}
INDEX_OF_THE_DOCUMENT = {
    "dive_sites.ix_dive_sites_destination_id": "dovvybuddy.indexes.destination-id",
    "dive_sites.ix_dive_sites_name": "dovvybuddy.tables.dive-sites",  # ours: the document has no search by name
    "sessions.ix_sessions_expires_at": "dovvybuddy.indexes.expires-at",
    "content_embeddings.ix_content_embeddings_embedding": "dovvybuddy.indexes.embedding",
}
PRIVILEGES = {
    "dovvybuddy_app": frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"}),
    "dovvybuddy_readonly": frozenset({"SELECT"}),
}


def marked(names: Iterable[str]) -> list[object]:
    """Each name with the requirements of its table, and of itself where it is a column."""
    found: list[object] = []
    for name in names:
        ids = [f"dovvybuddy.tables.{name.partition('.')[0].replace('_', '-')}"]
        ids += [f"dovvybuddy.columns.{name}"] if name in COLUMNS else []
        found.append(pytest.param(name, marks=pytest.mark.requirement(*ids)))
    return found


@pytest.fixture(scope="module")
def dovvybuddy(prepare: Prepare) -> Catalogue:
    prepared = prepare("dovvybuddy")
    migrations.upgrade("dovvybuddy", prepared.owner_url, report=lambda _: None)
    return catalogue.read(prepared, "dovvybuddy")


@pytest.mark.parametrize("name", marked(TABLES))
@pytest.mark.requirement("dovvybuddy.checks.schema", "dovvybuddy.migrations.tables", "dovvybuddy.verification.schema")
def test_the_table_is_there(dovvybuddy: Catalogue, name: str) -> None:
    assert name in dovvybuddy.tables


@pytest.mark.parametrize("name", marked(COLUMNS))
def test_the_column_has_its_type_nullability_and_default(dovvybuddy: Catalogue, name: str) -> None:
    assert dovvybuddy.columns.get(name) == COLUMNS[name]


@pytest.mark.parametrize("name", marked(CONSTRAINTS))
def test_the_constraint_says_what_the_list_says(dovvybuddy: Catalogue, name: str) -> None:
    assert dovvybuddy.constraints.get(name) == CONSTRAINTS[name]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.requirement(INDEX_OF_THE_DOCUMENT[name])) for name in INDEXES]
)
@pytest.mark.requirement("dovvybuddy.testing.indexes")
def test_the_index_is_the_lists_and_valid(dovvybuddy: Catalogue, name: str) -> None:
    assert dovvybuddy.indexes.get(name) == INDEXES[name]


@pytest.mark.parametrize("role", PRIVILEGES)
@pytest.mark.parametrize("table", TABLES)
def test_the_group_has_these_privileges_on_the_table(dovvybuddy: Catalogue, table: str, role: str) -> None:
    assert dovvybuddy.privileges.get(f"{table}.{role}") == PRIVILEGES[role]


@pytest.mark.requirement("dovvybuddy.done.tables")
def test_there_is_nothing_further(dovvybuddy: Catalogue) -> None:
    assert further(dovvybuddy.tables, TABLES) == []
    assert further(dovvybuddy.columns, COLUMNS) == []
    assert further(dovvybuddy.constraints, CONSTRAINTS) == []
    assert further(dovvybuddy.indexes, INDEXES) == []
    assert further(dovvybuddy.privileges, [f"{table}.{role}" for table in TABLES for role in PRIVILEGES]) == []
    assert (dovvybuddy.triggers, dovvybuddy.functions, dovvybuddy.others) == ({}, {}, frozenset())
