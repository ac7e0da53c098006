"""The schema of dovvybuddy, line by line of its document ("Schema Definitions", "Data Changes")."""

import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from db import engine, migrations
from db.apps.dovvybuddy.models import Destination, DiveSite
from db.apps.dovvybuddy.queries import sites_by_name
from db.bulk import copy_rows
from db.urls import DatabaseURL
from tests.db.conftest import Connection, Prepare, Prepared

COLUMNS = {
    "destinations": {
        "id": ("uuid", True, "uuid_generate_v4()"),
        "name": ("text", True, None),
        "country": ("text", True, None),
        "is_active": ("boolean", True, "true"),
        "created_at": ("timestamp with time zone", True, "now()"),
    },
    "dive_sites": {
        "id": ("uuid", True, "uuid_generate_v4()"),
        "destination_id": ("uuid", True, None),
        "name": ("text", True, None),
        "description": ("text", False, None),
        "min_certification_level": ("text", True, None),
        "min_logged_dives": ("integer", False, None),
        "difficulty_band": ("text", True, None),
        "access_type": ("text", True, None),
        "is_active": ("boolean", True, "true"),
        "created_at": ("timestamp with time zone", True, "now()"),
    },
    "leads": {
        "id": ("uuid", True, "uuid_generate_v4()"),
        "type": ("text", True, None),
        "diver_profile": ("jsonb", True, "'{}'::jsonb"),
        "request_details": ("jsonb", True, "'{}'::jsonb"),
        "created_at": ("timestamp with time zone", True, "now()"),
    },
    "sessions": {
        "id": ("uuid", True, "uuid_generate_v4()"),
        "diver_profile": ("jsonb", False, None),
        "conversation_history": ("jsonb", True, "'[]'::jsonb"),
        "created_at": ("timestamp with time zone", True, "now()"),
        "expires_at": ("timestamp with time zone", True, "(now() + '24:00:00'::interval)"),
    },
    "content_embeddings": {
        "id": ("uuid", True, "uuid_generate_v4()"),
        "content_path": ("text", True, None),
        "chunk_text": ("text", True, None),
        "embedding": ("vector(1536)", True, None),
        "metadata": ("jsonb", True, "'{}'::jsonb"),
        "created_at": ("timestamp with time zone", True, "now()"),
    },
}
SITE = {
    "name": "Paradise Reef",
    "min_certification_level": "OW",
    "difficulty_band": "beginner",
    "access_type": "boat",
}


@pytest.fixture(scope="module")
def database(prepare: Prepare) -> Prepared:
    prepared = prepare("dovvybuddy")
    migrations.upgrade("dovvybuddy", prepared.owner_url, report=lambda _: None)
    return prepared


@pytest.fixture
def app(database: Prepared) -> Iterator[Connection]:
    """The application's login, in a transaction that is rolled back."""
    with psycopg.connect(database.app_url) as connection:
        yield connection
        connection.rollback()


def add_site(app: Connection, **values: object) -> uuid.UUID:
    [(destination,)] = app.execute(
        "INSERT INTO destinations (name, country) VALUES ('Cozumel', 'Mexico') RETURNING id"
    ).fetchall()
    row: dict[str, object] = {"destination_id": destination, **SITE, **values}
    names = ", ".join(row)
    places = ", ".join(f"%({name})s" for name in row)
    [(site,)] = app.execute(f"INSERT INTO dive_sites ({names}) VALUES ({places}) RETURNING id", row).fetchall()
    return uuid.UUID(str(site))


@pytest.mark.requirement("dovvybuddy.done.tables", "dovvybuddy.migrations.initial")
def test_there_are_exactly_the_five_tables_and_the_bookkeeping(database: Prepared) -> None:
    rows = database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'dovvybuddy' ORDER BY 1")

    assert [name for (name,) in rows] == sorted([*COLUMNS, "alembic_version", "migration_history"])


@pytest.mark.parametrize(("table", "column"), [(table, column) for table in COLUMNS for column in COLUMNS[table]])
@pytest.mark.requirement("dovvybuddy.testing.migration", "dovvybuddy.testing.columns")
def test_each_column_has_the_documents_type_default_and_nullability(app: Connection, table: str, column: str) -> None:
    # as the application, whose search_path shows names without a schema
    found = app.execute(
        "SELECT format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)"
        " FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
        " WHERE a.attrelid = %s::regclass AND a.attname = %s",
        (f"dovvybuddy.{table}", column),
    ).fetchone()

    assert found == COLUMNS[table][column]


@pytest.mark.parametrize("table", COLUMNS)
def test_no_table_has_a_further_column(database: Prepared, table: str) -> None:
    rows = database.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'dovvybuddy' AND table_name = %s",
        table,
    )

    assert {name for (name,) in rows} == set(COLUMNS[table])


@pytest.mark.parametrize("table", COLUMNS)
@pytest.mark.requirement("dovvybuddy.decisions.uuid")
def test_id_is_the_primary_key_and_makes_itself(database: Prepared, table: str) -> None:
    assert database.rows(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'",
        f"dovvybuddy.{table}",
    ) == [("PRIMARY KEY (id)",)]


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("ix_dive_sites_destination_id", "ON dovvybuddy.dive_sites USING btree (destination_id)"),
        ("ix_sessions_expires_at", "ON dovvybuddy.sessions USING btree (expires_at)"),
        (
            "ix_content_embeddings_embedding",
            "ON dovvybuddy.content_embeddings USING hnsw (embedding extensions.vector_cosine_ops)",
        ),
    ],
)
def test_the_documents_indexes_are_there_and_valid(database: Prepared, name: str, definition: str) -> None:
    [(found, valid)] = database.rows(
        "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indexrelid = %s::regclass",
        f"dovvybuddy.{name}",
    )

    assert found.endswith(definition)
    assert valid


def test_a_part_of_a_sites_name_is_found_by_an_index(database: Prepared) -> None:
    statements: list[tuple[str, Any]] = []
    source = engine.unpooled(DatabaseURL.parse(database.owner_url))
    event.listen(source, "before_cursor_execute", lambda *call: statements.append((call[2], call[3])))
    with Session(source) as session:
        bay = Destination(name="Bay", country="Mexico")
        session.add(bay)
        session.flush()
        sites = ({"destination_id": bay.id, **SITE, "name": f"Reef {number}"} for number in range(20_000))
        copy_rows(session, DiveSite, sites)
        session.execute(text("ANALYZE dive_sites"))

        assert [it.name for it in sites_by_name(session, "REEF 1977")] == [
            "Reef 1977",
            *(f"Reef 1977{n}" for n in range(10)),
        ]
        plan = session.connection().exec_driver_sql(f"EXPLAIN {statements[-1][0]}", statements[-1][1]).scalars().all()
        assert any("ix_dive_sites_name" in line for line in plan), plan
        session.rollback()


@pytest.mark.requirement(
    "dovvybuddy.extensions.uuid-ossp",
    "dovvybuddy.extensions.pgvector",
    "dovvybuddy.migrations.uuid-ossp",
    "dovvybuddy.migrations.pgvector",
    "dovvybuddy.checks.pgvector",
    "dovvybuddy.provider.pgvector",
)
def test_the_extensions_are_enabled(database: Prepared) -> None:
    assert database.rows("SELECT extname FROM pg_extension WHERE extname IN ('vector', 'uuid-ossp') ORDER BY 1") == [
        ("uuid-ossp",),
        ("vector",),
    ]


@pytest.mark.requirement("dovvybuddy.checks.foreign-key", "dovvybuddy.decisions.normalized", "dovvybuddy.risks.rows")
def test_a_dive_site_with_an_unknown_destination_is_refused(app: Connection) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        add_site(app, destination_id=uuid.uuid4())


def test_a_destination_with_sites_cannot_be_deleted(app: Connection) -> None:
    add_site(app)

    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        app.execute("DELETE FROM destinations")


@pytest.mark.requirement("dovvybuddy.rules.nullable")
def test_a_site_needs_neither_a_description_nor_a_number_of_dives(app: Connection) -> None:
    assert add_site(app, description=None, min_logged_dives=None).version == 4


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("min_certification_level", "ow"),
        ("difficulty_band", "hard"),
        ("access_type", "helicopter"),
        ("min_logged_dives", -1),
    ],
)
@pytest.mark.requirement("dovvybuddy.rules.certification", "dovvybuddy.rules.difficulty", "dovvybuddy.rules.access")
def test_a_site_with_an_unknown_level_band_access_or_negative_dives_is_refused(
    app: Connection, column: str, value: object
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=f"ck_dive_sites_{column}"):
        add_site(app, **{column: value})


@pytest.mark.parametrize("value", ["OW", "AOW", "Rescue"])
@pytest.mark.requirement("dovvybuddy.rules.certification")
def test_the_documents_certification_levels_are_taken(app: Connection, value: object) -> None:
    add_site(app, min_certification_level=value)


@pytest.mark.parametrize("value", ["training", "trip"])
@pytest.mark.requirement("dovvybuddy.rules.lead-type")
def test_a_lead_is_for_a_training_or_a_trip(app: Connection, value: object) -> None:
    app.execute('INSERT INTO leads (type, diver_profile) VALUES (%s, \'{"agency": "PADI"}\')', (value,))


@pytest.mark.requirement("dovvybuddy.rules.lead-type")
def test_a_lead_of_another_type_is_refused(app: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="ck_leads_type"):
        app.execute("INSERT INTO leads (type) VALUES ('boat')")


@pytest.mark.parametrize(
    ("table", "column", "wrong"),
    [
        ("leads", "diver_profile", "[]"),
        ("leads", "request_details", '"{}"'),
        ("sessions", "diver_profile", "null"),
        ("sessions", "conversation_history", "{}"),
        ("content_embeddings", "metadata", '"{}"'),
    ],
)
@pytest.mark.requirement("dovvybuddy.testing.columns")
def test_json_of_another_shape_is_refused(app: Connection, table: str, column: str, wrong: str) -> None:
    needed = {
        "leads": ("type", "'trip'"),
        "sessions": ("id", "gen_random_uuid()"),
        "content_embeddings": (
            "content_path, chunk_text, embedding",
            "'a', 'b', array_fill(1, ARRAY[1536])::extensions.vector",
        ),
    }
    names, values = needed[table]
    with pytest.raises(psycopg.errors.CheckViolation, match=f"ck_{table}_{column}"):
        app.execute(f"INSERT INTO {table} ({names}, {column}) VALUES ({values}, %s)", (wrong,))


@pytest.mark.requirement("dovvybuddy.rules.expiry")
def test_a_session_without_values_ends_24_hours_after_it_began(app: Connection) -> None:
    row = app.execute(
        "INSERT INTO sessions DEFAULT VALUES RETURNING expires_at - created_at, conversation_history, diver_profile"
    ).fetchone()

    assert row == (datetime.timedelta(hours=24), [], None)


@pytest.mark.parametrize("column", ["name", "country"])
def test_a_destination_without_name_or_country_is_refused(app: Connection, column: str) -> None:
    other = {"name": "country", "country": "name"}[column]
    with pytest.raises(psycopg.errors.NotNullViolation):
        app.execute(f"INSERT INTO destinations ({other}) VALUES ('x')")


@pytest.mark.requirement("dovvybuddy.decisions.dimensions", "dovvybuddy.corrections.dimensions")
@pytest.mark.parametrize("length", [3, 768])  # 768: what text-embedding-004 gives, contrary to the document
def test_a_vector_of_another_length_is_refused(app: Connection, length: int) -> None:
    vector = "[" + ",".join(["1"] * length) + "]"
    with pytest.raises(psycopg.errors.DataException, match=f"expected 1536 dimensions, not {length}"):
        app.execute(
            "INSERT INTO content_embeddings (content_path, chunk_text, embedding) VALUES ('a', 'b', %s)", (vector,)
        )
