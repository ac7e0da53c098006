"""What Better Auth 1.7 needs beyond the first schema.

Purpose: sign-up, sign-in and linked accounts through Better Auth, whose tables have more than maps-schema.md lists
Ticket: N/A
Reversible: Yes
Rollback: alembic -n maps downgrade 0001_initial_schema

Rows that are there stay: a user without a name gets the local part of the address, a session without a token gets a
random one that nobody knows (it can expire, not be used). The previous release goes on inserting: what it does not know
of has a default. Timestamps stay `timestamp`: maps' Drizzle schema appends "+0000" to what it reads, which makes an
invalid date of a timestamptz; `pg` without Drizzle needs TZ=UTC in the process.

Indexes are built inside the transaction: at this revision the tables are those of a product before its first sign-up.
The downgrade loses accounts and verifications, which the first schema has no place for.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002_better_auth"
down_revision = "0001_initial_schema"
branch_labels = None
depends_on = None

SCHEMA = "maps"
# 122 bits from the server's cryptographic source, in the form in which the catalogue gives the default back
RANDOM_TOKEN = "(gen_random_uuid())::text"  # noqa: S105  # an SQL expression


def upgrade() -> None:
    op.execute("UPDATE maps.users SET name = coalesce(nullif(split_part(email, '@', 1), ''), email) WHERE name IS NULL")
    op.alter_column("users", "name", nullable=False, server_default=sa.text("''"), schema=SCHEMA)
    op.execute("UPDATE maps.users SET email_verified = false WHERE email_verified IS NULL")
    op.alter_column("users", "email_verified", nullable=False, schema=SCHEMA)

    op.add_column(
        "sessions",
        sa.Column("token", sa.Text(), nullable=False, server_default=sa.text(RANDOM_TOKEN)),
        schema=SCHEMA,
    )
    op.create_unique_constraint("uq_sessions_token", "sessions", ["token"], schema=SCHEMA)
    op.add_column("sessions", sa.Column("ip_address", sa.Text()), schema=SCHEMA)
    op.add_column("sessions", sa.Column("user_agent", sa.Text()), schema=SCHEMA)
    op.add_column("sessions", _now("updated_at"), schema=SCHEMA)
    op.execute("UPDATE maps.sessions SET updated_at = created_at")
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], schema=SCHEMA)

    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("access_token", sa.Text()),
        sa.Column("refresh_token", sa.Text()),
        sa.Column("id_token", sa.Text()),
        sa.Column("access_token_expires_at", sa.TIMESTAMP()),
        sa.Column("refresh_token_expires_at", sa.TIMESTAMP()),
        sa.Column("scope", sa.Text()),
        sa.Column("password", sa.Text()),
        _now("created_at"),
        _now("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.ForeignKeyConstraint(
            ["user_id"], [f"{SCHEMA}.users.id"], name="fk_accounts_user_id_users", ondelete="CASCADE"
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_accounts_user_id", "accounts", ["user_id"], schema=SCHEMA)
    op.create_table(
        "verifications",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.TIMESTAMP(), nullable=False),
        _now("created_at"),
        _now("updated_at"),
        sa.PrimaryKeyConstraint("id", name="pk_verifications"),
        schema=SCHEMA,
    )
    op.create_index("ix_verifications_identifier", "verifications", ["identifier"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_table("verifications", schema=SCHEMA)
    op.drop_table("accounts", schema=SCHEMA)
    op.drop_index("ix_sessions_user_id", "sessions", schema=SCHEMA)
    for column in ("updated_at", "user_agent", "ip_address", "token"):
        op.drop_column("sessions", column, schema=SCHEMA)
    op.alter_column("users", "email_verified", nullable=True, schema=SCHEMA)
    op.alter_column("users", "name", nullable=True, server_default=None, schema=SCHEMA)


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.TIMESTAMP(), nullable=False, server_default=sa.text("now()"))
