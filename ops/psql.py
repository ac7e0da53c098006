"""`pgstack psql APP`: a psql session on the app's database."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ops.env import POOLER_PORT, POSTGRES_PORT
from ops.errors import EngineError, UnknownError
from ops.stack import Kind, Stack, StackOption

if TYPE_CHECKING:
    from db.urls import DatabaseURL

_LISTENS_WITHIN = 10  # seconds
_CA_INSIDE = "/etc/pgstack/tls/ca.crt"
# A password has no place on a command line or in a container's environment: a file that only psql's user reads.
_KEEP_FILE = 'umask 077 && file=$(mktemp /tmp/psql.XXXXXX) && cat > "$file" && echo "$file"'


def psql(
    app: Annotated[str, typer.Argument(metavar="APP", help="The application, such as maps.")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ARGS]", help="Options of psql; after -- also those that are pgstack's."),
    ] = None,
    stack: StackOption = None,
    readonly: Annotated[bool, typer.Option("--readonly", help="As the login that can't write.")] = False,
    direct: Annotated[bool, typer.Option("--direct", help="As the schema's owner, without the pooler.")] = False,
    admin: Annotated[bool, typer.Option("--admin", help="As superuser, inside the Postgres container.")] = False,
    generation: Annotated[
        int | None,
        typer.Option("--generation", "-g", metavar="NUMBER", help="On a restored cluster (`pgstack restore list`)."),
    ] = None,
) -> None:
    """Open psql on the app's database, by default as the application, through the pooler.

    Takes the host's psql, else the one in the Postgres container.

    Examples:

    pgstack psql maps

    pgstack psql dovvybuddy --readonly -c 'SELECT count(*) FROM dive_sites'
    """
    if readonly + direct + admin > 1:
        raise typer.BadParameter("give one of --readonly, --direct and --admin")
    found = Stack.read(stack)
    given = arguments or []
    if generation is not None:
        raise typer.Exit(_in_the_past(found, app, generation, given))
    kind: Kind = "readonly" if readonly else "direct" if direct else "pooled"
    if admin:
        database = found.parsed(app, "direct").database
        _exec(found, [], ["-h", "/run/postgresql", "-U", "postgres", "-d", database, *given])
    elif program := shutil.which("psql"):
        url = found.parsed(app, kind)
        _insist_on_a_listener(url)
        variables = environment(url, str(found.ca_file()))
        sys.stdout.flush()
        os.execve(program, ["psql", *given], {**os.environ, **variables})  # noqa: S606 - becomes psql
    else:
        raise typer.Exit(_inside(found, found.parsed(app, kind), kind, given))


def _in_the_past(stack: Stack, app: str, generation: int, given: Sequence[str]) -> int:
    """A restored cluster has no pooler: as its superuser, inside its container."""
    container = stack.outputs.get(f"postgres_{generation}_container")
    if container is None and generation == stack.live:
        raise UnknownError(f"cluster {generation} is the live one: leave out --generation")
    if container is None:
        raise UnknownError(
            f"stack {stack.name} has no cluster {generation} that is ready: `pgstack restore list` shows those there"
            " are, `pulumi up` goes on with one that is missing"
        )
    database = stack.parsed(app, "direct").database
    command = _interactive(str(container), [], ["-h", "/run/postgresql", "-U", "postgres", "-d", database, *given])
    return subprocess.run(command, env=dict(stack.pulumi.environ), check=False).returncode


def environment(url: DatabaseURL, ca_file: str) -> dict[str, str]:
    """What libpq reads instead of a command line (PostgreSQL manual, 34.15)."""
    return {
        "PGHOST": url.host,
        "PGPORT": str(url.port),
        "PGUSER": url.user,
        "PGPASSWORD": url.password or "",
        "PGDATABASE": url.database,
        "PGSSLMODE": url.sslmode or "verify-full",
        "PGSSLROOTCERT": ca_file,
    }


def _insist_on_a_listener(url: DatabaseURL) -> None:
    """psql itself would only say that the connection is refused."""
    try:
        socket.create_connection((url.host, url.port), timeout=_LISTENS_WITHIN).close()
    except OSError as error:
        raise EngineError(
            f"nothing answers at {url.host}:{url.port} ({error.strerror or error}): "
            "`pgstack status` says why, `pgstack start` starts a stopped stack"
        ) from None


def _inside(stack: Stack, url: DatabaseURL, kind: Kind, given: Sequence[str]) -> int:
    """The same from inside the Postgres container, where the servers have the containers' names."""
    host, port = (
        (stack.container("postgres"), POSTGRES_PORT) if kind == "direct" else (stack.container("pooler"), POOLER_PORT)
    )
    password = (url.password or "").replace("\\", r"\\").replace(":", r"\:")
    container = stack.container("postgres")
    kept = _docker(stack, "exec", "-i", container, "sh", "-c", _KEEP_FILE, text=f"*:*:*:*:{password}\n").strip()
    try:
        variables = {
            "PGHOST": host,
            "PGPORT": str(port),
            "PGUSER": url.user,
            "PGPASSFILE": kept,
            "PGDATABASE": url.database,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": _CA_INSIDE,
        }
        options = [it for name, value in variables.items() for it in ("-e", f"{name}={value}")]
        return subprocess.run(
            _interactive(container, options, given), env=dict(stack.pulumi.environ), check=False
        ).returncode
    finally:
        _docker(stack, "exec", container, "rm", "-f", kept)


def _exec(stack: Stack, options: Sequence[str], given: Sequence[str]) -> None:
    program = shutil.which("docker")
    if program is None:
        raise UnknownError("there is no docker command on this machine: run `make tools`")
    sys.stdout.flush()
    os.execve(  # noqa: S606 - becomes docker
        program, _interactive(stack.container("postgres"), options, given), dict(stack.pulumi.environ)
    )


def _interactive(container: str, options: Sequence[str], given: Sequence[str]) -> list[str]:
    terminal = "-it" if sys.stdin.isatty() and sys.stdout.isatty() else "-i"
    return ["docker", "exec", terminal, *options, container, "psql", *given]


def _docker(stack: Stack, *arguments: str, text: str = "") -> str:
    try:
        done = subprocess.run(
            ["docker", *arguments],
            input=text,
            env=dict(stack.pulumi.environ),
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise UnknownError(
            "there is neither psql nor docker on this machine: install postgresql-client, or run `make tools`"
        ) from None
    if done.returncode:
        raise EngineError(f"`docker exec` failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    return done.stdout
