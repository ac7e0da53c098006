"""Groups that hold privileges, logins that are their members, and the settings each login starts a session with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import errors, sql

from db.bootstrap import AppAccess, Login
from db.bootstrap.catalogue import Catalogue
from db.bootstrap.scram import matches, verifier

_OPTIONS_SINCE = 160000  # GRANT ... WITH INHERIT, SET came with PostgreSQL 16

# A group's settings do not reach its members, so each login carries them. Statements of an application that take longer
# than half a minute are mistakes; one that waits 5 s for a lock blocks others behind it; a transaction left open for a
# minute keeps vacuum from cleaning. Reports may take longer. Migrations set their own and may run as long as they need.
_APPLICATION = {
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}
_READONLY = {
    "statement_timeout": "60s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
    "default_transaction_read_only": "on",  # a client can undo it: the missing grants are what protects
}
_OWNER = {
    "statement_timeout": "0",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "10min",
}


def groups(app: str) -> tuple[str, str, str]:
    """Names of the owner's, the application's and the read-only group."""
    return (f"{app}_owner", f"{app}_app", f"{app}_readonly")


def ensure_group(catalogue: Catalogue, name: str) -> None:
    """A role without login; the administrator becomes a member where it needs that to act for it."""
    if catalogue.value("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", name) is None:
        catalogue.change(f"created group {name}", "CREATE ROLE {} NOLOGIN", name)
    elif catalogue.value("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", name):
        catalogue.change(f"took login from group {name}", "ALTER ROLE {} NOLOGIN", name)
    _settle_attributes(catalogue, name)
    if not catalogue.is_superuser():
        administrator = str(catalogue.value("SELECT current_user"))
        _ensure_member(catalogue, name, administrator, inherit=True)


def ensure_login(catalogue: Catalogue, login: Login, group: str) -> None:
    """A role that logs in with the password of `login` and is a member of `group` only."""
    name = login.name
    if catalogue.value("SELECT 1 FROM pg_roles WHERE rolname = %s", name) is None:
        catalogue.change(f"created login {name}", "CREATE ROLE {} LOGIN", name)
    elif not catalogue.value("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", name):
        catalogue.change(f"gave login {name} its login back", "ALTER ROLE {} LOGIN", name)
    _settle_attributes(catalogue, name)
    if not matches(_known_verifier(catalogue, name), login.password):
        catalogue.change(
            f"set the password of {name}",
            "ALTER ROLE {} PASSWORD {password}",
            name,
            password=verifier(catalogue.connection, name, login.password),
        )
    _ensure_member(catalogue, group, name, inherit=True)
    others = catalogue.rows(
        "SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"
        " JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = %s AND g.rolname <> %s",
        name,
        group,
    )
    for (other,) in others:
        catalogue.change(f"took {name} out of {other}", "REVOKE {} FROM {}", other, name)


def settings(app: str, extension_schemas: Sequence[str]) -> dict[str, dict[str, str]]:
    """What a session of a login begins with, by the name of its group; a search_path without quotes."""
    owner, application, readonly = groups(app)
    # now() in a column without time zone must be UTC
    every = {"search_path": ", ".join([app, *extension_schemas]), "TimeZone": "UTC"}
    # what the owner's logins create belongs to the group, so that it outlives a rotation of the login
    return {
        owner: {**every, **_OWNER, "role": owner},
        application: {**every, **_APPLICATION},
        readonly: {**every, **_READONLY},
    }


def ensure_settings(catalogue: Catalogue, access: AppAccess, extension_schemas: Sequence[str]) -> None:
    """What a session of each login of `access` begins with."""
    wanted = settings(access.app, extension_schemas)
    for group, login in zip(groups(access.app), access.logins, strict=True):
        _ensure_role_settings(catalogue, login.name, wanted[group])


def _ensure_role_settings(catalogue: Catalogue, name: str, wanted: Mapping[str, str]) -> None:
    stored = catalogue.value(
        "SELECT s.setconfig FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
        " WHERE r.rolname = %s AND s.setdatabase = 0",
        name,
    )
    has = dict(entry.split("=", 1) for entry in stored or ())
    for setting, value in wanted.items():
        if has.get(setting) != value:
            given = (
                # quoted as SET wants a list: each name by itself
                sql.SQL(", ").join(sql.Identifier(schema) for schema in value.split(", "))
                if setting == "search_path"
                else sql.Literal(value)
            )
            statement = sql.SQL("ALTER ROLE {{}} SET {} = {}").format(sql.SQL(setting), given)
            catalogue.change(f"set {setting} of {name} to {value}", statement.as_string(catalogue.connection), name)


def _settle_attributes(catalogue: Catalogue, name: str) -> None:
    """Take what no role of ours may have. Named only where present: a non-superuser may not even say NOSUPERUSER."""
    row = catalogue.rows(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, NOT rolinherit"
        " FROM pg_roles WHERE rolname = %s",
        name,
    )[0]
    cures = ("NOSUPERUSER", "NOCREATEROLE", "NOCREATEDB", "NOREPLICATION", "NOBYPASSRLS", "INHERIT")
    needed = [cure for cure, present in zip(cures, row, strict=True) if present]
    if needed:
        catalogue.change(f"made {name} {' '.join(needed)}", f"ALTER ROLE {{}} {' '.join(needed)}", name)


def _ensure_member(catalogue: Catalogue, group: str, member: str, *, inherit: bool) -> None:
    with_options = catalogue.connection.info.server_version >= _OPTIONS_SINCE
    options = "bool_or(m.inherit_option) AND bool_or(m.set_option)" if with_options else "true"
    sufficient = catalogue.value(
        f"SELECT {options} FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"  # noqa: S608  # one of two texts
        " JOIN pg_roles r ON r.oid = m.member WHERE g.rolname = %s AND r.rolname = %s",
        group,
        member,
    )
    member_at_all = catalogue.value(
        "SELECT 1 FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid"
        " JOIN pg_roles r ON r.oid = m.member WHERE g.rolname = %s AND r.rolname = %s",
        group,
        member,
    )
    if not (member_at_all and sufficient):
        clause = f" WITH INHERIT {str(inherit).upper()}, SET TRUE" if with_options else ""
        catalogue.change(f"made {member} a member of {group}", f"GRANT {{}} TO {{}}{clause}", group, member)


def _known_verifier(catalogue: Catalogue, name: str) -> str | None:
    """The stored verifier; None where there is none, or where a provider does not let us read it."""
    try:
        found = catalogue.value("SELECT rolpassword FROM pg_authid WHERE rolname = %s", name)
    except errors.InsufficientPrivilege:
        return None
    return None if found is None else str(found)
