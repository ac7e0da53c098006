"""One application or one table out of a restored cluster, which goes again once it has given it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from ops.engine import Engine
from ops.errors import OpsError
from ops.prompts import confirm
from ops.restoring import generations, one_database, one_table, parts
from ops.restoring.parts import Table
from ops.settings import settings
from ops.stack import Stack

_SIZE = "SELECT pg_database_size(current_database())"
_SIZE_OF_A_TABLE = """\
SELECT coalesce(pg_total_relation_size(o), 0) + coalesce(sum(pg_total_relation_size(relid)), 0)
FROM to_regclass('{}') o LEFT JOIN LATERAL pg_partition_tree(o) ON relid <> o GROUP BY o"""


@dataclass(frozen=True)
class Wanted:
    """What is to come back: all of `database`, or only `table` of it. `apps` live in it; `size` in bytes, as of now."""

    database: str
    apps: tuple[str, ...]
    table: Table | None
    size: int


def wanted(stack: Stack, engine: Engine, app: str | None, table: Table | None) -> Wanted | None:
    """What `--database` and `--table` name, None where neither is given. Raises UnknownError, OpsError."""
    if table is not None:
        database = stack.parsed(table.app, "direct").database
    elif app is not None:
        database = parts.database(stack, app)
    else:
        return None
    server = stack.container("postgres")
    if not engine.serves(server):
        raise OpsError(
            f"{server} does not serve, so no part can be brought back to it: `restore run --swap` brings back all"
        )
    if table is not None:
        one_table.insist(engine, server, database, table)
    from db.apps import in_order  # noqa: PLC0415 - slow imports come after what fails fast

    inside = [it for it in in_order(stack.apps) if stack.parsed(it, "direct").database == database]
    size = _SIZE_OF_A_TABLE.format(table.original) if table else _SIZE
    return Wanted(database, tuple(inside), table, int(engine.query(server, size, database=database)))


def ask(it: Wanted) -> None:
    """Confirm that the whole database may be replaced."""
    if it.table is None:
        confirm(
            f"Clients of {' and '.join(it.apps)} move to {it.database} as it was then; what was committed since stays"
            " in another database, read only. Go on?"
        )


def bring(stack: Stack, engine: Engine, it: Wanted, past: str, moment: str) -> list[str]:
    """Take it out of container `past`, which is of `moment`; returns what is to be said. Raises OpsError."""
    server = stack.container("postgres")
    if it.table is not None:
        comment = f"{it.table} as it was at {moment}, copied by pgstack restore"
        one_table.bring(engine, stack.prefix, server, past, it.database, it.table, comment)
        copied = f"{it.table.copies}.{it.table.name} is {it.table} as it was"
        return [copied, *one_table.told(engine, server, it.database, it.table)]
    with one_database.copy(engine, stack.prefix, server, past, it.database) as copy:
        _migrate(stack, it, copy)
        left = one_database.swap(engine, server, stack.container("pooler"), it.database, copy)
    return [
        f"{it.database} is as it was; what it was before is {left}: `pgstack restore undo --database {it.database}`"
        f" moves the clients back, `pgstack restore drop {left}` drops it"
    ]


def _migrate(stack: Stack, it: Wanted, copy: str) -> None:
    """Bring the copy up to where the settings want the live one, so that clients find the schema that they know."""
    from urllib.parse import urlsplit  # noqa: PLC0415 - slow imports come after what fails fast

    from db import migrations  # noqa: PLC0415
    from db.errors import DbError  # noqa: PLC0415

    given, ca_file = settings(stack.name), stack.ca_file()
    for app in it.apps:
        url = urlsplit(stack.url(app, "direct"))._replace(path=f"/{copy}").geturl()
        target = given.target(app)
        try:
            if migrations.plan(app, url, ca_file=ca_file, target=target):
                migrations.upgrade(
                    app, url, ca_file=ca_file, target=target, drafts=not stack.lasting, embeddings=given.embeddings
                )
        except DbError as error:
            raise OpsError(
                f"{app} as it was can't be brought up to {target}, and nothing was replaced: {error}"
            ) from error


def out_of(stack: Stack, engine: Engine, it: Wanted, origin: Mapping[str, str], moment: str, *, keep: bool) -> None:
    """Restore a cluster from `origin`, unless one beside the live one is that moment already, and take `it` out of it.

    `moment` is what the person who asks calls it. The cluster goes again, unless it was there before, is to be kept, or
    did not give what was wanted.
    """
    there = generations.from_origin(stack, origin)
    number = there or generations.following(stack)
    if there:
        generations.complete(stack, number)
    else:
        generations.add(stack, number, origin, at_once_live=False)
    past = stack.cluster(number)
    try:
        said = bring(stack, engine, it, past, moment)
    except (OpsError, KeyboardInterrupt) as error:
        if isinstance(error, one_table.NotThereError) and not (keep or there):
            generations.remove(stack, number)  # it is of no use to whoever asked
            raise
        print(
            f"generation {number} is restored and stays: the same with `--to {origin['lsn']}` takes it from there,"
            f" `pgstack restore drop {number}` gives it up",
            file=sys.stderr,
        )
        raise
    if keep or there:
        said.append(f"generation {number} stays: `pgstack restore drop {number}` removes it")
    else:
        generations.remove(stack, number)
    print("\n".join(said))


def undo(stack: Stack, app: str, *, yes: bool) -> str:
    """Move the clients of `app` back to the database that they left last; returns what is to be said.

    Raises OpsError where there is none, UnknownError for no app with a database of its own.
    """
    database, engine, server = (
        parts.database(stack, app),
        Engine.connect(stack.pulumi.environ),
        stack.container("postgres"),
    )
    before = one_database.left_last(engine, server, database)
    if not yes:
        confirm(f"Clients of {database} move to what {before} holds; what was committed since stays aside. Go on?")
    left = one_database.swap(engine, server, stack.container("pooler"), database, before)
    return f"{database} is what {before} was; what it was before is {left}"


def drop(stack: Stack, name: str, *, yes: bool) -> None:
    """Drop a database that was replaced. Raises UnknownError for any other."""
    engine, server, databases = Engine.connect(stack.pulumi.environ), stack.container("postgres"), _databases(stack)
    one_database.insist(engine, server, databases, name)
    if not yes:
        confirm(f"All that is only in {name} goes with it, for ever. Go on?")
    one_database.drop(engine, server, databases, name)


def kept(stack: Stack, engine: Engine) -> list[one_database.Kept]:
    """The databases that were replaced and not dropped; none from a server that does not answer."""
    server = stack.container("postgres")
    return one_database.kept(engine, server, _databases(stack)) if engine.serves(server) else []


def _databases(stack: Stack) -> set[str]:
    return {stack.parsed(app, "direct").database for app in stack.apps}
