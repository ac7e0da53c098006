"""Triggers that keep when a row was created, changed and deleted, and by whom.

Purpose: an audit column that an application can forget, or forge, proves nothing
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade 0004_partitioned_logs

Who acts is the setting app.user_id; without it a job acts for nobody, and only then may it name an author itself. The
time is the transaction's begin by the server's clock; only the owner, who imports and seeds, may give another one.
`updated_at` never goes back nor stands still between transactions: the time travel rests on it. Columns that record
mere use (a run, a sign-in) are a trigger's arguments: changing nothing else changes neither stamp.
These functions run at every row and name everything with its schema, so they do without a search_path of their own,
whose setting costs more than all they do.
"""

from alembic import op

revision = "0005_stamps"
down_revision = "0004_partitioned_logs"
branch_labels = None
depends_on = None

# table: columns of use, and generated ones, which a BEFORE trigger does not know yet
ENTITIES: dict[str, tuple[str, ...]] = {
    "users": ("last_login_at",),
    "organizations": (),
    "roles": (),
    "organization_members": (),
    "api_keys": ("last_used_at",),
    "settings": (),
    "bots": ("last_run_at", "next_run_at", "search"),
    "credentials": ("last_used_at",),
    "session_recordings": (),
    "workflows": (),
    "tasks": (),
    "notifications": (),
}
RUNS = ("bot_runs", "workflow_runs")
TIMED = ("permissions", "sessions")
STAYS: tuple[str, ...] = (
    "roles",
    "organization_members",
    "api_keys",
    "settings",
    "bots",
    "credentials",
    "session_recordings",
)
STAYS += ("workflows", "tasks", "notifications", "bot_runs", "workflow_runs")

STAMP_ENTITY = """
CREATE FUNCTION bots.stamp_entity() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    actor uuid := nullif(current_setting('app.user_id', true), '')::uuid;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT pg_has_role(current_user, 'bots_owner', 'USAGE') THEN
            NEW.created_at := now();
            NEW.updated_at := now();
            NEW.deleted_at := CASE WHEN NEW.deleted_at IS NOT NULL THEN now() END;
        END IF;
        NEW.created_by_id := coalesce(actor, NEW.created_by_id);
        NEW.updated_by_id := NEW.created_by_id;
        NEW.deleted_by_id := CASE WHEN NEW.deleted_at IS NOT NULL THEN NEW.created_by_id END;
        RETURN NEW;
    END IF;
    NEW.created_at := OLD.created_at;
    NEW.created_by_id := OLD.created_by_id;
    NEW.updated_at := OLD.updated_at;
    NEW.updated_by_id := OLD.updated_by_id;
    NEW.deleted_by_id := OLD.deleted_by_id;
    IF NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NOT NULL THEN
        NEW.deleted_at := OLD.deleted_at;
    END IF;
    IF TG_NARGS > 0 AND to_jsonb(NEW) - TG_ARGV = to_jsonb(OLD) - TG_ARGV THEN
        RETURN NEW;
    END IF;
    NEW.updated_at := CASE
        WHEN OLD.updated_at <= now() THEN now() ELSE OLD.updated_at + interval '1 microsecond'
    END;
    NEW.updated_by_id := actor;
    IF NEW.deleted_at IS NULL THEN
        NEW.deleted_by_id := NULL;
    ELSIF OLD.deleted_at IS NULL THEN
        NEW.deleted_at := NEW.updated_at;
        NEW.deleted_by_id := actor;
    END IF;
    RETURN NEW;
END $$"""

STAMP_RUN = """
CREATE FUNCTION bots.stamp_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT pg_has_role(current_user, 'bots_owner', 'USAGE') THEN
            NEW.created_at := now();
            NEW.updated_at := now();
        END IF;
        NEW.created_by_id := coalesce(nullif(current_setting('app.user_id', true), '')::uuid, NEW.created_by_id);
    ELSE
        NEW.created_at := OLD.created_at;
        NEW.created_by_id := OLD.created_by_id;
        NEW.updated_at := greatest(now(), OLD.updated_at);
    END IF;
    RETURN NEW;
END $$"""

STAMP_TIMES = """
CREATE FUNCTION bots.stamp_times() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        NEW.created_at := OLD.created_at;
        NEW.updated_at := greatest(now(), OLD.updated_at);
    ELSIF NOT pg_has_role(current_user, 'bots_owner', 'USAGE') THEN
        NEW.created_at := now();
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END $$"""

REFUSE_MOVE = """
CREATE FUNCTION bots.refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE check_violation USING
        MESSAGE = format('a row of %s keeps its id and its organization', TG_TABLE_NAME),
        HINT = 'insert a new row there and delete this one';
END $$"""


def upgrade() -> None:
    for statement in (STAMP_ENTITY, STAMP_RUN, STAMP_TIMES, REFUSE_MOVE):
        op.execute(statement)
    for table, used in ENTITIES.items():
        arguments = ", ".join(f"'{column}'" for column in used)
        _stamped(table, f"stamp_entity({arguments})")
    for table in RUNS:
        _stamped(table, "stamp_run()")
    for table in TIMED:
        _stamped(table, "stamp_times()")
    for table in STAYS:
        op.execute(
            f"CREATE TRIGGER refuse_move BEFORE UPDATE ON bots.{table} FOR EACH ROW"
            " WHEN (OLD.id <> NEW.id OR OLD.organization_id IS DISTINCT FROM NEW.organization_id)"
            " EXECUTE FUNCTION bots.refuse_move()"
        )


def downgrade() -> None:
    for table in STAYS:
        op.execute(f"DROP TRIGGER refuse_move ON bots.{table}")
    for table in (*ENTITIES, *RUNS, *TIMED):
        op.execute(f"DROP TRIGGER stamp ON bots.{table}")
    for function in ("refuse_move", "stamp_times", "stamp_run", "stamp_entity"):
        op.execute(f"DROP FUNCTION bots.{function}()")


def _stamped(table: str, function: str) -> None:
    op.execute(
        f"CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON bots.{table} FOR EACH ROW EXECUTE FUNCTION bots.{function}"
    )
