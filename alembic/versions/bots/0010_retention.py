"""What is kept how long: procedures that erase what was deleted, outdated or expired.

Purpose: deleted rows can be restored for a while and are gone after it, and the database does not grow for ever
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade 0009_scheduling

Only the owner may call these: they reach every organization. apply_retention() does all of it with the defaults here
and is what a schedule calls once a day; what locks writers out comes last in it, for a lock lasts until the end. Users
and memberships are not erased by age, because rows name them as authors; an organization is, with all that is its own,
and its history with it.
"""

from alembic import op

revision = "0010_retention"
down_revision = "0009_scheduling"
branch_labels = None
depends_on = None

HISTORIES = ("roles", "organization_members", "api_keys", "settings", "bots", "credentials", "workflows", "tasks")

# children first, so that a parent's cascade finds little
ERASED: tuple[str, ...] = (
    "settings",
    "notifications",
    "api_keys",
    "session_recordings",
    "credentials",
    "tasks",
    "workflows",
    "bots",
)
ERASED += ("organizations",)

_DELETES = "".join(
    f"""
    DELETE FROM bots.{table} t WHERE t.deleted_at < now() - keep;
    GET DIAGNOSTICS gone = ROW_COUNT;
    erased := erased + gone;"""
    for table in ERASED
)
PURGE_DELETED = f"""
CREATE PROCEDURE bots.purge_deleted(keep interval, INOUT erased bigint DEFAULT 0)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    IF keep IS NULL OR keep < interval '1 day' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('keep is %s: give a day at least', keep);
    END IF;
    erased := 0;{_DELETES}
    DELETE FROM bots.roles t WHERE t.deleted_at < now() - keep
        AND NOT EXISTS (SELECT FROM bots.organization_members m WHERE m.role_id = t.id);
    GET DIAGNOSTICS gone = ROW_COUNT;
    erased := erased + gone;
END $$"""

_HISTORY = "".join(
    f"""
    DELETE FROM bots.{table}_history h WHERE h.valid_to < now() - keep
        OR NOT EXISTS (SELECT FROM bots.organizations o WHERE o.id = h.organization_id);
    GET DIAGNOSTICS gone = ROW_COUNT;
    erased := erased + gone;"""
    for table in HISTORIES
)
PURGE_HISTORY = f"""
CREATE PROCEDURE bots.purge_history(keep interval, INOUT erased bigint DEFAULT 0)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone bigint;
BEGIN
    IF keep IS NULL OR keep < interval '1 day' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('keep is %s: give a day at least', keep);
    END IF;
    erased := 0;{_HISTORY}
    DELETE FROM bots.organizations_history h WHERE h.valid_to < now() - keep
        OR NOT EXISTS (SELECT FROM bots.organizations o WHERE o.id = h.id);
    GET DIAGNOSTICS gone = ROW_COUNT;
    erased := erased + gone;
END $$"""

PURGE_SESSIONS = """
CREATE PROCEDURE bots.purge_sessions(INOUT erased bigint DEFAULT 0)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM bots.sessions s WHERE s.expires_at < now();
    GET DIAGNOSTICS erased = ROW_COUNT;
END $$"""

APPLY = """
CREATE PROCEDURE bots.apply_retention(
    deleted interval DEFAULT '90 days', history interval DEFAULT '2 years',
    bot_logs interval DEFAULT '6 months', activity_logs interval DEFAULT '2 years'
)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone bigint;
    months integer;
BEGIN
    CALL bots.purge_sessions(gone);
    CALL bots.purge_deleted(deleted, gone);
    CALL bots.purge_history(history, gone);
    PERFORM bots.make_partitions();
    CALL bots.retire_partitions('bot_logs', bot_logs, months);
    CALL bots.retire_partitions('activity_logs', activity_logs, months);
END $$"""

PROCEDURES = {
    "purge_deleted(interval, bigint)": PURGE_DELETED,
    "purge_history(interval, bigint)": PURGE_HISTORY,
    "purge_sessions(bigint)": PURGE_SESSIONS,
    "apply_retention(interval, interval, interval, interval)": APPLY,
}


def upgrade() -> None:
    for signature, definition in PROCEDURES.items():
        op.execute(definition)
        op.execute(f"REVOKE ALL ON PROCEDURE bots.{signature} FROM PUBLIC, bots_app")


def downgrade() -> None:
    for signature in reversed(PROCEDURES):
        op.execute(f"DROP PROCEDURE bots.{signature}")
