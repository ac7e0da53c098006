"""One application's database as it was: copied from a restored cluster beside the live one, then given its name.

The one that had the name keeps all it has, read only, under a name with the moment at which clients left it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import csv
import datetime
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.engine import Engine
from ops.errors import EngineError, OpsError, UnknownError
from ops.readings.pooler import CONSOLE

_COPY = Path(__file__).with_name("copy-database")
_TRANSACTIONS_END_WITHIN = 5  # seconds; then they are ended, for all clients wait for them
_TRIES = 3  # somebody may come between the end of all sessions and the renaming, which waits 5 s for each to leave
_KEPT = re.compile(r"(?P<name>\w+)_before_\d{8}_\d{6}", re.ASCII)
_SIZES = "SELECT json_object_agg(datname, pg_database_size(oid)) FROM pg_database WHERE NOT datistemplate"
_THERE = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = '{}')"
_LEAVE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('{}', '{}')"


@dataclass(frozen=True)
class Kept:
    """A database that clients of `database` left; its size in bytes."""

    name: str
    database: str
    size: int


def copied(database: str) -> str:
    """What the copy is called until clients are moved to it."""
    return f"{database}_restored"


@contextlib.contextmanager
def copy(engine: Engine, stack: str, server: str, past: str, database: str) -> Iterator[str]:
    """The name of a complete copy in container `server` of the database in container `past`.

    It is dropped in the end unless it got another name meanwhile. Raises EngineError.
    """
    name = copied(database)
    sockets = {"/run/past": engine.socket_of(past), "/run/live": engine.socket_of(server)}
    command = ["bash", "-c", _COPY.read_text(), "copy-database", database, name]
    try:
        engine.once(f"{stack}-copy", server, command, sockets, stack)
        yield name
    finally:
        with contextlib.suppress(EngineError):  # the next copy begins with it
            engine.query(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def swap(engine: Engine, server: str, pooler: str, database: str, other: str) -> str:
    """Give the name of `database` to `other` while clients wait; returns the name that `database` has then.

    Sessions that do not come through the pooler are ended. Raises OpsError if they were not moved; they then go on
    where they were.
    """
    left = f"{database}_before_{datetime.datetime.now(datetime.UTC):%Y%m%d_%H%M%S}"
    moved = (
        f'BEGIN; ALTER DATABASE "{database}" RENAME TO "{left}"; ALTER DATABASE "{other}" RENAME TO "{database}";'
        f' ALTER DATABASE "{left}" SET default_transaction_read_only = on;'
        f' ALTER DATABASE "{database}" RESET default_transaction_read_only; COMMIT'
    )
    with _waiting(engine, server, pooler, database):
        for left_over in reversed(range(_TRIES)):
            try:
                engine.query(server, _LEAVE.format(database, other), moved)
                break
            except EngineError as error:
                if engine.query(server, _THERE.format(left)) == "t":  # its answer alone was lost
                    break
                if not left_over:
                    raise OpsError(f"{database} was not replaced, its clients go on there: {error}") from error
    return left


def kept(engine: Engine, server: str, databases: Collection[str]) -> list[Kept]:
    """The databases that clients of `databases` left and that were not dropped, the one left last at the end."""
    sizes = json.loads(engine.query(server, _SIZES))
    found = [(name, match["name"], sizes[name]) for name in sizes if (match := _KEPT.fullmatch(name))]
    ours = [Kept(*it) for it in found if it[1] in databases]
    return sorted(ours, key=lambda it: it.name.removeprefix(it.database))


def left_last(engine: Engine, server: str, database: str) -> str:
    """The database that clients of `database` were moved from last. Raises OpsError if there is none."""
    there = kept(engine, server, [database])
    if not there:
        raise OpsError(f"no database of {database} is kept from before: there is nothing to undo")
    return there[-1].name


def drop(engine: Engine, server: str, databases: Collection[str], name: str) -> None:
    """Drop one that is kept. Raises UnknownError for any other name."""
    insist(engine, server, databases, name)
    engine.query(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def insist(engine: Engine, server: str, databases: Collection[str], name: str) -> None:
    """Raise UnknownError unless it is one that is kept."""
    there = [it.name for it in kept(engine, server, databases)]
    if name not in there:
        raise UnknownError(
            f'no database "{name}" is kept from before: there is {", ".join(there) or "none"} (`pgstack restore list`)'
        )


@contextlib.contextmanager
def _waiting(engine: Engine, server: str, pooler: str, database: str) -> Iterator[None]:
    """The pooler's clients of that database wait meanwhile; its transactions have ended. None wait without a pooler."""
    container = engine.container(pooler)
    if container is None or container.status != "running":
        yield
        return
    rows = csv.DictReader(engine.ask(pooler, [*CONSOLE, "-c", "SHOW DATABASES"]).splitlines())
    names = [row["name"] for row in rows if row["database"] == database]
    with (
        engine.conversation(pooler, ["switch", *names]) as talk,
        concurrent.futures.ThreadPoolExecutor(1) as threads,
    ):
        heard = threads.submit(talk.hear)
        try:
            said = heard.result(_TRANSACTIONS_END_WITHIN)
        except TimeoutError:
            with contextlib.suppress(EngineError):  # without an answer, it runs no transaction either
                engine.query(server, _LEAVE.format(database, database))
            said = heard.result()
        if said != "paused":
            raise OpsError(
                f"{pooler} did not have its clients wait, {database} is as it was: `docker logs {pooler}` says why"
            )
        yield
        talk.say("go on")
        talk.hear()
