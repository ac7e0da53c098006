"""What comes in through forms and mail (panamia.md, "Schema Overview").

Purpose: contact, newsletter, changes of address, and addresses that a provider did not vouch for
Ticket: N/A
Reversible: Yes
Rollback: alembic -n panamia downgrade 0003_mentoring_and_engagement
"""

from alembic import op

revision = "0004_ops"
down_revision = "0003_mentoring_and_engagement"
branch_labels = None
depends_on = None

TABLES = (
    "contact_submissions",
    "newsletter_signups",
    "brevo_contacts",
    "email_migrations",
    "o_auth_verifications",
)
STATEMENTS = (
    """CREATE TABLE panamia.contact_submissions (
        id text NOT NULL,
        name text NOT NULL,
        email text NOT NULL,
        topic text,
        message text NOT NULL,
        acknowledged boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_contact_submissions PRIMARY KEY (id)
    )""",
    "CREATE INDEX ix_contact_submissions_created_at_id ON panamia.contact_submissions (created_at, id)",
    """CREATE TABLE panamia.newsletter_signups (
        id text NOT NULL,
        email text NOT NULL,
        name text,
        confirmed_at timestamptz,
        unsubscribed_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_newsletter_signups PRIMARY KEY (id)
    )""",
    "CREATE INDEX ix_newsletter_signups_created_at_id ON panamia.newsletter_signups (created_at, id)",
    "CREATE UNIQUE INDEX uq_newsletter_signups_email ON panamia.newsletter_signups (lower(email))",
    """CREATE TABLE panamia.brevo_contacts (
        id text NOT NULL,
        user_id text,
        email text NOT NULL,
        brevo_id bigint,
        last_synced_at timestamptz,
        sync_error text,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_brevo_contacts PRIMARY KEY (id),
        CONSTRAINT fk_brevo_contacts_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE SET NULL,
        CONSTRAINT uq_brevo_contacts_brevo_id UNIQUE (brevo_id)
    )""",
    "CREATE INDEX ix_brevo_contacts_last_synced_at ON panamia.brevo_contacts (last_synced_at)",
    "CREATE INDEX ix_brevo_contacts_user_id ON panamia.brevo_contacts (user_id)",
    "CREATE UNIQUE INDEX uq_brevo_contacts_email ON panamia.brevo_contacts (lower(email))",
    """CREATE TABLE panamia.email_migrations (
        id text NOT NULL,
        user_id text NOT NULL,
        old_email text NOT NULL,
        new_email text NOT NULL,
        token_hash text NOT NULL,
        expires_at timestamptz NOT NULL,
        completed_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_email_migrations PRIMARY KEY (id),
        CONSTRAINT ck_email_migrations_new_email CHECK (old_email <> new_email),
        CONSTRAINT fk_email_migrations_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE CASCADE,
        CONSTRAINT uq_email_migrations_token_hash UNIQUE (token_hash)
    )""",
    "CREATE INDEX ix_email_migrations_expires_at ON panamia.email_migrations (expires_at)",
    "CREATE INDEX ix_email_migrations_user_id ON panamia.email_migrations (user_id)",
    """CREATE TABLE panamia.o_auth_verifications (
        id text NOT NULL,
        user_id text,
        email text NOT NULL,
        provider text NOT NULL,
        provider_account_id text NOT NULL,
        token_hash text NOT NULL,
        expires_at timestamptz NOT NULL,
        verified_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_o_auth_verifications PRIMARY KEY (id),
        CONSTRAINT uq_o_auth_verifications_provider_provider_account_id UNIQUE (provider, provider_account_id),
        CONSTRAINT fk_o_auth_verifications_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE SET NULL,
        CONSTRAINT uq_o_auth_verifications_token_hash UNIQUE (token_hash)
    )""",
    "CREATE INDEX ix_o_auth_verifications_expires_at ON panamia.o_auth_verifications (expires_at)",
    "CREATE INDEX ix_o_auth_verifications_user_id ON panamia.o_auth_verifications (user_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_touch BEFORE UPDATE ON panamia.{table}"
            " FOR EACH ROW EXECUTE FUNCTION panamia.touch()"
        )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema="panamia")
