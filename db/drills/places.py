"""Where the container's volumes are, and the two servers: the live one's socket, and the copy's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

LIVE = Path("/run/postgresql")
FILES = Path("/etc/pgstack-drills")  # this program, the schedule, the key: read-only
EVIDENCE = Path("/var/lib/pgstack-evidence")  # outside the cluster: heartbeats, ledger, evidence, metrics
SCRATCH = Path("/var/lib/pgstack-drill")  # the restored copy, and the folder of its server's socket
COPY = SCRATCH / "data"

# what a row looks like as text must not depend on what somebody configured for a database or a role
_SETTINGS = {
    "search_path": "pg_catalog",
    "datestyle": "ISO,YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "row_security": "off",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "lock_timeout": "2s",  # a migration's lock is not waited for
    "max_parallel_workers_per_gather": "0",
}


def connect(server: Path, database: str = "postgres", **settings: str) -> psycopg.Connection[Any]:
    """The superuser's session by the socket in `server`, each statement a transaction."""
    options = " ".join(f"-c {name}={value}" for name, value in (_SETTINGS | settings).items())
    return psycopg.connect(
        host=str(server),
        user="postgres",
        dbname=database,
        application_name="pgstack drills",
        options=options,
        connect_timeout=10,
        autocommit=True,
    )


def databases(connection: psycopg.Connection[Any]) -> list[str]:
    """All that hold rows of somebody's."""
    found = connection.execute("SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1")
    return [str(name) for (name,) in found]
