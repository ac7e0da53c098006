"""Members: Auth.js's four tables and the profiles (panamia.md, "Schema Overview").

Purpose: sign-up and sign-in through @auth/drizzle-adapter 1.11, and the directory of members
Ticket: N/A
Reversible: Yes
Rollback: alembic -n panamia downgrade base

Keys are text that the application makes (CUID2); accounts, sessions and verification tokens have the keys by which the
adapter looks them up. `touch` keeps updated_at: clock_timestamp(), because a transaction that began earlier may write
later, and a time must not go back. The adapter inserts no created_at, so both have defaults.
"""

from alembic import op

from db.migrations import extensions

revision = "0001_initial_schema"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "users",
    "accounts",
    "sessions",
    "verification_tokens",
    "profiles",
)
TOUCH = """CREATE FUNCTION panamia.touch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.updated_at := pg_catalog.clock_timestamp();
        RETURN NEW;
    END
    $$"""
STATEMENTS = (
    """CREATE TABLE panamia.users (
        id text NOT NULL,
        name text,
        email text,
        email_verified timestamptz,
        image text,
        screenname text,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_users PRIMARY KEY (id),
        CONSTRAINT uq_users_email UNIQUE (email)
    )""",
    "CREATE INDEX ix_users_created_at_id ON panamia.users (created_at, id)",
    "CREATE UNIQUE INDEX uq_users_screenname ON panamia.users (lower(screenname))",
    """CREATE TABLE panamia.accounts (
        user_id text NOT NULL,
        type text NOT NULL,
        provider text NOT NULL,
        provider_account_id text NOT NULL,
        refresh_token text,
        access_token text,
        expires_at integer,
        token_type text,
        scope text,
        id_token text,
        session_state text,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_accounts PRIMARY KEY (provider, provider_account_id),
        CONSTRAINT fk_accounts_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE CASCADE
    )""",
    "CREATE INDEX ix_accounts_user_id ON panamia.accounts (user_id)",
    """CREATE TABLE panamia.sessions (
        session_token text NOT NULL,
        user_id text NOT NULL,
        expires timestamptz NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_sessions PRIMARY KEY (session_token),
        CONSTRAINT fk_sessions_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE CASCADE
    )""",
    "CREATE INDEX ix_sessions_expires ON panamia.sessions (expires)",
    "CREATE INDEX ix_sessions_user_id ON panamia.sessions (user_id)",
    """CREATE TABLE panamia.verification_tokens (
        identifier text NOT NULL,
        token text NOT NULL,
        expires timestamptz NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_verification_tokens PRIMARY KEY (identifier, token)
    )""",
    "CREATE INDEX ix_verification_tokens_expires ON panamia.verification_tokens (expires)",
    """CREATE TABLE panamia.profiles (
        id text NOT NULL,
        user_id text NOT NULL,
        slug text NOT NULL,
        name text NOT NULL,
        email text,
        phone_number text,
        pronouns text,
        is_active boolean NOT NULL DEFAULT true,
        socials jsonb NOT NULL DEFAULT '{}'::jsonb,
        hours jsonb NOT NULL DEFAULT '{}'::jsonb,
        categories jsonb NOT NULL DEFAULT '[]'::jsonb,
        locations jsonb NOT NULL DEFAULT '[]'::jsonb,
        images jsonb NOT NULL DEFAULT '{}'::jsonb,
        mentoring jsonb NOT NULL DEFAULT '{}'::jsonb,
        verification jsonb NOT NULL DEFAULT '{}'::jsonb,
        roles jsonb NOT NULL DEFAULT '[]'::jsonb,
        descriptions jsonb NOT NULL DEFAULT '{}'::jsonb,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_profiles PRIMARY KEY (id),
        CONSTRAINT ck_profiles_socials CHECK (jsonb_typeof(socials) IN ('object', 'array')),
        CONSTRAINT ck_profiles_hours CHECK (jsonb_typeof(hours) IN ('object', 'array')),
        CONSTRAINT ck_profiles_categories CHECK (jsonb_typeof(categories) IN ('object', 'array')),
        CONSTRAINT ck_profiles_locations CHECK (jsonb_typeof(locations) IN ('object', 'array')),
        CONSTRAINT ck_profiles_images CHECK (jsonb_typeof(images) IN ('object', 'array')),
        CONSTRAINT ck_profiles_mentoring CHECK (jsonb_typeof(mentoring) IN ('object', 'array')),
        CONSTRAINT ck_profiles_verification CHECK (jsonb_typeof(verification) IN ('object', 'array')),
        CONSTRAINT ck_profiles_roles CHECK (jsonb_typeof(roles) IN ('object', 'array')),
        CONSTRAINT ck_profiles_descriptions CHECK (jsonb_typeof(descriptions) IN ('object', 'array')),
        CONSTRAINT uq_profiles_user_id UNIQUE (user_id),
        CONSTRAINT fk_profiles_user_id_users
            FOREIGN KEY (user_id) REFERENCES panamia.users (id) ON DELETE CASCADE,
        CONSTRAINT uq_profiles_slug UNIQUE (slug)
    )""",
    "CREATE INDEX ix_profiles_categories ON panamia.profiles USING gin (categories jsonb_path_ops)",
    "CREATE INDEX ix_profiles_created_at_id ON panamia.profiles (created_at, id)",
    "CREATE INDEX ix_profiles_name ON panamia.profiles USING gin (name gin_trgm_ops)",
)


def upgrade() -> None:
    extensions.ensure("pg_trgm")
    op.execute(TOUCH)
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
    op.execute("DROP FUNCTION panamia.touch()")
