"""bot_logs and activity_logs, a partition a month, and the functions that make and retire partitions.

Purpose: logs grow without end; a month of them is dropped in an instant, while deleting its rows would take hours
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade 0003_workflows

There is no DEFAULT partition: rows in it would block the partition they belong to from ever being attached. So months
are made ahead, by whoever comes first (make_partitions, which the application may call and which does nothing where
all is there); partition_horizon() tells until when. A row beyond it is refused, not lost in silence.
A policy of the parent does not protect its partitions. Nobody is granted anything on those, and each has row-level
security of its own that shows its rows to the owner alone.
A partition is built apart and attached: PARTITION OF would lock out all readers of the parent.
The downgrade loses all logs.
"""

from alembic import op

revision = "0004_partitioned_logs"
down_revision = "0003_workflows"
branch_labels = None
depends_on = None

ENUMS = {
    "log_level": ("debug", "info", "warning", "error"),
    "activity_action": (
        "created",
        "updated",
        "deleted",
        "restored",
        "invited",
        "signed_in",
        "signed_out",
        "ran",
        "exported",
        "viewed_secret",
    ),
}

MAKE_PARTITION = """
CREATE FUNCTION bots.make_partition(parent text, month date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    partition text := format('%s_%s', parent, to_char(first, 'YYYY_MM'));
    other name;
BEGIN
    IF parent NOT IN ('bot_logs', 'activity_logs') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s is not partitioned by month', parent);
    END IF;
    -- the usual case waits for nobody; not to_regclass: it would remember its answer across the wait
    IF EXISTS (SELECT FROM pg_class WHERE relname = partition AND relnamespace = 'bots'::regnamespace) THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('bots.make_partition'));
    IF to_regclass(format('bots.%I', partition)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE bots.%I (LIKE bots.%I INCLUDING ALL)', partition, parent);
    FOR other IN
        SELECT DISTINCT r.rolname FROM pg_class c, aclexplode(c.relacl) g JOIN pg_roles r ON r.oid = g.grantee
        WHERE c.oid = format('bots.%I', partition)::regclass AND g.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON bots.%I FROM %I', partition, other);
    END LOOP;
    EXECUTE format('ALTER TABLE bots.%I ENABLE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE bots.%I FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format('CREATE POLICY owner ON bots.%I TO bots_owner USING (true) WITH CHECK (true)', partition);
    EXECUTE format(
        'ALTER TABLE bots.%I ATTACH PARTITION bots.%I FOR VALUES FROM (%L) TO (%L)',
        parent, partition, first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC'
    );
    RETURN true;
END $$"""

MAKE_PARTITIONS = """
CREATE FUNCTION bots.make_partitions(ahead integer DEFAULT 3) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made integer := 0;
    parent text;
    months integer;
BEGIN
    IF ahead IS NULL OR ahead NOT BETWEEN 0 AND 36 THEN
        RAISE invalid_parameter_value USING MESSAGE = format('ahead is %s: give 0 to 36 months', ahead);
    END IF;
    FOREACH parent IN ARRAY ARRAY['bot_logs', 'activity_logs'] LOOP
        FOR months IN 0..ahead LOOP
            made := made + bots.make_partition(
                parent, ((now() AT TIME ZONE 'UTC') + make_interval(months => months))::date
            )::integer;
        END LOOP;
    END LOOP;
    RETURN made;
END $$"""

HORIZON = """
CREATE FUNCTION bots.partition_horizon() RETURNS TABLE (parent text, partitions bigint, covered_until date)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.relname::text, count(c.oid),
        (max(to_date(right(c.relname, 7), 'YYYY_MM')) + interval '1 month')::date
    FROM pg_class p
    LEFT JOIN pg_inherits i ON i.inhparent = p.oid
    LEFT JOIN pg_class c ON c.oid = i.inhrelid
    WHERE p.relkind = 'p' AND p.relnamespace = 'bots'::regnamespace
    GROUP BY p.relname ORDER BY p.relname
$$"""

# A month is retired when all of it is older than `keep`. DETACH CONCURRENTLY cannot run in a procedure; the lock on the
# parent is short, and lock_timeout of the caller bounds the wait for it.
RETIRE = """
CREATE PROCEDURE bots.retire_partitions(parent text, keep interval, INOUT retired integer DEFAULT 0)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    partition name;
BEGIN
    IF keep IS NULL OR keep < interval '1 month' THEN
        RAISE invalid_parameter_value USING MESSAGE = format('keep is %s: give a month at least', keep);
    END IF;
    IF parent IS NULL OR parent NOT IN ('bot_logs', 'activity_logs') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('%s is not partitioned by month', parent);
    END IF;
    retired := 0;
    FOR partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = format('bots.%I', parent)::regclass
            AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= (now() AT TIME ZONE 'UTC') - keep
        ORDER BY c.relname
    LOOP
        EXECUTE format('ALTER TABLE bots.%I DETACH PARTITION bots.%I', parent, partition);
        EXECUTE format('DROP TABLE bots.%I', partition);
        retired := retired + 1;
    END LOOP;
END $$"""


def upgrade() -> None:
    for name, values in ENUMS.items():
        listed = ", ".join(f"'{value}'" for value in values)
        op.execute(f"CREATE TYPE bots.{name} AS ENUM ({listed})")
    op.execute("""
CREATE TABLE bots.bot_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL,
    bot_id uuid NOT NULL,
    bot_run_id uuid,
    level bots.log_level NOT NULL DEFAULT 'info',
    message text NOT NULL,
    context jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_bot_logs PRIMARY KEY (id, created_at),
    CONSTRAINT fk_bot_logs_bot_id FOREIGN KEY (organization_id, bot_id)
        REFERENCES bots.bots (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_bot_logs_bot_run_id FOREIGN KEY (organization_id, bot_run_id)
        REFERENCES bots.bot_runs (organization_id, id) ON DELETE CASCADE
) PARTITION BY RANGE (created_at)""")
    op.execute("CREATE INDEX ix_bot_logs_newest ON bots.bot_logs (organization_id, bot_id, created_at DESC)")
    op.execute("CREATE INDEX ix_bot_logs_bot_run_id ON bots.bot_logs (organization_id, bot_run_id, created_at)")
    op.execute("""
CREATE TABLE bots.activity_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    organization_id uuid NOT NULL CONSTRAINT fk_activity_logs_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    actor_id uuid DEFAULT nullif(current_setting('app.user_id', true), '')::uuid,
    action bots.activity_action NOT NULL,
    entity_type text NOT NULL,
    entity_id uuid,
    changes jsonb NOT NULL DEFAULT '{}'::jsonb,
    ip_address inet,
    user_agent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_activity_logs PRIMARY KEY (id, created_at),
    CONSTRAINT fk_activity_logs_actor_id FOREIGN KEY (organization_id, actor_id)
        REFERENCES bots.organization_members (organization_id, user_id)
) PARTITION BY RANGE (created_at)""")
    op.execute("CREATE INDEX ix_activity_logs_newest ON bots.activity_logs (organization_id, created_at DESC, id DESC)")
    op.execute(
        "CREATE INDEX ix_activity_logs_entity"
        " ON bots.activity_logs (organization_id, entity_type, entity_id, created_at DESC)"
    )
    op.execute(
        "CREATE INDEX ix_activity_logs_actor_id ON bots.activity_logs (organization_id, actor_id, created_at DESC)"
    )
    for statement in (MAKE_PARTITION, MAKE_PARTITIONS, HORIZON, RETIRE):
        op.execute(statement)
    op.execute("REVOKE ALL ON FUNCTION bots.make_partition(text, date) FROM PUBLIC, bots_app")
    op.execute("REVOKE ALL ON PROCEDURE bots.retire_partitions(text, interval, integer) FROM PUBLIC, bots_app")
    op.execute("REVOKE ALL ON FUNCTION bots.make_partitions(integer) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION bots.partition_horizon() TO bots_readonly")
    op.execute("SELECT bots.make_partitions(3)")


def downgrade() -> None:
    op.execute("DROP PROCEDURE bots.retire_partitions(text, interval, integer)")
    op.execute("DROP FUNCTION bots.partition_horizon()")
    op.execute("DROP FUNCTION bots.make_partitions(integer)")
    op.execute("DROP FUNCTION bots.make_partition(text, date)")
    for table in ("activity_logs", "bot_logs"):
        op.execute(f"DROP TABLE bots.{table}")
    for name in reversed(ENUMS):
        op.execute(f"DROP TYPE bots.{name}")
