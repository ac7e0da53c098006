"""What an app that lives in another's database may do with the host's tables (see db.apps).

Its owner may refer to the shared tables in foreign keys, its application may read the shared columns, and nobody of it
writes. The host's tables must be there for that, so on a first deployment the bootstrap runs again between the host's
migrations and the guest's; until then it skips what is missing.
"""

from __future__ import annotations

from db import apps
from db.bootstrap import AppAccess
from db.bootstrap.catalogue import Catalogue
from db.bootstrap.roles import groups
from db.errors import UnknownAppError


def ensure_guest(catalogue: Catalogue, access: AppAccess) -> None:
    """Grants on the host's schema to the groups of `access`; nothing for an app in a database of its own."""
    try:
        host = apps.host(access.app)
    except UnknownAppError:  # a schema without models here, such as a provider's or a test's
        return
    if host == access.app or not catalogue.value("SELECT to_regnamespace(%s) IS NOT NULL", host):
        return
    owner, application, _ = groups(access.app)
    for group in (owner, application):
        if not catalogue.value("SELECT has_schema_privilege(%s, %s, 'USAGE')", group, host):
            catalogue.change(f"granted USAGE on {host} to {group}", "GRANT USAGE ON SCHEMA {} TO {}", host, group)
    for table, columns in apps.shared(host).items():
        for column in columns:
            for group, privilege in ((owner, "REFERENCES"), (application, "SELECT")):
                _ensure_column(catalogue, (host, table, column), group, privilege)


def _ensure_column(catalogue: Catalogue, place: tuple[str, str, str], group: str, privilege: str) -> None:
    # no row: the host is not migrated that far yet
    granted = catalogue.value(
        "SELECT has_column_privilege(%s, c.oid, a.attnum, %s) FROM pg_class c JOIN pg_attribute a"
        " ON a.attrelid = c.oid AND NOT a.attisdropped WHERE c.relnamespace = %s::regnamespace"
        " AND c.relname = %s AND a.attname = %s",
        group,
        privilege,
        *place,
    )
    if granted is False:
        host, table, column = place
        catalogue.change(
            f"granted {privilege} on {host}.{table}.{column} to {group}",
            f"GRANT {privilege} ({{}}) ON {{}}.{{}} TO {{}}",
            column,
            host,
            table,
            group,
        )
