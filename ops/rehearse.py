"""`pgstack migrate rehearse`: the pending migrations on a copy of the app's database, which is gone afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated
from urllib.parse import urlsplit

import typer

from ops.stack import Stack, StackOption

_AS_SUPERUSER = ("env", "PGHOST=/run/postgresql", "PGUSER=postgres")
Run = Callable[[Sequence[str]], str]
"""Runs a command where the server is, as its superuser, and returns what it prints."""


def rehearse(
    app: Annotated[str, typer.Argument(metavar="APP", help="The application.")],
    stack: StackOption = None,
    undo: Annotated[bool, typer.Option("--undo", help="Undo them again too, and say how long that takes.")] = False,
) -> None:
    """Copy the app's database on its own server, apply what is pending to the copy, and drop it.

    Says how long each revision takes with the real rows. The copy needs as much disk as the database, and the server's
    other work goes on beside it.

    Example: pgstack migrate rehearse bots --undo
    """
    found = Stack.read(stack)
    from db import migrations  # noqa: PLC0415 - after what fails fast
    from ops.engine import Engine  # noqa: PLC0415

    url, ca_file = found.url(app, "direct"), found.ca_file()
    container = found.container("postgres")
    pending = migrations.plan(app, url, ca_file=ca_file)
    if not pending:
        print(f"{app}: nothing pending, nothing to rehearse")
        return
    before = migrations.current(app, url, ca_file=ca_file) or "base"
    engine = Engine.connect(found.pulumi.environ)
    with copied(lambda command: engine.run(container, [*_AS_SUPERUSER, *command]), url, report=print) as copy:
        done = migrations.upgrade(app, copy, ca_file=ca_file, drafts=True)
        if undo and all(it.reversible for it in pending):
            migrations.downgrade(app, copy, target=before, ca_file=ca_file)
        elif undo:
            print(f"{app}: not undone: {', '.join(it.revision for it in pending if not it.reversible)} can't be")
    print(f"{app}: {len(done)} rehearsed; the database itself is as it was, at {before}")


@contextmanager
def copied(run: Run, url: str, *, report: Callable[[str], None]) -> Iterator[str]:
    """The URL of a copy of the database behind `url`, for the same login; dropped in the end, whatever happened."""
    database, login = urlsplit(url).path[1:], urlsplit(url).username
    copy = f"{database}_rehearsal"
    query = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--dbname=postgres"]
    drop = [*query, f'--command=DROP DATABASE IF EXISTS "{copy}" WITH (FORCE)']
    run(drop)  # of a rehearsal that was killed
    size = run([*query, f"--command=SELECT pg_size_pretty(pg_database_size('{database}'))"]).strip()
    report(f"copying {database} ({size}) to {copy}")
    began = time.monotonic()
    try:
        run([*query, f'--command=CREATE DATABASE "{copy}" TEMPLATE template0'])
        rights = (
            f'REVOKE ALL ON DATABASE "{copy}" FROM PUBLIC; GRANT CONNECT, TEMPORARY ON DATABASE "{copy}" TO "{login}"'
        )
        run([*query, f"--command={rights}"])
        # a dump that breaks off is no archive, which the restore then says
        pipe = 'pg_dump --format=custom --compress=0 "$1" | pg_restore --exit-on-error --dbname="$2"'
        run(["sh", "-c", pipe, "sh", database, copy])
        run(["psql", "--no-psqlrc", "--quiet", f"--dbname={copy}", "--command=ANALYZE"])
        report(f"copied in {time.monotonic() - began:.1f} s")
        yield urlsplit(url)._replace(path=f"/{copy}").geturl()
    finally:
        run(drop)
