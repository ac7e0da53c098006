"""Opening one connection, with retries where they can help and one clear line where they cannot.

Shared by the engine, the migration runner, the seeds and the bootstrap.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import tenacity

from db.errors import ConnectError, LoginError, UnreachableError
from db.urls import DatabaseURL

T = TypeVar("T")

CONNECT_TIMEOUT = 10  # seconds for one attempt: a sleeping Neon compute takes several to answer
PATIENCE = 15.0  # seconds over all attempts: outlasts a restart of the server or a failover of its name

# What is wrong, by the words of libpq and of the server (failed connects carry no SQLSTATE), and the way out.
# {host}, {port}, {user} and {database} are the URL's. A login that was refused stays refused.
_REFUSED = (
    (
        r"password authentication failed|SASL authentication failed",
        'the password of "{user}" is wrong, or there is no such login (the server does not tell which)',
    ),
    (r"no password supplied|needs_password|password is missing", 'the URL gives no password for "{user}"'),
    (r'role "[^"]*" does not exist|no such user', 'the server has no login "{user}"'),
    (r'role "[^"]*" is not permitted to log in', '"{user}" may not log in'),
    (r'database "[^"]*" does not exist|no such database', 'the server has no database "{database}"'),
    (r"permission denied for database", '"{user}" may not connect to database "{database}"'),
    (r"no pg_hba.conf entry", 'the server lets no "{user}" into "{database}" from here, or not without TLS'),
    (r"SSL required|TLS required", "the server demands TLS: add sslmode=verify-full to the URL"),
    (r"server does not support SSL", "the server offers no TLS, but the URL demands it"),
    (r"root certificate file", "the CA's file is missing: set PGSSLROOTCERT to it"),
    (r"certificate verify failed", "the server's certificate is not signed by the CA at hand: check PGSSLROOTCERT"),
    (r"does not match host name", 'the server\'s certificate is not for "{host}"'),
    (r"invalid connection option|invalid .* value|unsupported startup parameter", "the URL's parameters are refused"),
)
_UNREACHABLE = (
    (
        r"could not translate host name|failed to resolve host|[Nn]ame or service not known|Temporary failure in name",
        'the host "{host}" does not resolve: check its spelling and the DNS',
    ),
    (r"Connection refused|No such file or directory", "nothing listens at {host}:{port}: is the server running?"),
    (
        r"timeout expired|timed out|No route to host|unreachable",
        "no answer from {host}:{port}: it is starting or stuck, or a firewall is between",
    ),
    (
        r"too many (clients|connections)|remaining connection slots|no more connections allowed",
        "the server at {host}:{port} has no connection left",
    ),
    (r"the database system is|starting up|shutting down", "the server at {host}:{port} is starting or stopping"),
)


def without_rows(error: psycopg.Error) -> str:
    """The server's message and hint, which are the error's whole text from here on.

    DETAIL and CONTEXT show the row that failed, secrets too, and an error's text ends in logs; `error.diag` keeps them
    for who asks. What the driver itself said stays as it is.
    """
    if error.diag.message_primary is not None:
        hint = error.diag.message_hint
        error.args = (error.diag.message_primary + (f"\nHINT:  {hint}" if hint else ""),)
    return str(error)


def explain(error: psycopg.Error, url: DatabaseURL) -> ConnectError:
    """What a failed connect means, as one line without a password."""
    said = " ".join(str(error).split())
    reason = re.sub(r"^.*failed: (?:FATAL: )?", "", said)
    reason = re.sub(r" (?:Either provide|Is the server running) .*", "", reason)  # libpq's advice; ours is better
    if url.password:
        reason = reason.replace(url.password, "***")
    for kind, patterns in ((LoginError, _REFUSED), (UnreachableError, _UNREACHABLE)):
        for pattern, meaning in patterns:
            if re.search(pattern, said):
                place = {"host": url.host, "port": url.port, "user": url.user, "database": url.database}
                return kind(f"cannot connect to {url.redacted()}: {meaning.format(**place)} (said: {reason})")
    return UnreachableError(f"cannot connect to {url.redacted()}: {reason}")


def with_retries(
    attempt: Callable[[], T], *, patience: float = PATIENCE, sleep: Callable[[float], None] = time.sleep
) -> T:
    """Call `attempt` until it does not raise UnreachableError, for at most about `patience` seconds."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(UnreachableError),
        stop=tenacity.stop_after_delay(patience),
        wait=tenacity.wait_exponential_jitter(multiplier=0.1, max=2.0, jitter=0.2),
        sleep=sleep,
        reraise=True,
    )
    return retrying(attempt)


def connect(
    url: DatabaseURL, *, ca_file: str | Path | None = None, patience: float = PATIENCE, name: str = "pgstack"
) -> psycopg.Connection[tuple[Any, ...]]:
    """An autocommit connection without server-side prepared statements, so that it also works through a pooler.

    Raises LoginError at once, UnreachableError after `patience` seconds.
    """
    keywords: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT,
        "application_name": name,
        **url.conninfo(ca_file),
        "autocommit": True,
        "prepare_threshold": None,
    }

    def attempt() -> psycopg.Connection[tuple[Any, ...]]:
        try:
            return psycopg.connect(**keywords)
        except psycopg.OperationalError as error:
            raise explain(error, url) from None

    return with_retries(attempt, patience=patience)
