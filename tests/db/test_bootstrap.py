"""The bootstrap: everything there after one run, nothing changed by a second."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import sql

from db.bootstrap import AppAccess, Login, bootstrap
from db.errors import BootstrapError, UnreachableError
from tests.db.conftest import Prepare, Prepared, Server

Lookup = Callable[[str], list[tuple[Any, ...]]]

# every catalogue that the bootstrap may touch, with xmin: a rewritten row counts as a change
CATALOGUES = (
    "SELECT oid, xmin::text, rolname, rolpassword, rolcanlogin FROM pg_authid ORDER BY 1",
    "SELECT roleid, member, xmin::text FROM pg_auth_members ORDER BY 1, 2",
    "SELECT setdatabase, setrole, setconfig, xmin::text FROM pg_db_role_setting ORDER BY 1, 2",
    "SELECT oid, xmin::text, datacl::text FROM pg_database WHERE datname !~ '^test' OR datname = current_database()",
    "SELECT oid, xmin::text, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_t' ORDER BY 1",
    "SELECT oid, xmin::text, defaclacl::text FROM pg_default_acl ORDER BY 1",
    "SELECT oid, xmin::text, extname FROM pg_extension ORDER BY 1",
    "SELECT oid, xmin::text, proacl::text FROM pg_proc WHERE oid >= 16384 ORDER BY 1",
)


def catalogue(prepared: Prepared) -> list[list[tuple[Any, ...]]]:
    with closing(prepared.admin()) as inside, closing(prepared.server.connect()) as cluster:
        return [connection.execute(query).fetchall() for connection in (inside, cluster) for query in CATALOGUES]


def test_a_second_run_changes_nothing_in_any_catalogue_not_even_a_verifier(prepare: Prepare, lines: list[str]) -> None:
    prepared = prepare("maps")
    bootstrap(prepared.server.admin, [prepared.access], pooler_lookup="pgbouncer_auth", report=lines.append)
    before = catalogue(prepared)

    again = bootstrap(prepared.server.admin, [prepared.access], pooler_lookup="pgbouncer_auth", report=lines.append)

    assert again.changes == ()
    assert catalogue(prepared) == before


def test_it_takes_a_function_that_opens_connections(prepare: Prepare) -> None:
    prepared = prepare("maps")

    again = bootstrap(prepared.server.connect, [prepared.access], report=lambda _: None)

    assert again.changes == ()


def test_extensions_stand_in_their_own_schema(prepare: Prepare) -> None:
    prepared = prepare("dovvybuddy")

    rows = prepared.rows("SELECT extname, extnamespace::regnamespace::text FROM pg_extension ORDER BY 1")

    assert rows == [
        ("pg_trgm", "extensions"),
        ("plpgsql", "pg_catalog"),
        ("uuid-ossp", "extensions"),
        ("vector", "extensions"),
    ]
    assert prepared.outcome.missing_extensions == {"dovvybuddy": ()}


def test_a_server_without_pgvector_is_reported_and_goes_on(prepare: Prepare, server_without_vector: Server) -> None:
    prepared = prepare("dovvybuddy", server_without_vector)

    assert prepared.outcome.missing_extensions == {"dovvybuddy": ("vector",)}


def test_an_extension_that_stands_elsewhere_is_found_by_every_login(prepare: Prepare, server: Server) -> None:
    prepared = prepare("maps")
    with closing(prepared.admin()) as admin:
        admin.execute("DROP EXTENSION pg_trgm; CREATE SCHEMA elsewhere; CREATE EXTENSION pg_trgm SCHEMA elsewhere")

    bootstrap(server.admin, [prepared.access], report=lambda _: None)

    try:
        with psycopg.connect(prepared.app_url) as app:
            assert app.execute("SELECT similarity('cozumel', 'cozumel')").fetchone() == (1.0,)
    finally:  # the path of a login holds for all databases: put it back for the other tests
        with closing(prepared.admin()) as admin:
            admin.execute("DROP EXTENSION pg_trgm; CREATE EXTENSION pg_trgm SCHEMA extensions")
        bootstrap(server.admin, [prepared.access], report=lambda _: None)


@pytest.mark.parametrize(
    ("login", "settings"),
    [
        ("app_url", {"statement_timeout": "30s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "1min"}),
        ("readonly_url", {"statement_timeout": "1min", "default_transaction_read_only": "on"}),
        ("owner_url", {"statement_timeout": "0", "idle_in_transaction_session_timeout": "10min"}),
    ],
)
def test_each_login_begins_with_its_own_timeouts_and_the_apps_search_path(
    prepare: Prepare, login: str, settings: dict[str, str]
) -> None:
    prepared = prepare("maps")

    with psycopg.connect(getattr(prepared, login)) as connection:
        for name, value in {**settings, "search_path": "maps, extensions", "TimeZone": "UTC"}.items():
            assert connection.execute(f"SHOW {name}").fetchone() == (value,)


def test_what_an_owners_login_creates_belongs_to_the_group(prepare: Prepare) -> None:
    prepared = prepare("maps")

    with psycopg.connect(prepared.owner_url) as owner:
        owner.execute("CREATE TABLE mine ()")

    assert prepared.rows("SELECT tableowner FROM pg_tables WHERE tablename = 'mine'") == [("maps_owner",)]


def test_a_changed_password_replaces_the_verifier_and_an_equal_one_keeps_it(prepare: Prepare, server: Server) -> None:
    prepared = prepare("maps")
    rotated = AppAccess(
        "maps",
        prepared.access.database,
        prepared.access.owner,
        Login("maps_app_test", "first password"),
        prepared.access.readonly,
    )
    query = "SELECT rolpassword FROM pg_authid WHERE rolname = 'maps_app_test'"
    try:
        bootstrap(server.admin, [rotated], report=lambda _: None)
        first = prepared.rows(query)
        bootstrap(server.admin, [rotated], report=lambda _: None)
        assert prepared.rows(query) == first

        changed = AppAccess(
            "maps", rotated.database, rotated.owner, Login("maps_app_test", "second password"), rotated.readonly
        )
        outcome = bootstrap(server.admin, [changed], report=lambda _: None)

        assert outcome.changes == ("set the password of maps_app_test",)
        assert prepared.rows(query) != first
        with psycopg.connect(server.url(changed.application, changed.database)) as connection:
            assert connection.execute("SELECT session_user::text").fetchone() == ("maps_app_test",)
    finally:
        with closing(server.connect()) as admin:
            admin.execute("DROP ROLE IF EXISTS maps_app_test")


def test_no_password_reaches_the_server_in_clear(prepare: Prepare) -> None:
    prepared = prepare("maps")

    stored = prepared.rows("SELECT rolpassword FROM pg_authid WHERE rolname ~ '^maps_.*_1$'")

    assert len(stored) == 3
    assert all(verifier.startswith("SCRAM-SHA-256$4096:") for (verifier,) in stored)


def test_a_login_that_gained_rights_loses_them_again(prepare: Prepare, server: Server) -> None:
    prepared = prepare("maps")
    with closing(server.connect()) as admin:
        admin.execute("ALTER ROLE maps_app_1 CREATEDB BYPASSRLS; GRANT maps_owner TO maps_app_1")

    outcome = bootstrap(server.admin, [prepared.access], report=lambda _: None)

    assert outcome.changes == ("made maps_app_1 NOCREATEDB NOBYPASSRLS", "took maps_app_1 out of maps_owner")


def test_an_administrator_without_superuser_can_do_it_as_on_a_managed_server(server: Server) -> None:
    access = AppAccess(
        "managed",
        "test_managed",
        Login("managed_owner_1", "an owner's test password"),
        Login("managed_app_1", "an app's test password"),
        Login("managed_readonly_1", "a reader's test password"),
    )
    trusted = "SELECT bool_and(trusted) FROM pg_available_extension_versions WHERE name = 'vector'"
    with closing(server.connect()) as admin:
        assert admin.execute(trusted).fetchone() == (True,)  # as the project's image has it
        admin.execute("CREATE ROLE provider LOGIN CREATEROLE CREATEDB PASSWORD 'provider test password'")
        admin.execute("GRANT CONNECT ON DATABASE postgres TO provider")
    keywords = {
        "host": server.host,
        "port": str(server.port),
        "user": "provider",
        "password": "provider test password",
    }
    try:
        first = bootstrap(keywords, [access], report=lambda _: None)
        again = bootstrap(keywords, [access], report=lambda _: None)

        assert "created extension vector in test_managed" in first.changes
        # a provider hides the verifiers, so they are set again
        assert again.changes == tuple(f"set the password of {login.name}" for login in access.logins)
        with psycopg.connect(server.url(access.owner, access.database)) as owner:
            owner.execute("CREATE TABLE mine ()")
        with psycopg.connect(server.url(access.application, access.database)) as app:
            app.execute("SELECT FROM mine")
    finally:
        with closing(server.connect()) as admin:
            admin.execute("DROP DATABASE IF EXISTS test_managed WITH (FORCE)")
            for role in ("owner_1", "app_1", "readonly_1", "owner", "app", "readonly"):
                admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(f"managed_{role}")))
            admin.execute("REVOKE CONNECT ON DATABASE postgres FROM provider")
            admin.execute("DROP ROLE provider")


def test_an_administrator_without_rights_gets_one_line(prepare: Prepare, server: Server) -> None:
    prepared = prepare("maps")
    keywords = {
        "host": server.host,
        "port": str(server.port),
        "user": "maps_app_1",
        "password": prepared.access.application.password,
    }
    with closing(server.connect()) as admin:
        admin.execute("GRANT CONNECT ON DATABASE postgres TO maps_app_1")
    try:
        with pytest.raises(BootstrapError) as failure:
            bootstrap(keywords, [AppAccess("x", "x", *(Login(f"x_{i}", "p") for i in range(3)))], report=lambda _: None)
    finally:
        with closing(server.connect()) as admin:
            admin.execute("REVOKE CONNECT ON DATABASE postgres FROM maps_app_1")

    assert str(failure.value).startswith("cannot prepare roles as maps_app_1: SQLSTATE 42501, permission denied")
    assert "\n" not in str(failure.value)


def test_a_server_that_is_down_gets_one_line(prepare: Prepare) -> None:
    prepared = prepare("maps")
    nowhere = {"host": "127.0.0.1", "port": "1", "user": "admin"}

    with pytest.raises(UnreachableError, match=r"nothing listens at 127\.0\.0\.1:1: is the server running\?"):
        bootstrap(nowhere, [prepared.access], report=lambda _: None, patience=0.2)


class TestThePoolersLookup:
    @pytest.fixture
    def lookup(self, prepare: Prepare, server: Server) -> Iterator[Lookup]:
        prepared = prepare("maps")
        bootstrap(server.admin, [prepared.access], pooler_lookup="pgbouncer_auth", report=lambda _: None)
        with closing(server.connect()) as admin:
            admin.execute("SET ROLE pgbouncer_auth")

            def ask(name: str) -> list[tuple[Any, ...]]:
                return admin.execute("SELECT uname, phash FROM pgbouncer.user_lookup(%s)", (name,)).fetchall()

            yield ask

    @pytest.mark.parametrize("name", ["maps_app_1", "maps_readonly_1"])
    def test_it_gives_an_applications_verifier(self, lookup: Lookup, name: str) -> None:
        [(found, verifier)] = lookup(name)

        assert found == name
        assert verifier.startswith("SCRAM-SHA-256$")

    @pytest.mark.parametrize("name", ["postgres", "maps_owner_1", "maps_app", "pgbouncer_auth_x", "", "' OR true --"])
    def test_it_refuses_superusers_owners_groups_and_strangers(self, lookup: Lookup, name: str) -> None:
        assert lookup(name) == []

    @pytest.mark.parametrize("attribute", ["REPLICATION", "BYPASSRLS", "NOLOGIN", "VALID UNTIL '2020-01-01'"])
    def test_it_refuses_logins_that_are_expired_or_more_than_logins(
        self, lookup: Lookup, server: Server, attribute: str
    ) -> None:
        with closing(server.connect()) as admin:
            admin.execute(f"CREATE ROLE peculiar LOGIN PASSWORD 'x'; ALTER ROLE peculiar {attribute}")
            try:
                assert lookup("peculiar") == []
            finally:
                admin.execute("DROP ROLE peculiar")

    @pytest.mark.usefixtures("lookup")
    def test_nobody_else_may_ask(self, server: Server) -> None:
        with closing(server.connect()) as admin:
            admin.execute("GRANT USAGE ON SCHEMA pgbouncer TO maps_app_1; SET ROLE maps_app_1")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                admin.execute("SELECT pgbouncer.user_lookup('maps_app_1')")
            admin.execute("RESET ROLE; REVOKE USAGE ON SCHEMA pgbouncer FROM maps_app_1")
