"""The read-only login sees who signs in, and nothing that signs anybody in.

Purpose: Auth.js keeps session and OAuth tokens as text, and whoever reports on the tables could use them
Ticket: N/A
Reversible: Yes
Rollback: alembic -n panamia downgrade 0004_ops

A column added to these tables later needs its own GRANT SELECT.
"""

from alembic import op

revision = "0005_readers_see_no_tokens"
down_revision = "0004_ops"
branch_labels = None
depends_on = None

READABLE = {
    "accounts": ("user_id, type, provider, provider_account_id, expires_at, token_type, scope, created_at, updated_at"),
    "sessions": "user_id, expires, created_at, updated_at",
    "verification_tokens": "identifier, expires, created_at, updated_at",
}


def upgrade() -> None:
    for table, columns in READABLE.items():
        op.execute(f"REVOKE SELECT ON panamia.{table} FROM panamia_readonly")
        op.execute(f"GRANT SELECT ({columns}) ON panamia.{table} TO panamia_readonly")


def downgrade() -> None:
    for table, columns in READABLE.items():
        op.execute(f"REVOKE SELECT ({columns}) ON panamia.{table} FROM panamia_readonly")
        op.execute(f"GRANT SELECT ON panamia.{table} TO panamia_readonly")
