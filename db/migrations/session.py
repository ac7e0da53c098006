"""The conditions under which every Alembic command runs, whether started by db.migrations or by `alembic -n APP`.

A writing command gets: a direct connection (a transaction pooler is refused), the app's lock on a second connection, a
login that may create in the app's schema, history that agrees with the files, bounded waits for locks with retries, and
a record of each step in the step's own transaction.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import psycopg
import sqlalchemy
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import sql

from db import apps, connections, engine
from db.errors import DbError, PoolerError, TargetError
from db.migrations import concurrently, failures, history, lock, standing, sums, waits
from db.migrations.revisions import HOME, Revision, revisions
from db.urls import DatabaseURL

URL_VARIABLE = "POSTGRES_DIRECT_URL"
_WRITING = ("upgrade", "downgrade", "stamp")
_POOLER_PATIENCE = 5.0  # seconds; a pool of one server connection makes the probe wait for itself
_POOLER_PROBES = 25  # where others keep a pool of two busy, half of the probes come back to the process they began with

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Job:
    """One command on one app's database. `writes` is False for commands that only look."""

    app: str
    url: DatabaseURL
    ca_file: str | Path | None = None
    report: Callable[[str], None] = print
    home: Path = HOME
    writes: bool = True
    drafts: bool = False
    """Whether files may run that the sum file has no line for."""
    embeddings: str = "auto"
    """How a first migration stores them; see db.settings.embeddings."""
    stamps: bool = False
    """Whether it only declares where the database is."""
    done: list[str] = field(default_factory=list)
    """Revisions finished by this job, in the order they were."""

    @classmethod
    def of(cls, config: alembic.config.Config) -> Job:
        """The job that db.migrations attached to `config`, else one from the environment for Alembic's command line."""
        attached = config.attributes.get("job")
        if isinstance(attached, Job):
            return attached
        text = os.environ.get(URL_VARIABLE, "")
        if not text:
            raise CommandError(f'{URL_VARIABLE} is not set: eval "$(pgstack env {config.config_ini_section})" sets it')
        assert config.config_file_name is not None  # noqa: S101  # the command line always has a file
        command = getattr(config.cmd_opts, "cmd", (None,))[0]
        made = cls(
            app=config.config_ini_section,
            url=DatabaseURL.parse(text),
            home=Path(config.config_file_name).resolve().parent,
            report=lambda line: print(line, file=sys.stderr),  # noqa: T201  # the command line's own progress
            writes=command in {getattr(alembic.command, it) for it in _WRITING},
            drafts=command is alembic.command.downgrade,
            stamps=command is alembic.command.stamp,
        )
        config.attributes["job"] = made  # where a revision finds who to report to
        return made

    def run(self, script: ScriptDirectory, migrate: Callable[[sqlalchemy.Connection, Steps], None]) -> None:
        """Open what the command needs and call `migrate`, again where a lock was not free in time."""
        files = revisions(self.app, home=self.home)
        source = engine.unpooled(self.url, ca_file=self.ca_file, name="pgstack migrations")
        with (
            closing(connections.connect(self.url, ca_file=self.ca_file, name="pgstack migrations lock")) as control,
            source.connect() as connection,
        ):
            steps = Steps(self, files, script, control)
            refuse_transaction_pooler(control, connection)
            waits.let_patient_ones_wait(connection)
            control.execute("SET statement_timeout = 0; SET idle_session_timeout = 0")
            with lock.held(control, f"migrations of {self.app}", self.report) if self.writes else nullcontext():
                if self.writes:
                    self._require(control, files)
                    for name in sums.verify(self.app, files, self.home, drafts=self.drafts):
                        self.report(f"{self.app}: {name} is a draft: {sums.NAME} has no line for it")
                concurrently.watch(connection, control, self.app, self.report)
                try:
                    self._attempt(steps, lambda attempt: _once(connection, self.app, steps, migrate, attempt))
                except (DbError, CommandError):
                    raise
                except Exception as error:
                    raise failures.explain(error, self.app, steps.current, self.done) from error

    def _require(self, control: Connection, files: tuple[Revision, ...]) -> None:
        """Raise the errors of db.errors unless `files` can go on from what the database is."""
        found = standing.look(control, self.app, files)
        if not (self.stamps and found.kind in {"inconsistent", "foreign"}):  # a stamp is their way out
            found.require()
        check_target(control, self.app)
        history.prepare(control, self.app)

    def _attempt(self, steps: Steps, once: Callable[[int], None]) -> None:
        def again(error: BaseException) -> bool:
            # outside a transaction half of it may stand
            return failures.transient(error) and (steps.current is None or steps.current.transactional)

        def say(attempt: int) -> None:
            self.report(f"{self.app}: a table is locked by others, trying again ({attempt} so far)")

        waits.attempts(once, again=again, say=say)


class Steps:
    """Watches Alembic's steps: which revision is running, since when, and records it in its own transaction."""

    def __init__(self, job: Job, files: tuple[Revision, ...], script: ScriptDirectory, control: Connection) -> None:
        self._job = job
        self._control = control
        self._files = {file.revision: file for file in files}
        self._started = 0.0
        self.current: Revision | None = None
        # Alembic has a callback for a step's end but none for its start
        for found in script.walk_revisions():
            for direction in ("upgrade", "downgrade"):
                inner = getattr(found.module, direction)
                setattr(found.module, direction, self._announced(found.revision, inner))

    def _announced(self, revision: str, inner: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            self.current = self._files[revision]
            self._started = time.monotonic()
            self._control.execute("SELECT 1")  # fails where the lock's session was lost: somebody else may hold it now
            inner()

        return run

    def applied(
        self,
        ctx: MigrationContext,
        step: MigrationInfo,
        heads: Collection[str],
        run_args: Mapping[str, object],  # noqa: ARG002  # Alembic passes it by this name
    ) -> None:
        """Alembic's `on_version_apply`: runs inside the step's transaction."""
        app, connection = self._job.app, ctx.connection
        assert connection is not None  # noqa: S101  # never called in offline mode
        if step.is_stamp:
            history.stamped(connection, app, next(iter(heads), None), tuple(self._files.values()))
            return
        assert step.up_revision_id is not None  # noqa: S101  # only a stamp has none
        seconds = time.monotonic() - self._started
        if step.is_upgrade:
            history.applied(connection, app, self._files[step.up_revision_id], seconds)
        else:
            history.reverted(connection, app, step.up_revision_id)
        self._job.done.append(step.up_revision_id)
        self._job.report(f"{app}: {'applied' if step.is_upgrade else 'undid'} {step.up_revision_id} ({seconds:.2f} s)")


def refuse_transaction_pooler(control: Connection, connection: sqlalchemy.Connection) -> None:
    """Raise PoolerError where `control`'s server process changes while `connection` is in a transaction.

    Behind a transaction pooler the advisory lock and every SET would stay with a server connection that others use.
    """
    # the server itself announces its process at login, poolers announce a number of their own
    announced = control.info.backend_pid == _scalar(control, "SELECT pg_backend_pid()")
    for _ in range(1 if announced else _POOLER_PROBES):
        _probe_for_pooler(control, connection)


def _probe_for_pooler(control: Connection, connection: sqlalchemy.Connection) -> None:
    before = _scalar(control, "SELECT pg_backend_pid()")
    connection.exec_driver_sql("SELECT 1")  # begins a transaction
    starved = threading.Event()  # set before the rollback, so that it is set when `control` gets its answer by that

    def give_way() -> None:
        starved.set()
        connection.rollback()

    release = threading.Timer(_POOLER_PATIENCE, give_way)
    release.start()
    after = _scalar(control, "SELECT pg_backend_pid()")
    release.cancel()
    release.join()
    connection.rollback()
    if starved.is_set() or before != after:
        raise PoolerError(
            "this URL leads to a transaction pooler, which cannot hold the migrations' lock:"
            f" give the direct URL ({URL_VARIABLE}, `pgstack env` prints it)"
        )


def check_target(control: Connection, app: str) -> None:
    """Raise TargetError where this login cannot migrate `app` here, or where another tool seems to have."""
    database, login = control.execute("SELECT current_database(), session_user").fetchone() or ("", "")
    if says := history.foreign(control, app):
        raise TargetError(says)
    schema = sql.Identifier(app)
    if _scalar(control, "SELECT NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", app):
        try:
            control.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        except psycopg.errors.InsufficientPrivilege:
            raise TargetError(
                f"database {database} has no schema {app} and {login} may not create it: run the bootstrap first"
            ) from None
    if not _scalar(control, "SELECT has_schema_privilege(%s, 'CREATE')", app):
        raise TargetError(
            f"login {login} may not create in schema {app} of database {database}: migrations need the owner's URL"
            f" ({URL_VARIABLE}, `pgstack env {app}` prints it)"
        )
    host = apps.host(app)
    lacking = [
        table
        for table, columns in apps.shared(host).items()
        if host != app
        # without USAGE on the host's schema to_regclass would be an error
        and not _scalar(
            control,
            "SELECT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = to_regnamespace(%s) AND c.relname = %s"
            " AND has_schema_privilege(c.relnamespace, 'USAGE') AND has_column_privilege(c.oid, %s, 'REFERENCES'))",
            host,
            table,
            columns[0],
        )
    ]
    if lacking:
        raise TargetError(
            f"{app} lives in the database of {host}, but may not refer to {host}'s {', '.join(lacking)} in database"
            f" {database}: migrate {host} first, then run the bootstrap again"
        )


def _once(
    connection: sqlalchemy.Connection,
    app: str,
    steps: Steps,
    migrate: Callable[[sqlalchemy.Connection, Steps], None],
    attempt: int,
) -> None:
    steps.current = None
    _settle(connection, app, waits.lock_timeout(attempt))
    try:
        migrate(connection, steps)
    finally:
        connection.rollback()  # what a failed step began; after a good one nothing is open


def _settle(connection: sqlalchemy.Connection, app: str, lock_timeout: int) -> None:
    """Settings of the migrating session; the login's own are for the application's short statements."""
    quoted = '"' + app.replace('"', '""') + '"'
    connection.exec_driver_sql(f"SET search_path = {quoted}, extensions")
    waits.bound(connection, lock_timeout)
    connection.exec_driver_sql("SET statement_timeout = 0")  # index builds and VALIDATE take as long as they take
    connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
    connection.exec_driver_sql("SET timezone = 'UTC'")  # what a migration writes must not depend on who runs it
    connection.commit()


def _scalar(connection: Connection, statement: str, *values: object) -> Any:
    row = connection.execute(statement, values).fetchone()
    assert row is not None  # noqa: S101  # a SELECT of functions has one row
    return row[0]
