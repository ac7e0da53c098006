"""When a bot is due, who may run it, and how a run may go.

Purpose: many workers share the due bots: each is claimed once, by one of them, and a dead worker's run ends
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade 0008_time_travel

Schedules are cron expressions of five fields (numbers, lists, ranges, steps; @hourly to @yearly), in the time zone that
the bot's config names, else UTC. Where day of month and day of week are both given, either suffices, as cron has it.
An hour that comes twice, when clocks go back, counts twice for a schedule of every hour and once for any other.
What was missed is caught up by one run, not by many. A time zone that the server does not know is refused when the bot
is written: at the claim it would stop all other bots of the organization. A deleted organization's bots rest.
claim_due_bot and expire_runs have the caller's rights: they see the set organization only, so a worker asks
organizations_with_work() whose turn it is (ids and nothing else, in no order, so that nobody starves) and enters it.
"""

from alembic import op

revision = "0009_scheduling"
down_revision = "0008_time_travel"
branch_labels = None
depends_on = None

CRON_FIELD = r"""
CREATE FUNCTION bots.cron_field(field text, low integer, high integer) RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    part text;
    read text[];
    first integer;
    last integer;
    step integer;
    found integer[] := '{}';
BEGIN
    IF field IS NULL THEN
        RETURN NULL;
    END IF;
    FOREACH part IN ARRAY string_to_array(field, ',') LOOP
        read := regexp_match(part, '^(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([0-9]{1,2}))?$');
        first := coalesce(read[1]::integer, low);
        step := coalesce(read[3]::integer, 1);
        last := coalesce(
            read[2]::integer, CASE WHEN read[1] IS NULL OR read[3] IS NOT NULL THEN high ELSE first END
        );
        IF read IS NULL OR step < 1 OR first < low OR last > high OR first > last THEN
            RETURN NULL;
        END IF;
        found := found || ARRAY(SELECT generate_series(first, last, step));
    END LOOP;
    RETURN nullif(ARRAY(SELECT DISTINCT number FROM unnest(found) AS number ORDER BY number), '{}');
END $$"""

CRON_FIELDS = r"""
CREATE FUNCTION bots.cron_fields(schedule text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN regexp_split_to_array(CASE btrim(schedule)
        WHEN '@hourly' THEN '0 * * * *'
        WHEN '@daily' THEN '0 0 * * *'
        WHEN '@weekly' THEN '0 0 * * 0'
        WHEN '@monthly' THEN '0 0 1 * *'
        WHEN '@yearly' THEN '0 0 1 1 *'
        ELSE btrim(schedule)
    END, '\s+');
END $$"""

IS_CRON = """
CREATE FUNCTION bots.is_cron(schedule text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    f text[] := bots.cron_fields(schedule);
BEGIN
    RETURN cardinality(f) = 5
        AND bots.cron_field(f[1], 0, 59) IS NOT NULL AND bots.cron_field(f[2], 0, 23) IS NOT NULL
        AND bots.cron_field(f[3], 1, 31) IS NOT NULL AND bots.cron_field(f[4], 1, 12) IS NOT NULL
        AND bots.cron_field(f[5], 0, 7) IS NOT NULL;
END $$"""

# Day by day, for nine years at most: between 29 February 2096 and the next lie eight. NULL for 31 February.
# AT TIME ZONE takes the later of two instants; `before` is when a clock that was not set back meanwhile shows the time.
NEXT_CRON = """
CREATE FUNCTION bots.next_cron(schedule text, after timestamptz, zone text DEFAULT 'UTC') RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    fields text[] := bots.cron_fields(schedule);
    minutes integer[] := bots.cron_field(fields[1], 0, 59);
    hours integer[] := bots.cron_field(fields[2], 0, 23);
    days integer[] := bots.cron_field(fields[3], 1, 31);
    months integer[] := bots.cron_field(fields[4], 1, 12);
    weekdays integer[] := bots.cron_field(fields[5], 0, 7);
    either boolean := fields[3] NOT LIKE '*%' AND fields[5] NOT LIKE '*%';
    passes boolean[] := CASE WHEN cardinality(hours) = 24 THEN '{t,f}' ELSE '{f}' END;
    here timestamp := after AT TIME ZONE zone;
    day date;
    hour integer;
    earlier boolean;
    minute integer;
    shown timestamp;
    on_day boolean;
    on_weekday boolean;
    candidate timestamptz;
    before timestamptz;
BEGIN
    IF cardinality(fields) IS DISTINCT FROM 5
        OR minutes IS NULL OR hours IS NULL OR days IS NULL OR months IS NULL OR weekdays IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('"%s" is no cron expression of five fields', schedule);
    END IF;
    FOR ahead IN 0..3287 LOOP
        day := here::date + ahead;
        CONTINUE WHEN date_part('month', day)::integer <> ALL (months);
        on_day := date_part('day', day)::integer = ANY (days);
        on_weekday := date_part('dow', day)::integer = ANY (weekdays)
            OR (date_part('dow', day) = 0 AND 7 = ANY (weekdays));
        CONTINUE WHEN NOT CASE WHEN either THEN on_day OR on_weekday ELSE on_day AND on_weekday END;
        FOREACH hour IN ARRAY hours LOOP
            CONTINUE WHEN ahead = 0 AND hour < date_part('hour', here);
            FOREACH earlier IN ARRAY passes LOOP
                FOREACH minute IN ARRAY minutes LOOP
                    shown := day + make_interval(hours => hour, mins => minute);
                    candidate := shown AT TIME ZONE zone;
                    IF earlier THEN
                        before := candidate - interval '3 hours';
                        before := before + (shown - before AT TIME ZONE zone);
                        IF before AT TIME ZONE zone = shown THEN
                            candidate := before;
                        END IF;
                    END IF;
                    IF candidate > after THEN
                        RETURN candidate;
                    END IF;
                END LOOP;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN NULL;
END $$"""

SCHEDULE = """
CREATE FUNCTION bots.schedule_bot() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.schedule IS NOT NULL AND NEW.config ? 'timezone' THEN
        PERFORM now() AT TIME ZONE (NEW.config ->> 'timezone');
    END IF;
    IF NEW.deleted_at IS NOT NULL OR NOT NEW.is_active THEN
        NEW.next_run_at := NULL;
    ELSIF TG_OP = 'INSERT' AND NEW.next_run_at IS NOT NULL THEN
        RETURN NEW;
    ELSIF TG_OP = 'UPDATE' AND NEW.next_run_at IS DISTINCT FROM OLD.next_run_at THEN
        RETURN NEW;
    ELSIF TG_OP = 'UPDATE' AND NEW.schedule IS NOT DISTINCT FROM OLD.schedule
        AND NEW.is_active = OLD.is_active AND OLD.deleted_at IS NULL
        AND NEW.config -> 'timezone' IS NOT DISTINCT FROM OLD.config -> 'timezone' THEN
        RETURN NEW;
    ELSIF NEW.schedule IS NULL THEN
        NEW.next_run_at := NULL;
    ELSE
        NEW.next_run_at := bots.next_cron(NEW.schedule, now(), coalesce(NEW.config ->> 'timezone', 'UTC'));
    END IF;
    RETURN NEW;
END $$"""

FOLLOW_RUN = """
CREATE FUNCTION bots.follow_run() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    allowed bots.run_status[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        allowed := CASE OLD.status
            WHEN 'queued' THEN ARRAY['running', 'failed', 'cancelled']
            WHEN 'running' THEN ARRAY['succeeded', 'failed', 'cancelled', 'timed_out']
            ELSE '{}'
        END::bots.run_status[];
        IF NEW.status <> ALL (allowed) THEN
            RAISE check_violation USING
                MESSAGE = format('a run that is %s cannot become %s', OLD.status, NEW.status),
                HINT = 'try again with a new run, whose attempt is one higher';
        END IF;
    END IF;
    IF NEW.status = 'running' THEN
        NEW.started_at := coalesce(NEW.started_at, now());
    ELSIF NEW.status <> 'queued' THEN
        NEW.finished_at := coalesce(NEW.finished_at, greatest(now(), NEW.started_at));
    END IF;
    RETURN NEW;
END $$"""

CLAIM = """
CREATE FUNCTION bots.claim_due_bot(worker_name text, lease interval DEFAULT '5 minutes') RETURNS SETOF bots.bot_runs
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due bots.bots;
BEGIN
    SELECT b.* INTO due FROM bots.bots b
    WHERE b.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid
        AND b.is_active AND b.deleted_at IS NULL AND b.next_run_at <= now()
        AND EXISTS (SELECT FROM bots.organizations o WHERE o.id = b.organization_id AND o.deleted_at IS NULL)
    ORDER BY b.next_run_at, b.id LIMIT 1
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE bots.bots b SET last_run_at = now(), next_run_at = CASE WHEN due.schedule IS NOT NULL
        THEN bots.next_cron(due.schedule, now(), coalesce(due.config ->> 'timezone', 'UTC')) END
    WHERE b.id = due.id;
    RETURN QUERY INSERT INTO bots.bot_runs AS r
        (organization_id, bot_id, status, trigger, worker, lease_expires_at, scheduled_for)
    VALUES (due.organization_id, due.id, 'running', 'schedule', worker_name, now() + lease, due.next_run_at)
    RETURNING r.*;
END $$"""

EXPIRE = """
CREATE FUNCTION bots.expire_runs() RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended integer;
BEGIN
    UPDATE bots.bot_runs r
    SET status = 'timed_out', error_message = format('worker %s was not heard of again', r.worker)
    WHERE r.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid
        AND r.status = 'running' AND r.lease_expires_at < now();
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END $$"""

WORK = """
CREATE FUNCTION bots.organizations_with_work(most integer DEFAULT 100) RETURNS SETOF uuid
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT organization_id FROM (
        SELECT b.organization_id FROM bots.bots b
        JOIN bots.organizations o ON o.id = b.organization_id AND o.deleted_at IS NULL
        WHERE b.is_active AND b.deleted_at IS NULL AND b.next_run_at <= now()
        UNION
        SELECT r.organization_id FROM bots.bot_runs r WHERE r.status = 'running' AND r.lease_expires_at < now()
    ) AS waiting ORDER BY random() LIMIT least(greatest(most, 0), 1000)
$$"""

FUNCTIONS = {
    "cron_field(text, integer, integer)": CRON_FIELD,
    "cron_fields(text)": CRON_FIELDS,
    "is_cron(text)": IS_CRON,
    "next_cron(text, timestamptz, text)": NEXT_CRON,
    "schedule_bot()": SCHEDULE,
    "follow_run()": FOLLOW_RUN,
    "claim_due_bot(text, interval)": CLAIM,
    "expire_runs()": EXPIRE,
    "organizations_with_work(integer)": WORK,
}


def upgrade() -> None:
    for definition in FUNCTIONS.values():
        op.execute(definition)
    op.execute("REVOKE ALL ON FUNCTION bots.organizations_with_work(integer) FROM PUBLIC")
    op.execute("ALTER TABLE bots.bots ADD CONSTRAINT ck_bots_schedule CHECK (bots.is_cron(schedule))")
    op.execute(
        "CREATE TRIGGER schedule_insert BEFORE INSERT ON bots.bots FOR EACH ROW"
        " WHEN (NEW.schedule IS NOT NULL OR NEW.deleted_at IS NOT NULL OR NOT NEW.is_active)"
        " EXECUTE FUNCTION bots.schedule_bot()"
    )
    op.execute(
        "CREATE TRIGGER schedule_update BEFORE UPDATE OF schedule, is_active, deleted_at, config, next_run_at"
        " ON bots.bots FOR EACH ROW EXECUTE FUNCTION bots.schedule_bot()"
    )
    for table in ("bot_runs", "workflow_runs"):
        op.execute(
            f"CREATE TRIGGER follow_insert BEFORE INSERT ON bots.{table} FOR EACH ROW"
            " WHEN (NEW.status <> 'queued') EXECUTE FUNCTION bots.follow_run()"
        )
        op.execute(
            f"CREATE TRIGGER follow_update BEFORE UPDATE ON bots.{table} FOR EACH ROW"
            " WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION bots.follow_run()"
        )


def downgrade() -> None:
    for table in ("workflow_runs", "bot_runs"):
        op.execute(f"DROP TRIGGER follow_update ON bots.{table}")
        op.execute(f"DROP TRIGGER follow_insert ON bots.{table}")
    op.execute("DROP TRIGGER schedule_update ON bots.bots")
    op.execute("DROP TRIGGER schedule_insert ON bots.bots")
    op.execute("ALTER TABLE bots.bots DROP CONSTRAINT ck_bots_schedule")
    for signature in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION bots.{signature}")
