"""Bots, their runs, credentials and recordings; `bots` column by column as bottleneck-bots.md lists it.

Purpose: what the product is about: configured bots, what each run did, and the secrets it used
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade 0001_initial_schema

Two corrections of the document: `deleted_at = NULL` is true of no row, so bots_active_idx says IS NULL; and
bots_slug_idx is unique among an organization's live bots, because two bots of one slug make a link ambiguous.
Beyond the document, `bots` has who changed and deleted it, a key (organization_id, id) for others to refer to, and
indexes for the newest-first list and for the next due bot of an organization.
`credentials.secret` is encrypted in the application and bound to its row; the database never sees it in clear.
"""

from alembic import op

revision = "0002_bots"
down_revision = "0001_initial_schema"
branch_labels = None
depends_on = None

ENUMS = {
    "run_status": ("queued", "running", "succeeded", "failed", "cancelled", "timed_out"),
    "run_trigger": ("manual", "schedule", "api", "workflow"),
    "credential_type": ("password", "api_key", "oauth_token", "cookie", "certificate"),
    "recording_status": ("recording", "complete", "failed"),
}
TABLES = ("bots", "bot_runs", "credentials", "session_recordings")
STAMPS = """
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    created_by_id uuid,
    updated_by_id uuid,
    deleted_by_id uuid"""


def upgrade() -> None:
    for name, values in ENUMS.items():
        listed = ", ".join(f"'{value}'" for value in values)
        op.execute(f"CREATE TYPE bots.{name} AS ENUM ({listed})")
    op.execute(f"""
CREATE TABLE bots.bots (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_bots PRIMARY KEY,
    organization_id uuid NOT NULL CONSTRAINT fk_bots_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    created_by_id uuid NOT NULL CONSTRAINT fk_bots_created_by_id_users REFERENCES bots.users (id),
    name text NOT NULL CONSTRAINT ck_bots_name CHECK (char_length(name) BETWEEN 1 AND 200),
    description text,
    slug text NOT NULL CONSTRAINT ck_bots_slug CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    is_active boolean NOT NULL DEFAULT true,
    schedule text,
    config jsonb NOT NULL CONSTRAINT ck_bots_config CHECK (jsonb_typeof(config) = 'object'),
    last_run_at timestamptz,
    next_run_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    updated_by_id uuid,
    deleted_by_id uuid,
    CONSTRAINT uq_bots_organization_id_id UNIQUE (organization_id, id),
    {_by_members("bots")}
)""")
    op.execute("CREATE INDEX bots_org_id_idx ON bots.bots (organization_id)")
    op.execute("CREATE UNIQUE INDEX bots_slug_idx ON bots.bots (organization_id, slug) WHERE deleted_at IS NULL")
    op.execute("CREATE INDEX bots_active_idx ON bots.bots (is_active) WHERE deleted_at IS NULL")
    op.execute("CREATE INDEX bots_next_run_idx ON bots.bots (next_run_at)")
    op.execute(
        "CREATE INDEX ix_bots_newest ON bots.bots (organization_id, created_at DESC, id DESC) WHERE deleted_at IS NULL"
    )
    op.execute(
        "CREATE INDEX ix_bots_due ON bots.bots (organization_id, next_run_at, id)"
        " WHERE is_active AND deleted_at IS NULL AND next_run_at IS NOT NULL"
    )
    op.execute("""
CREATE TABLE bots.bot_runs (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_bot_runs PRIMARY KEY,
    organization_id uuid NOT NULL CONSTRAINT fk_bot_runs_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    bot_id uuid NOT NULL,
    status bots.run_status NOT NULL DEFAULT 'queued',
    trigger bots.run_trigger NOT NULL DEFAULT 'manual',
    attempt integer NOT NULL DEFAULT 1 CONSTRAINT ck_bot_runs_attempt CHECK (attempt >= 1),
    input jsonb NOT NULL DEFAULT '{}'::jsonb,
    output jsonb,
    error_message text,
    worker text,
    lease_expires_at timestamptz,
    scheduled_for timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by_id uuid,
    CONSTRAINT ck_bot_runs_finished_at CHECK (finished_at >= started_at),
    CONSTRAINT uq_bot_runs_organization_id_id UNIQUE (organization_id, id),
    CONSTRAINT fk_bot_runs_bot_id FOREIGN KEY (organization_id, bot_id)
        REFERENCES bots.bots (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_bot_runs_created_by_id FOREIGN KEY (organization_id, created_by_id)
        REFERENCES bots.organization_members (organization_id, user_id)
)""")
    op.execute("CREATE INDEX ix_bot_runs_newest ON bots.bot_runs (organization_id, bot_id, started_at DESC)")
    op.execute("CREATE INDEX ix_bot_runs_created_at ON bots.bot_runs (organization_id, created_at DESC, id DESC)")
    op.execute("CREATE INDEX ix_bot_runs_lease ON bots.bot_runs (lease_expires_at) WHERE status = 'running'")
    op.execute(f"""
CREATE TABLE bots.credentials (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_credentials PRIMARY KEY,
    organization_id uuid NOT NULL CONSTRAINT fk_credentials_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    bot_id uuid,
    name text NOT NULL CONSTRAINT ck_credentials_name CHECK (char_length(name) BETWEEN 1 AND 200),
    type bots.credential_type NOT NULL,
    secret bytea NOT NULL CONSTRAINT ck_credentials_secret CHECK (octet_length(secret) > 28),
    metadata jsonb NOT NULL DEFAULT '{{}}'::jsonb,
    expires_at timestamptz,
    last_used_at timestamptz,
    {STAMPS},
    CONSTRAINT fk_credentials_bot_id FOREIGN KEY (organization_id, bot_id)
        REFERENCES bots.bots (organization_id, id) ON DELETE CASCADE,
    {_by_members("credentials")}
)""")
    op.execute(
        "CREATE UNIQUE INDEX uq_credentials_name ON bots.credentials (organization_id, name) WHERE deleted_at IS NULL"
    )
    op.execute("CREATE INDEX ix_credentials_organization_id_bot_id ON bots.credentials (organization_id, bot_id)")
    op.execute(f"""
CREATE TABLE bots.session_recordings (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_session_recordings PRIMARY KEY,
    organization_id uuid NOT NULL CONSTRAINT fk_session_recordings_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    bot_run_id uuid NOT NULL,
    status bots.recording_status NOT NULL DEFAULT 'recording',
    events jsonb NOT NULL DEFAULT '[]'::jsonb
        CONSTRAINT ck_session_recordings_events CHECK (jsonb_typeof(events) = 'array'),
    event_count integer GENERATED ALWAYS AS
        (CASE WHEN jsonb_typeof(events) = 'array' THEN jsonb_array_length(events) END) STORED,
    page_url text,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    {STAMPS},
    CONSTRAINT ck_session_recordings_ended_at CHECK (ended_at >= started_at),
    CONSTRAINT fk_session_recordings_bot_run_id FOREIGN KEY (organization_id, bot_run_id)
        REFERENCES bots.bot_runs (organization_id, id) ON DELETE CASCADE,
    {_by_members("session_recordings")}
)""")
    op.execute(
        "CREATE INDEX ix_session_recordings_organization_id_bot_run_id"
        " ON bots.session_recordings (organization_id, bot_run_id)"
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE bots.{table}")
    for name in reversed(ENUMS):
        op.execute(f"DROP TYPE bots.{name}")


def _by_members(table: str) -> str:
    """Who created, changed or deleted a row of an organization is or was its member."""
    return ", ".join(
        f"CONSTRAINT fk_{table}_{column} FOREIGN KEY (organization_id, {column})"
        " REFERENCES bots.organization_members (organization_id, user_id)"
        for column in ("created_by_id", "updated_by_id", "deleted_by_id")
    )
