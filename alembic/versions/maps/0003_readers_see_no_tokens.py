"""The read-only login sees who signs in, and nothing that signs anybody in.

Purpose: Better Auth keeps tokens and password hashes as text, and whoever reports on the tables could use them
Ticket: N/A
Reversible: Yes
Rollback: alembic -n maps downgrade 0002_better_auth

Of a verification neither half is shown: a password reset's token stands in `identifier`, a sign-in's in `value`.
A column added to these tables later needs its own GRANT SELECT.
"""

from alembic import op

revision = "0003_readers_see_no_tokens"
down_revision = "0002_better_auth"
branch_labels = None
depends_on = None

READABLE = {
    "sessions": "id, user_id, expires_at, created_at, ip_address, user_agent, updated_at",
    "accounts": (
        "id, account_id, provider_id, user_id, access_token_expires_at, refresh_token_expires_at, scope, created_at,"
        " updated_at"
    ),
    "verifications": "id, expires_at, created_at, updated_at",
}


def upgrade() -> None:
    for table, columns in READABLE.items():
        op.execute(f"REVOKE SELECT ON maps.{table} FROM maps_readonly")
        op.execute(f"GRANT SELECT ({columns}) ON maps.{table} TO maps_readonly")


def downgrade() -> None:
    for table, columns in READABLE.items():
        op.execute(f"REVOKE SELECT ({columns}) ON maps.{table} FROM maps_readonly")
        op.execute(f"GRANT SELECT ON maps.{table} TO maps_readonly")
