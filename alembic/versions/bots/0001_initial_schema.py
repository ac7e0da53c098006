"""Who works here: organizations (the tenants), users, roles, permissions, sessions, keys and settings.

Purpose: the tables that all others of bottleneck-bots.md refer to
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade base

Every reference between two rows of an organization carries organization_id, so that no key can cross a tenant.
A role belongs to an organization, or to none: then it is a system role that all may give. `scope_id` (generated) turns
that absence into a value that keys can compare; no organization may have it as its id.
One membership a user and organization, for ever: who leaves is soft-deleted, who returns is restored. So a row's author
stays a valid reference. A session is active in an organization only as long as its user's membership is there.
role_permissions is the link of two of the document's tables (its list says "18+"), not an entity of its own.
References to who changed or deleted a row have no index: only erasing a membership looks them up.
"""

from alembic import op

revision = "0001_initial_schema"
down_revision = None
branch_labels = None
depends_on = None

ENUMS = {
    "user_status": ("active", "suspended"),
    "organization_plan": ("free", "pro", "enterprise"),
    "member_status": ("invited", "active", "suspended"),
}
TABLES = (
    "users",
    "organizations",
    "permissions",
    "roles",
    "role_permissions",
    "organization_members",
    "sessions",
    "api_keys",
    "settings",
)
NO_ORGANIZATION = "'00000000-0000-0000-0000-000000000000'::uuid"
STAMPS = """
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    created_by_id uuid,
    updated_by_id uuid,
    deleted_by_id uuid"""
AUTHORS = ("created_by_id", "updated_by_id", "deleted_by_id")


def upgrade() -> None:
    for name, values in ENUMS.items():
        listed = ", ".join(f"'{value}'" for value in values)
        op.execute(f"CREATE TYPE bots.{name} AS ENUM ({listed})")
    op.execute(f"""
CREATE TABLE bots.users (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_users PRIMARY KEY,
    email text NOT NULL CONSTRAINT ck_users_email CHECK (email ~ '^[^@ ]+@[^@ ]+$'),
    name text NOT NULL CONSTRAINT ck_users_name CHECK (char_length(name) BETWEEN 1 AND 200),
    avatar_url text,
    password_hash text,
    status bots.user_status NOT NULL DEFAULT 'active',
    email_verified_at timestamptz,
    last_login_at timestamptz,
    {STAMPS},
    {_by_users("users")}
)""")
    op.execute("CREATE UNIQUE INDEX uq_users_email ON bots.users (lower(email)) WHERE deleted_at IS NULL")
    op.execute(f"""
CREATE TABLE bots.organizations (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_organizations PRIMARY KEY
        CONSTRAINT ck_organizations_id CHECK (id <> {NO_ORGANIZATION}),
    name text NOT NULL CONSTRAINT ck_organizations_name CHECK (char_length(name) BETWEEN 1 AND 200),
    slug text NOT NULL CONSTRAINT ck_organizations_slug CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    plan bots.organization_plan NOT NULL DEFAULT 'free',
    billing_email text,
    {STAMPS},
    {_by_users("organizations")}
)""")
    op.execute("CREATE UNIQUE INDEX uq_organizations_slug ON bots.organizations (slug) WHERE deleted_at IS NULL")
    op.execute("""
CREATE TABLE bots.permissions (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_permissions PRIMARY KEY,
    key text NOT NULL CONSTRAINT uq_permissions_key UNIQUE
        CONSTRAINT ck_permissions_key CHECK (key ~ '^[a-z_]+:[a-z_]+$'),
    description text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
)""")
    op.execute(f"""
CREATE TABLE bots.roles (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_roles PRIMARY KEY,
    organization_id uuid CONSTRAINT fk_roles_organization_id REFERENCES bots.organizations (id) ON DELETE CASCADE,
    name text NOT NULL CONSTRAINT ck_roles_name CHECK (char_length(name) BETWEEN 1 AND 100),
    description text,
    scope_id uuid NOT NULL GENERATED ALWAYS AS (coalesce(organization_id, {NO_ORGANIZATION})) STORED,
    {STAMPS},
    CONSTRAINT uq_roles_scope_id_id UNIQUE (scope_id, id)
)""")
    op.execute("CREATE INDEX ix_roles_organization_id ON bots.roles (organization_id)")
    op.execute("CREATE UNIQUE INDEX uq_roles_name ON bots.roles (scope_id, lower(name)) WHERE deleted_at IS NULL")
    op.execute(f"""
CREATE TABLE bots.role_permissions (
    role_id uuid NOT NULL,
    permission_id uuid NOT NULL CONSTRAINT fk_role_permissions_permission_id
        REFERENCES bots.permissions (id) ON DELETE CASCADE,
    organization_id uuid,
    scope_id uuid NOT NULL GENERATED ALWAYS AS (coalesce(organization_id, {NO_ORGANIZATION})) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_role_permissions PRIMARY KEY (role_id, permission_id),
    CONSTRAINT fk_role_permissions_role_id FOREIGN KEY (scope_id, role_id)
        REFERENCES bots.roles (scope_id, id) ON DELETE CASCADE
)""")
    op.execute("CREATE INDEX ix_role_permissions_scope_id_role_id ON bots.role_permissions (scope_id, role_id)")
    op.execute("CREATE INDEX ix_role_permissions_permission_id ON bots.role_permissions (permission_id)")
    op.execute(f"""
CREATE TABLE bots.organization_members (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_organization_members PRIMARY KEY,
    organization_id uuid NOT NULL CONSTRAINT fk_organization_members_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    user_id uuid NOT NULL CONSTRAINT fk_organization_members_user_id REFERENCES bots.users (id),
    role_id uuid NOT NULL,
    role_is_system boolean NOT NULL DEFAULT true,
    role_scope_id uuid NOT NULL GENERATED ALWAYS AS
        (CASE WHEN role_is_system THEN {NO_ORGANIZATION} ELSE organization_id END) STORED,
    status bots.member_status NOT NULL DEFAULT 'invited',
    joined_at timestamptz,
    {STAMPS},
    CONSTRAINT uq_organization_members_organization_id_user_id UNIQUE (organization_id, user_id),
    CONSTRAINT fk_organization_members_role_id FOREIGN KEY (role_scope_id, role_id)
        REFERENCES bots.roles (scope_id, id),
    {_by_members("organization_members")}
)""")
    op.execute("CREATE INDEX ix_organization_members_user_id ON bots.organization_members (user_id)")
    op.execute(
        "CREATE INDEX ix_organization_members_role_scope_id_role_id"
        " ON bots.organization_members (role_scope_id, role_id)"
    )
    for key in _members_keys("roles"):  # not before there are memberships
        op.execute(f"ALTER TABLE bots.roles ADD {key}")
    op.execute("""
CREATE TABLE bots.sessions (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_sessions PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT fk_sessions_user_id REFERENCES bots.users (id) ON DELETE CASCADE,
    organization_id uuid,
    token_hash bytea NOT NULL CONSTRAINT uq_sessions_token_hash UNIQUE
        CONSTRAINT ck_sessions_token_hash CHECK (octet_length(token_hash) = 32),
    ip_address inet,
    user_agent text,
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_sessions_organization_id FOREIGN KEY (organization_id, user_id)
        REFERENCES bots.organization_members (organization_id, user_id) ON DELETE CASCADE
)""")
    op.execute("CREATE INDEX ix_sessions_user_id ON bots.sessions (user_id)")
    op.execute("CREATE INDEX ix_sessions_organization_id_user_id ON bots.sessions (organization_id, user_id)")
    op.execute("CREATE INDEX ix_sessions_expires_at ON bots.sessions (expires_at)")
    op.execute(f"""
CREATE TABLE bots.api_keys (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_api_keys PRIMARY KEY,
    organization_id uuid NOT NULL CONSTRAINT fk_api_keys_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    name text NOT NULL CONSTRAINT ck_api_keys_name CHECK (char_length(name) BETWEEN 1 AND 200),
    prefix text NOT NULL,
    key_hash bytea NOT NULL CONSTRAINT uq_api_keys_key_hash UNIQUE
        CONSTRAINT ck_api_keys_key_hash CHECK (octet_length(key_hash) = 32),
    scopes text[] NOT NULL DEFAULT '{{}}'::text[],
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    {STAMPS},
    {_by_members("api_keys")}
)""")
    op.execute("CREATE INDEX ix_api_keys_organization_id ON bots.api_keys (organization_id)")
    op.execute(f"""
CREATE TABLE bots.settings (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_settings PRIMARY KEY,
    organization_id uuid NOT NULL CONSTRAINT fk_settings_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    user_id uuid,
    key text NOT NULL CONSTRAINT ck_settings_key CHECK (char_length(key) BETWEEN 1 AND 200),
    value jsonb NOT NULL,
    {STAMPS},
    CONSTRAINT fk_settings_user_id FOREIGN KEY (organization_id, user_id)
        REFERENCES bots.organization_members (organization_id, user_id),
    {_by_members("settings")}
)""")
    op.execute(
        "CREATE UNIQUE INDEX uq_settings_key ON bots.settings (organization_id, user_id, key)"
        " NULLS NOT DISTINCT WHERE deleted_at IS NULL"
    )


def downgrade() -> None:
    for column in AUTHORS:
        op.execute(f"ALTER TABLE bots.roles DROP CONSTRAINT fk_roles_{column}")
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE bots.{table}")
    for name in reversed(ENUMS):
        op.execute(f"DROP TYPE bots.{name}")


def _members_keys(table: str) -> list[str]:
    """Who created, changed or deleted a row of an organization is or was its member."""
    return [
        f"CONSTRAINT fk_{table}_{column} FOREIGN KEY (organization_id, {column})"
        " REFERENCES bots.organization_members (organization_id, user_id)"
        for column in AUTHORS
    ]


def _by_members(table: str) -> str:
    return ", ".join(_members_keys(table))


def _by_users(table: str) -> str:
    return ", ".join(
        f"CONSTRAINT fk_{table}_{column} FOREIGN KEY ({column}) REFERENCES bots.users (id)" for column in AUTHORS
    )
