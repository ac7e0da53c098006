"""What the deployment asks of a running cluster: as its superuser, inside its container."""

import datetime

import pulumi
import tenacity

from db import restore_points
from db.errors import RestorePointError
from infra.errors import EngineError
from infra.selfhosted.engine import Engine
from infra.threads import in_thread

_PSQL = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres"]
_RELOAD = "SELECT pg_reload_conf()"
_LEAVE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
_PUSH = """\
for conf in /etc/pgstack/pgbackrest.conf /etc/pgstack/old*.conf; do
  [ ! -s "$conf" ] || pgbackrest "--config=$conf" --stanza=main --no-archive-async archive-push "$1" || exit
done
"""
_ARCHIVED_WITHIN = 30  # seconds
_TAKEN_UP_WITHIN = 10  # seconds
_OFTEN = 0.1  # seconds between two looks


async def query(engine: Engine, container: str, *statements: str) -> str:
    """What the statements, each a transaction, print. Raises EngineError."""
    return await in_thread(query_now, engine, container, *statements)


def query_now(engine: Engine, container: str, *statements: str) -> str:
    """The same for a caller that has a thread of its own."""
    return engine.run_now(container, [*_PSQL, *(it for sql in statements for it in ("-c", sql))]).strip()


async def archives(engine: Engine, container: str) -> bool:
    """Whether its WAL goes to the archive; a restored cluster keeps it to itself until it is live."""
    return await query(engine, container, "SELECT current_setting('archive_command') <> ''") == "t"


async def start_archiving(engine: Engine, container: str) -> None:
    """Send the archive all WAL since the cluster was restored, and from now on. Raises EngineError."""
    await query(engine, container, "ALTER SYSTEM RESET archive_command", _RELOAD)
    async for attempt in tenacity.AsyncRetrying(  # the server takes it up soon, not at once
        retry=tenacity.retry_if_exception_type(EngineError),
        stop=tenacity.stop_after_delay(_TAKEN_UP_WITHIN),
        wait=tenacity.wait_fixed(_OFTEN),
        reraise=True,
    ):
        with attempt:
            if not await archives(engine, container):
                raise EngineError(f"{container} has an empty archive_command and does not archive")


async def allow_writes(engine: Engine, container: str) -> None:
    """Undo what `retire` did to a cluster that is to be live again."""
    if await query(engine, container, "SELECT current_setting('default_transaction_read_only')") == "on":
        await query(engine, container, "ALTER SYSTEM RESET default_transaction_read_only", _RELOAD)


async def retire(engine: Engine, container: str) -> None:
    """Let a cluster that was live be read only: who still writes there would write for nobody.

    Its last WAL is archived first, so that the archive can lead back to its last transaction; then it archives no more.
    Raises EngineError if it does not answer.
    """
    await query(engine, container, "ALTER SYSTEM SET default_transaction_read_only = on", _RELOAD)
    await query(engine, container, f"{_LEAVE} AND pid <> pg_backend_pid()")
    name = f"retired-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}"
    try:
        await in_thread(
            restore_points.create, name, lambda sql: query_now(engine, container, sql), within=_ARCHIVED_WITHIN
        )
    except RestorePointError as error:
        pulumi.log.warn(f"{container} holds transactions that the archive does not: {error}")
    await query(engine, container, "ALTER SYSTEM SET archive_command = ''", _RELOAD)


async def end_transactions(engine: Engine, container: str, older_than: float) -> None:
    """End the sessions whose transaction is older than so many seconds. Raises EngineError."""
    await query(engine, container, f"{_LEAVE} AND xact_start < clock_timestamp() - interval '{older_than:g} s'")


async def mark_live(engine: Engine, container: str, number: int) -> None:
    """A restore point in its WAL, named with the moment from which on it is live. Raises EngineError."""
    moment = "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD\"T\"HH24MISS.US\"Z\"')"
    await query(engine, container, f"SELECT pg_create_restore_point('live-{number}-' || {moment})")


async def reserve_timeline(engine: Engine, container: str) -> None:
    """Archive the history of the cluster's timeline, and nothing else: what is restored next then takes another one.

    Raises EngineError, also if the archive has that timeline from another cluster.
    """
    sql = "SELECT current_setting('data_directory') || '/pg_wal/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)"
    history = f"{await query(engine, container, sql)}.history"
    # in the repositories that a rotated key left behind too: what is restored from there needs another one as well
    await engine.run(container, ["sh", "-c", _PUSH, "sh", history])
