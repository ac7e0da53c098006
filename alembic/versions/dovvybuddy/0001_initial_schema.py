"""The five tables of dovvybuddy's first pull request.

Purpose: keep destinations, dive sites, leads, sessions and embeddings (dovvybuddy.md, "Migration 1")
Ticket: N/A
Reversible: Yes
Rollback: alembic -n dovvybuddy downgrade base

Embeddings are vector(1536) with an HNSW index; where the server has no pgvector they are JSONB arrays of 1536 numbers
without an index. A destination cannot be deleted while it has sites (RESTRICT): sites carry knowledge that a slip must
not erase, and `is_active` is there to hide both. The downgrade leaves the extensions: other schemas may use them.
"""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import VECTOR
from sqlalchemy.dialects.postgresql import JSONB, UUID

from db.migrations import extensions

revision = "0001_initial_schema"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "dovvybuddy"
DIMENSIONS = 1536


def upgrade() -> None:
    extensions.ensure("uuid-ossp")
    has_vectors = extensions.available("vector")
    if has_vectors:
        extensions.ensure("vector")

    op.create_table(
        "destinations",
        _id(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        _is_active(),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_destinations"),
        schema=SCHEMA,
    )
    op.create_table(
        "dive_sites",
        _id(),
        sa.Column("destination_id", UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("min_certification_level", sa.Text(), nullable=False),
        sa.Column("min_logged_dives", sa.Integer()),
        sa.Column("difficulty_band", sa.Text(), nullable=False),
        sa.Column("access_type", sa.Text(), nullable=False),
        _is_active(),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_dive_sites"),
        sa.ForeignKeyConstraint(
            ["destination_id"],
            [f"{SCHEMA}.destinations.id"],
            name="fk_dive_sites_destination_id_destinations",
            ondelete="RESTRICT",
        ),
        sa.CheckConstraint(
            "min_certification_level IN ('OW', 'AOW', 'Rescue')", name=op.f("ck_dive_sites_min_certification_level")
        ),
        sa.CheckConstraint(
            "difficulty_band IN ('beginner', 'intermediate', 'advanced')", name=op.f("ck_dive_sites_difficulty_band")
        ),
        sa.CheckConstraint("access_type IN ('shore', 'boat')", name=op.f("ck_dive_sites_access_type")),
        sa.CheckConstraint("min_logged_dives >= 0", name=op.f("ck_dive_sites_min_logged_dives")),
        schema=SCHEMA,
    )
    op.create_index("ix_dive_sites_destination_id", "dive_sites", ["destination_id"], schema=SCHEMA)
    op.create_table(
        "leads",
        _id(),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("diver_profile", JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("request_details", JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_leads"),
        sa.CheckConstraint("type IN ('training', 'trip')", name=op.f("ck_leads_type")),
        schema=SCHEMA,
    )
    op.create_table(
        "sessions",
        _id(),
        sa.Column("diver_profile", JSONB()),
        sa.Column("conversation_history", JSONB(), nullable=False, server_default=sa.text("'[]'::jsonb")),
        _created_at(),
        sa.Column(
            "expires_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            server_default=sa.text("now() + interval '24 hours'"),
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        schema=SCHEMA,
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], schema=SCHEMA)
    op.create_table(
        "content_embeddings",
        _id(),
        sa.Column("content_path", sa.Text(), nullable=False),
        sa.Column("chunk_text", sa.Text(), nullable=False),
        sa.Column("embedding", VECTOR(DIMENSIONS) if has_vectors else JSONB(), nullable=False),
        sa.Column("metadata", JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_content_embeddings"),
        schema=SCHEMA,
    )
    if has_vectors:
        op.create_index(
            "ix_content_embeddings_embedding",
            "content_embeddings",
            ["embedding"],
            schema=SCHEMA,
            postgresql_using="hnsw",
            postgresql_ops={"embedding": "vector_cosine_ops"},
        )
    else:
        op.create_check_constraint(
            op.f("ck_content_embeddings_embedding"),
            "content_embeddings",
            # CASE: jsonb_array_length raises an error for what is no array, and AND promises no order
            "CASE jsonb_typeof(embedding) WHEN 'array'"
            f" THEN jsonb_array_length(embedding) = {DIMENSIONS} ELSE false END",
            schema=SCHEMA,
        )


def downgrade() -> None:
    for table in ("content_embeddings", "sessions", "leads", "dive_sites", "destinations"):
        op.drop_table(table, schema=SCHEMA)


def _id() -> sa.Column[object]:
    return sa.Column("id", UUID(), nullable=False, server_default=sa.text("uuid_generate_v4()"))


def _is_active() -> sa.Column[bool]:
    return sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.text("true"))


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.text("now()"))
