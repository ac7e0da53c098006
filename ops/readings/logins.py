"""Whether the URLs that applications are given work: a login with each, the CA verified, as a client would."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from db.errors import DbError
from db.urls import DatabaseURL
from ops.errors import EngineError


def check(url: DatabaseURL, ca_file: Path, role: str) -> None:
    """Log in and run a query. Raises EngineError with the reason why that is not possible.

    `role` is the server behind the URL, whose log tells more.
    """
    import psycopg  # noqa: PLC0415 - loads while the servers are thinking

    from db import connections  # noqa: PLC0415

    try:
        with closing(connections.connect(url, ca_file=ca_file, patience=0, name="pgstack status")) as connection:
            connection.execute("SELECT 1")
    except DbError as error:
        raise EngineError(f"{error}; `pgstack logs {role}` may say more") from None
    except psycopg.Error as error:
        raise EngineError(
            f"{url.redacted()} lets one in, but answers no query: {' '.join(str(error).split())}"
        ) from None
