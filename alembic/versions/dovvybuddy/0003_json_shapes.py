"""JSONB columns hold what the document says: objects, and an array of messages.

Purpose: a client that encodes JSON twice stores a text, which every reader then has to guess at
Ticket: N/A
Reversible: Yes
Rollback: alembic -n dovvybuddy downgrade 0002_sites_by_name

Rows that break it fail the migration, which changes nothing; `SELECT id FROM leads WHERE jsonb_typeof(diver_profile) <>
'object'` and the like name them. Reading every row once takes a second for 100,000.
"""

from alembic import op

revision = "0003_json_shapes"
down_revision = "0002_sites_by_name"
branch_labels = None
depends_on = None

SHAPES = (
    ("leads", "diver_profile", "object"),
    ("leads", "request_details", "object"),
    ("sessions", "diver_profile", "object"),
    ("sessions", "conversation_history", "array"),
    ("content_embeddings", "metadata", "object"),
)


def upgrade() -> None:
    for table, column, shape in SHAPES:
        op.execute(
            f"ALTER TABLE dovvybuddy.{table} ADD CONSTRAINT ck_{table}_{column}"
            f" CHECK (jsonb_typeof({column}) = '{shape}')"
        )


def downgrade() -> None:
    for table, column, _ in reversed(SHAPES):
        op.execute(f"ALTER TABLE dovvybuddy.{table} DROP CONSTRAINT ck_{table}_{column}")
