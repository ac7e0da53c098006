"""Earlier versions of what people configure, kept by a trigger.

Purpose: what did this bot look like when it ran last Tuesday (bottleneck-bots.md, "Time-Travel Queries")
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade 0007_search

A version is written when it ends: an insert costs nothing, and today's version stands in the table itself, valid since
its `updated_at`. So a row as of T is either in the table with updated_at <= T or in the history with
valid_from <= T < valid_to (db.audit). What begins and ends in one transaction was never seen by anyone and is not kept.
Secrets, their hashes and generated columns are not kept: a rotated key must not live on here.
The application reads its organization's history and writes none. The trigger's function has the owner's rights, so
nobody else may put it on a table: a temporary table called "bots" would write a history of its inventor's.
The downgrade loses the history.
"""

from alembic import op

revision = "0008_time_travel"
down_revision = "0007_search"
branch_labels = None
depends_on = None

ORGANIZATION = "(SELECT nullif(current_setting('app.organization_id', true), '')::uuid)"
# table: what its history leaves out
AUDITED: dict[str, tuple[str, ...]] = {
    "organizations": (),
    "roles": ("scope_id",),
    "organization_members": ("role_scope_id",),
    "api_keys": ("key_hash",),
    "settings": (),
    "bots": ("search",),
    "credentials": ("secret",),
    "workflows": ("search",),
    "tasks": ("search",),
}

RECORD = """
CREATE FUNCTION bots.record_history() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended timestamptz;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        ended := NEW.updated_at;
    ELSIF OLD.updated_at = now() THEN  -- began in this very transaction
        RETURN NULL;
    ELSE
        ended := greatest(now(), OLD.updated_at + interval '1 microsecond');
    END IF;
    EXECUTE format(
        'INSERT INTO bots.%1$I SELECT * FROM jsonb_populate_record(NULL::bots.%1$I, $1)', TG_TABLE_NAME || '_history'
    ) USING to_jsonb(OLD) || jsonb_build_object(
        'valid_from', OLD.updated_at, 'valid_to', ended, 'change', TG_OP,
        'changed_by_id', nullif(current_setting('app.user_id', true), '')
    );
    RETURN NULL;
END $$"""


def upgrade() -> None:
    op.execute(RECORD)
    op.execute("REVOKE ALL ON FUNCTION bots.record_history() FROM PUBLIC, bots_app")
    for table, left_out in AUDITED.items():
        history = f"{table}_history"
        op.execute(f"CREATE TABLE bots.{history} AS TABLE bots.{table} WITH NO DATA")
        for column in left_out:
            op.execute(f"ALTER TABLE bots.{history} DROP COLUMN {column}")
        op.execute(f"""
ALTER TABLE bots.{history}
    ADD COLUMN valid_from timestamptz NOT NULL,
    ADD COLUMN valid_to timestamptz NOT NULL,
    ADD COLUMN change text NOT NULL CONSTRAINT ck_{history}_change CHECK (change IN ('UPDATE', 'DELETE')),
    ADD COLUMN changed_by_id uuid,
    ADD CONSTRAINT pk_{history} PRIMARY KEY (id, valid_from),
    ADD CONSTRAINT ck_{history}_valid_to CHECK (valid_to > valid_from)""")
        tenant = "id" if table == "organizations" else "organization_id"
        op.execute(f"CREATE INDEX ix_{history}_valid_to ON bots.{history} ({tenant}, valid_to)")
        op.execute(f"ALTER TABLE bots.{history} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE bots.{history} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner ON bots.{history} TO bots_owner USING (true) WITH CHECK (true)")
        op.execute(
            f"CREATE POLICY tenant ON bots.{history} FOR SELECT TO bots_app, bots_readonly"
            f" USING ({tenant} = {ORGANIZATION})"
        )
        op.execute(f"REVOKE INSERT, UPDATE, DELETE ON bots.{history} FROM bots_app")
        op.execute(
            f"CREATE TRIGGER record_update AFTER UPDATE ON bots.{table} FOR EACH ROW"
            " WHEN (OLD.updated_at IS DISTINCT FROM NEW.updated_at) EXECUTE FUNCTION bots.record_history()"
        )
        op.execute(
            f"CREATE TRIGGER record_delete AFTER DELETE ON bots.{table} FOR EACH ROW"
            " EXECUTE FUNCTION bots.record_history()"
        )


def downgrade() -> None:
    for table in AUDITED:
        op.execute(f"DROP TRIGGER record_delete ON bots.{table}")
        op.execute(f"DROP TRIGGER record_update ON bots.{table}")
        op.execute(f"DROP TABLE bots.{table}_history")
    op.execute("DROP FUNCTION bots.record_history()")
