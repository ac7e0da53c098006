"""Row-level security on every table, least privileges, and the three doors for who is not signed in yet.

Purpose: an application's mistake must not show one organization's rows to another
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade 0005_stamps

Whose rows: app.organization_id and app.user_id, set for a transaction (db.tenancy). Without an organization no row of
any is there, and writing fails. The sub-select makes the server read a setting once a statement, not once a row.
Not an organization's: `users` (one's own, and those of the organization's active members: an
invitation shows nothing, and who leaves takes the name along), `sessions` (one's own), and
`permissions` and system roles, which all read. With a user but no organization yet, one sees one's own memberships
and their organizations, to choose from; inside an organization only that one. Who signs in has neither: three functions
with the owner's rights answer for exactly one address, token or key, and for nothing that resembles it. A session whose
user has left the organization, or was suspended there, is still the user's and no longer the organization's.
FORCE makes the owner subject to policies too, and no owner has BYPASSRLS here; so the owner has a policy of its own, to
migrate, seed and retire. What runs with the owner's rights (SECURITY DEFINER) therefore has to filter by itself, and
names pg_temp last in its search_path: else a caller's temporary type called "uuid" would run its checks as the owner.
Deleting for good is the owner's; the application marks rows as deleted. Hashes of passwords, tokens and keys can be
compared by those three functions and be read by nobody; reports do not read encrypted secrets either. A column added
to those four tables later needs its own GRANT SELECT.
"""

from alembic import op

revision = "0006_row_level_security"
down_revision = "0005_stamps"
branch_labels = None
depends_on = None

ORGANIZATION = "(SELECT nullif(current_setting('app.organization_id', true), '')::uuid)"
USER = "(SELECT nullif(current_setting('app.user_id', true), '')::uuid)"
OWN = f"organization_id = {ORGANIZATION}"
READERS = "bots_app, bots_readonly"

# of one organization each
TENANTS: tuple[str, ...] = (
    "organization_members",
    "api_keys",
    "settings",
    "bots",
    "bot_runs",
    "credentials",
    "session_recordings",
)
TENANTS += ("workflows", "workflow_runs", "tasks", "notifications", "bot_logs")
SHARED = ("roles", "role_permissions")
TABLES = (*TENANTS, *SHARED, "activity_logs", "users", "organizations", "permissions", "sessions")

SOFT_DELETED: tuple[str, ...] = (
    "users",
    "organizations",
    "roles",
    "organization_members",
    "api_keys",
    "settings",
    "bots",
    "credentials",
)
SOFT_DELETED += ("session_recordings", "workflows", "tasks", "notifications")
REVOKED = {
    **dict.fromkeys((*SOFT_DELETED, "bot_runs", "workflow_runs"), "DELETE"),
    **dict.fromkeys(("bot_logs", "activity_logs"), "UPDATE, DELETE"),
    "permissions": "INSERT, UPDATE, DELETE",
    "role_permissions": "UPDATE",
}
STAMPS = "created_at, updated_at, deleted_at, created_by_id, updated_by_id, deleted_by_id"
READABLE = {
    ("users", READERS): f"id, email, name, avatar_url, status, email_verified_at, last_login_at, {STAMPS}",
    ("sessions", READERS): (
        "id, user_id, organization_id, ip_address, user_agent, last_seen_at, expires_at, created_at, updated_at"
    ),
    ("api_keys", READERS): (
        f"id, organization_id, name, prefix, scopes, last_used_at, expires_at, revoked_at, {STAMPS}"
    ),
    ("credentials", "bots_readonly"): (
        f"id, organization_id, bot_id, name, type, metadata, expires_at, last_used_at, {STAMPS}"
    ),
}

DOORS = {
    "find_sign_in(text)": """
CREATE FUNCTION bots.find_sign_in(address text)
RETURNS TABLE (user_id uuid, password_hash text, status bots.user_status)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.id, u.password_hash, u.status FROM bots.users u
    WHERE lower(u.email) = lower(btrim(address)) AND u.deleted_at IS NULL
$$""",
    "find_session(bytea)": """
CREATE FUNCTION bots.find_session(hash bytea)
RETURNS TABLE (session_id uuid, user_id uuid, organization_id uuid, expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, s.user_id, o.id, s.expires_at FROM bots.sessions s JOIN bots.users u ON u.id = s.user_id
    LEFT JOIN bots.organization_members m ON m.organization_id = s.organization_id AND m.user_id = s.user_id
        AND m.deleted_at IS NULL AND m.status = 'active'
    LEFT JOIN bots.organizations o ON o.id = m.organization_id AND o.deleted_at IS NULL
    WHERE s.token_hash = hash AND s.expires_at > now() AND u.deleted_at IS NULL AND u.status = 'active'
$$""",
    "find_api_key(bytea)": """
CREATE FUNCTION bots.find_api_key(hash bytea)
RETURNS TABLE (api_key_id uuid, organization_id uuid, created_by_id uuid, scopes text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT k.id, k.organization_id, k.created_by_id, k.scopes
    FROM bots.api_keys k JOIN bots.organizations o ON o.id = k.organization_id
    WHERE k.key_hash = hash AND k.deleted_at IS NULL AND k.revoked_at IS NULL AND o.deleted_at IS NULL
        AND (k.expires_at IS NULL OR k.expires_at > now())
$$""",
}


def upgrade() -> None:
    for table in TABLES:
        op.execute(f"ALTER TABLE bots.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE bots.{table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON bots.{table} TO bots_owner USING (true) WITH CHECK (true)")
    for table in (*TENANTS, *SHARED):
        op.execute(f"CREATE POLICY tenant ON bots.{table} TO {READERS} USING ({OWN}) WITH CHECK ({OWN})")
    for table in SHARED:
        op.execute(f"CREATE POLICY system ON bots.{table} FOR SELECT TO {READERS} USING (organization_id IS NULL)")
    op.execute(f"CREATE POLICY everyone ON bots.permissions FOR SELECT TO {READERS} USING (true)")
    op.execute(  # nobody writes the audit trail in another's name, or for another time
        f"CREATE POLICY tenant ON bots.activity_logs TO {READERS} USING ({OWN})"
        f" WITH CHECK ({OWN} AND actor_id IS NOT DISTINCT FROM {USER} AND created_at = now())"
    )
    op.execute(
        f"CREATE POLICY tenant ON bots.organizations TO {READERS} USING (id = {ORGANIZATION})"
        f" WITH CHECK (id = {ORGANIZATION})"
    )
    op.execute(
        f"CREATE POLICY choice ON bots.organizations FOR SELECT TO {READERS} USING ({ORGANIZATION} IS NULL AND"
        " EXISTS (SELECT FROM bots.organization_members m WHERE m.organization_id = organizations.id"
        f" AND m.user_id = {USER} AND m.deleted_at IS NULL AND m.status <> 'suspended'))"
    )
    op.execute(
        f"CREATE POLICY choice ON bots.organization_members FOR SELECT TO {READERS}"
        f" USING ({ORGANIZATION} IS NULL AND user_id = {USER})"
    )
    op.execute(f"CREATE POLICY self ON bots.users TO {READERS} USING (id = {USER}) WITH CHECK (id = {USER})")
    op.execute(
        f"CREATE POLICY colleague ON bots.users FOR SELECT TO {READERS} USING (EXISTS (SELECT FROM"
        f" bots.organization_members m WHERE m.organization_id = {ORGANIZATION} AND m.user_id = users.id"
        " AND m.deleted_at IS NULL AND m.status = 'active'))"
    )
    own_session = f"user_id = {USER} AND ({ORGANIZATION} IS NULL OR organization_id IS NULL OR {OWN})"
    op.execute(f"CREATE POLICY self ON bots.sessions TO {READERS} USING ({own_session}) WITH CHECK ({own_session})")

    for table, privileges in REVOKED.items():
        op.execute(f"REVOKE {privileges} ON bots.{table} FROM bots_app")
    for (table, groups), columns in READABLE.items():
        op.execute(f"REVOKE SELECT ON bots.{table} FROM {groups}")
        op.execute(f"GRANT SELECT ({columns}) ON bots.{table} TO {groups}")
    for signature, definition in DOORS.items():
        op.execute(definition)
        op.execute(f"REVOKE ALL ON FUNCTION bots.{signature} FROM PUBLIC")


def downgrade() -> None:
    for signature in DOORS:
        op.execute(f"DROP FUNCTION bots.{signature}")
    for (table, groups), columns in READABLE.items():
        op.execute(f"REVOKE SELECT ({columns}) ON bots.{table} FROM {groups}")
        op.execute(f"GRANT SELECT ON bots.{table} TO {groups}")
    for table, privileges in REVOKED.items():
        op.execute(f"GRANT {privileges} ON bots.{table} TO bots_app")
    op.execute("DROP POLICY self ON bots.sessions")
    op.execute("DROP POLICY colleague ON bots.users")
    op.execute("DROP POLICY self ON bots.users")
    op.execute("DROP POLICY choice ON bots.organization_members")
    op.execute("DROP POLICY choice ON bots.organizations")
    op.execute("DROP POLICY everyone ON bots.permissions")
    for table in SHARED:
        op.execute(f"DROP POLICY system ON bots.{table}")
    for table in (*TENANTS, *SHARED, "activity_logs", "organizations"):
        op.execute(f"DROP POLICY tenant ON bots.{table}")
    for table in TABLES:
        op.execute(f"DROP POLICY owner ON bots.{table}")
        op.execute(f"ALTER TABLE bots.{table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE bots.{table} DISABLE ROW LEVEL SECURITY")
