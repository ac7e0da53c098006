"""The order of the bootstrap: roles, databases, what is in them, settings, the pooler's lookup."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg

from db import settings
from db.bootstrap import Admin, AppAccess, Bootstrapped
from db.bootstrap.catalogue import Catalogue, Connection
from db.bootstrap.databases import close_to_public, ensure_contents, ensure_database
from db.bootstrap.guests import ensure_guest
from db.bootstrap.pooler import ensure_lookup
from db.bootstrap.roles import ensure_group, ensure_login, ensure_settings, groups
from db.connections import CONNECT_TIMEOUT, explain, with_retries
from db.errors import BootstrapError
from db.migrations import lock
from db.urls import DatabaseURL

CLUSTER_DATABASE = "postgres"


def run(
    admin: Admin,
    accesses: Sequence[AppAccess],
    *,
    pooler_lookup: str | None,
    embeddings: str,
    report: Callable[[str], None],
    patience: float,
) -> Bootstrapped:
    """See db.bootstrap.bootstrap."""
    changes: list[str] = []
    missing: dict[str, tuple[str, ...]] = {}
    with _open(admin, CLUSTER_DATABASE, patience) as control, lock.held(control, "the bootstrap", report):
        cluster = Catalogue(control, changes, report)
        with _explained(f"cannot prepare roles as {control.info.user}"):
            for access in accesses:
                for group, login in zip(groups(access.app), access.logins, strict=True):
                    ensure_group(cluster, group)
                    ensure_login(cluster, login, group)
                ensure_database(cluster, access)
            if cluster.is_superuser():  # a provider's own databases are left alone
                for database in (CLUSTER_DATABASE, "template1"):
                    close_to_public(cluster, database)
        for access in accesses:
            with (
                _open(admin, access.database, patience) as connection,
                _explained(f"cannot prepare database {access.database} as {control.info.user}"),
            ):
                inside = Catalogue(connection, changes, report)
                schemas, missing[access.app] = ensure_contents(inside, access, settings.embeddings(embeddings))
                ensure_guest(inside, access)
                ensure_settings(cluster, access, schemas)
            for extension in missing[access.app]:
                report(f"{access.app}: the server has no extension {extension}; embeddings will be JSONB")
        if pooler_lookup is not None:
            with _explained(f"cannot prepare the pooler's lookup as {control.info.user}"):
                ensure_lookup(cluster, pooler_lookup)
    return Bootstrapped(tuple(changes), missing)


@contextmanager
def _open(admin: Admin, database: str, patience: float) -> Iterator[Connection]:
    connection = _connect(admin, database, patience) if isinstance(admin, Mapping) else admin(database)
    try:
        yield connection
    finally:
        connection.close()


def _connect(admin: Mapping[str, str], database: str, patience: float) -> Connection:
    shown = DatabaseURL(
        user=admin.get("user", ""), host=admin.get("host", ""), port=int(admin.get("port", "5432")), database=database
    )

    defaults = {"connect_timeout": str(CONNECT_TIMEOUT), "application_name": "pgstack bootstrap"}
    keywords: dict[str, str | int | None] = {**defaults, **admin, "dbname": database}
    conninfo = psycopg.conninfo.make_conninfo("", **keywords)

    def attempt() -> Connection:
        try:
            return psycopg.connect(conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            raise explain(error, shown) from None

    return with_retries(attempt, patience=patience)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        said = error.diag.message_primary or str(error)
        raise BootstrapError(f"{what}: SQLSTATE {error.sqlstate}, {' '.join(said.split())}") from error
