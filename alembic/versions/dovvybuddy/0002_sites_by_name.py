"""An index for dive sites by a part of their name.

Purpose: at 100,000 sites `queries.sites_by_name` read every one of them, some 100 ms a question
Ticket: N/A
Reversible: Yes
Rollback: alembic -n dovvybuddy downgrade 0001_initial_schema

Built inside the transaction: writers of dive_sites wait for it, a second at 100,000 rows.
"""

from alembic import op

from db.migrations import extensions

revision = "0002_sites_by_name"
down_revision = "0001_initial_schema"
branch_labels = None
depends_on = None


def upgrade() -> None:
    extensions.ensure("pg_trgm")
    op.execute("CREATE INDEX ix_dive_sites_name ON dovvybuddy.dive_sites USING gin (name gin_trgm_ops)")


def downgrade() -> None:
    op.drop_index("ix_dive_sites_name", "dive_sites", schema="dovvybuddy")
