"""Who may not do what: each login reaches its own database, by its own way, and no further."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors

from tests.deployment import Stack

REFUSED_WRITES = [
    "INSERT INTO destinations (name, country) VALUES ('Atlantis', 'Nowhere')",
    "UPDATE destinations SET name = 'Atlantis'",
    "DELETE FROM dive_sites",
    "TRUNCATE leads",
    "CREATE TABLE mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "CREATE SCHEMA mine",
    "SELECT pg_read_file('/etc/pgstack/tls/server.key')",
    "COPY destinations TO PROGRAM 'true'",
]


def connect(stack: Stack, output: str, **changed: Any) -> psycopg.Connection[Any]:
    """A connection by an output with parts of the URL changed; `through` names the output whose port is taken."""
    if through := changed.pop("through", None):
        changed["port"] = urlsplit(stack.outputs[through]).port
    return psycopg.connect(stack.outputs[output], sslrootcert=str(stack.ca_file), autocommit=True, **changed)


@pytest.fixture
def superuser(stack: Stack) -> Iterator[dict[str, str]]:
    """A superuser with a password, which a stack does not have: so that a refusal is not about the password."""
    stack.admin_sql("CREATE ROLE test_superuser SUPERUSER LOGIN PASSWORD 'open sesame'")
    yield {"user": "test_superuser", "password": "open sesame"}
    stack.admin_sql("DROP ROLE test_superuser")


@pytest.mark.parametrize("statement", REFUSED_WRITES)
def test_the_readonly_login_cannot_write_even_after_it_turned_read_only_off(stack: Stack, statement: str) -> None:
    with connect(stack, "dovvybuddy_readonly_url") as pooled:
        pooled.autocommit = pooled.read_only = False  # BEGIN READ WRITE
        with pytest.raises(errors.InsufficientPrivilege):
            pooled.execute(statement)
    with connect(stack, "dovvybuddy_readonly_url", through="dovvybuddy_direct_url", dbname="dovvybuddy") as direct:
        direct.execute("SET default_transaction_read_only = off")
        with pytest.raises(errors.InsufficientPrivilege):
            direct.execute(statement)


def test_the_application_login_writes_rows_but_no_tables(stack: Stack) -> None:
    with connect(stack, "dovvybuddy_pooled_url") as connection:
        with connection.transaction(force_rollback=True):
            connection.execute("INSERT INTO leads (type) VALUES ('trip')")
        for statement in ("CREATE TABLE mine (id int)", "DROP TABLE leads", "DELETE FROM migration_history"):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("app", ["dovvybuddy", "maps"])
def test_the_pooler_refuses_an_owner_whose_password_is_right(stack: Stack, app: str) -> None:
    with connect(stack, f"{app}_direct_url") as direct:
        assert direct.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="no such user"):
        connect(stack, f"{app}_direct_url", through=f"{app}_pooled_url")


def test_the_pooler_refuses_a_superuser_whose_password_is_right(stack: Stack, superuser: dict[str, str]) -> None:
    with connect(stack, "maps_direct_url", **superuser) as direct:
        assert direct.execute("SHOW is_superuser").fetchone() == ("on",)
    with pytest.raises(psycopg.OperationalError, match="no such user"):
        connect(stack, "maps_pooled_url", **superuser)


@pytest.mark.parametrize("user", ["postgres", "pgstack_admin", "pgbouncer_auth", "pgbouncer"])
@pytest.mark.parametrize("way", ["pooled", "direct"])
def test_the_stacks_own_logins_are_nobodys_over_the_published_ports(stack: Stack, user: str, way: str) -> None:
    for password in ("", user, "postgres"):
        with pytest.raises(psycopg.OperationalError):
            connect(stack, f"maps_{way}_url", user=user, password=password, passfile="/dev/null")


@pytest.mark.parametrize("way", ["pooled", "readonly", "direct"])
def test_one_apps_login_is_refused_by_the_other_apps_database(stack: Stack, way: str) -> None:
    other = {"pooled": "maps", "readonly": "maps_readonly", "direct": "maps"}[way]
    with pytest.raises(psycopg.OperationalError, match='permission denied for database "maps"'):
        connect(stack, f"dovvybuddy_{way}_url", dbname=other)


@pytest.mark.parametrize("way", ["pooled", "readonly", "direct"])
@pytest.mark.parametrize("database", ["postgres", "template1", "pgbouncer", "pgstack_lookup"])
def test_no_database_but_the_apps_is_reachable(stack: Stack, way: str, database: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        connect(stack, f"maps_{way}_url", dbname=database)


def test_an_application_sees_no_verifier_and_no_other_logins_queries(stack: Stack) -> None:
    with connect(stack, "maps_pooled_url") as connection:
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("SELECT rolpassword FROM pg_authid")
        seen = connection.execute("SELECT query FROM pg_stat_activity WHERE usename <> current_user").fetchall()
    assert {query for (query,) in seen} <= {"<insufficient privilege>", None, ""}
