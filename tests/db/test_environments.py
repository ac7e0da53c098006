"""Every environment refuses what it should, and in all of them the applications come to the same schema and rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.orm import Session

from db import apps, engine, migrations
from db.apps.dovvybuddy.queries import nearest
from db.apps.dovvybuddy.seeds.demo import CHUNKS, vector
from db.bootstrap import Login, bootstrap
from db.errors import PoolerError
from db.migrations import snapshot
from tests.db import environments
from tests.db.catalogue import BOOKKEEPING
from tests.db.cold_start import FAILURES, WORDS
from tests.db.conftest import Connection, Prepare, Prepared, access_for, preparing, provide
from tests.db.environments import API_ROLES, ENVIRONMENTS, PASSWORD, Environment
from tests.db.outcomes import Outcome, schema, seed, strangers_rights, up

WITHOUT_SUPERUSER = [name for name in ENVIRONMENTS if "-like" in name or name == "cold-start"]
SUPABASE = [name for name in ENVIRONMENTS if name.startswith("supabase")]
POOLED = ["pooler", "neon-like", *SUPABASE]
REFUSED = {
    "an event trigger": "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION careless.noticed()",
    "a server's setting": "ALTER SYSTEM SET work_mem = '8MB'",
    "writing without triggers": "SET session_replication_role = replica",
    "an application's setting for the database": "ALTER DATABASE {database} SET app.organization_id = 'x'",
    "publishing all tables": "CREATE PUBLICATION mine FOR ALL TABLES",
    "a program of the server": "COPY careless.rows FROM PROGRAM 'true'",
    "a file of the server": "COPY careless.rows TO '/tmp/mine'",
    "a superuser": "CREATE ROLE mine SUPERUSER",
    "the verifiers of logins": "SELECT rolpassword FROM pg_authid",
    "an extension that reaches the server's files": "CREATE EXTENSION file_fdw",
}


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    with environments.start(request.param) as started:
        yield started


@pytest.fixture(scope="module")
def prepare(environment: Environment) -> Iterator[Prepare]:
    with preparing(environment.server) as prepared:
        yield prepared


@pytest.fixture(scope="module")
def maps(environment: Environment, prepare: Prepare) -> Prepared:
    """A database with a table that somebody careless made with the identity that bootstraps."""
    prepared = prepare("maps")
    with identity(environment, prepared) as connection:
        connection.execute(
            "CREATE SCHEMA careless; CREATE TABLE careless.rows (n int); GRANT USAGE ON SCHEMA careless TO PUBLIC;"
            "CREATE FUNCTION careless.noticed() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'"
        )
    return prepared


def identity(environment: Environment, prepared: Prepared) -> closing[Connection]:
    """A connection of who bootstraps to the database of `prepared`."""
    keywords = {**environment.server.bootstraps, "port": environment.server.admin["port"]}
    return closing(psycopg.connect(**keywords, dbname=prepared.access.database, autocommit=True))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def reference() -> Iterator[Callable[[str, bool], Outcome]]:
    """What becomes of an app in this project's own image, with and without pgvector."""
    with (
        environments.start("direct") as direct,
        environments.start("without-vector") as without,
        preparing(direct.server) as prepare,
    ):
        yield cache(lambda app, vectors: up(prepare(app, (direct if vectors else without).server), app))


def test_the_documentation_lists_them_all() -> None:
    page = (Path(__file__).parents[2] / "docs/environments.md").read_text()
    table = "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `"))

    assert re.findall(r"`(\S+)`", table) == list(ENVIRONMENTS)


@pytest.mark.parametrize("environment", WITHOUT_SUPERUSER, indirect=True)
@pytest.mark.parametrize("what", REFUSED)
def test_who_bootstraps_a_managed_server_is_refused(environment: Environment, maps: Prepared, what: str) -> None:
    statement = REFUSED[what].format(database=maps.access.database)

    with identity(environment, maps) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.parametrize("environment", WITHOUT_SUPERUSER, indirect=True)
def test_no_policy_binds_who_bootstraps_a_managed_server(environment: Environment, maps: Prepared) -> None:
    with identity(environment, maps) as connection:
        attributes = (
            "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        )
        assert connection.execute(attributes).fetchall() == [(False, True, True, True)]
        assert connection.execute("SELECT row_security_active('careless.rows')").fetchone() == (False,)


@pytest.mark.parametrize("environment", SUPABASE, indirect=True)
def test_supabases_own_schemas_and_roles_are_out_of_reach(environment: Environment, maps: Prepared) -> None:
    with identity(environment, maps) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("2min",)
        for statement in (
            "CREATE TABLE auth.mine ()",
            "DROP TABLE auth.users",
            "CREATE TABLE storage.mine ()",
            "CREATE TABLE realtime.mine ()",
            "ALTER ROLE anon BYPASSRLS",
            "ALTER ROLE supabase_auth_admin PASSWORD 'mine'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("environment", SUPABASE, indirect=True)
def test_vector_is_created_in_supabases_schema_for_extensions_unless_it_stands_there(
    environment: Environment, maps: Prepared
) -> None:
    created = f"created extension vector in {maps.access.database}" in maps.outcome.changes

    assert created == environment.name.endswith("no-vector-yet")
    assert maps.rows(
        "SELECT extnamespace::regnamespace::text, n.nspowner::regrole::text FROM pg_extension"
        " JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector'"
    ) == [("extensions", "postgres")]


@pytest.mark.parametrize("environment", SUPABASE, indirect=True)
@pytest.mark.parametrize("role", API_ROLES)
def test_a_careless_table_is_open_to_the_api_where_supabase_grants_so_and_ours_never_is(
    environment: Environment, maps: Prepared, role: str
) -> None:
    migrations.upgrade("maps", maps.owner_url, report=lambda _: None)

    with closing(maps.admin()) as admin:
        admin.execute(f"SET ROLE {role}")
        may = admin.execute("SELECT has_table_privilege('careless.rows', 'INSERT, UPDATE, DELETE')").fetchone()
        assert may == (environment.api_grants,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for schema maps"):
            admin.execute("SELECT FROM maps.users")


@pytest.mark.parametrize("environment", SUPABASE, indirect=True)
def test_the_bootstrap_leaves_the_providers_own_services_connected(
    environment: Environment, maps: Prepared, lines: list[str]
) -> None:
    again = bootstrap(environment.server.bootstraps, [maps.access], report=lines.append)

    assert [line for line in again.changes if not line.startswith("set the password of")] == []
    assert (
        f"database {maps.access.database} stays open to PUBLIC: others work in it too"
        " (schemas auth, careless, realtime, storage)"
    ) in lines
    for login in ("authenticator", "supabase_auth_admin"):
        keywords = {**environment.server.bootstraps, "user": login, "password": PASSWORD}
        with closing(psycopg.connect(**keywords, dbname=maps.access.database)) as service:  # type: ignore[arg-type]
            service.execute("CREATE TEMPORARY TABLE mine ()")


@pytest.mark.parametrize("environment", ["neon-like"], indirect=True)
def test_a_database_that_nobody_else_works_in_is_closed_to_the_servers_other_logins(
    environment: Environment, maps: Prepared
) -> None:
    with identity(environment, maps) as connection:
        connection.execute(f"CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}'")

    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(maps.server.url(Login("stranger", PASSWORD), maps.access.database))


@pytest.mark.parametrize("environment", POOLED, indirect=True)
def test_the_pooler_changes_the_server_process_and_migrations_refuse_it(
    environment: Environment, maps: Prepared, tmp_path: Path
) -> None:
    with environment.application_url(maps, tmp_path) as url:
        with closing(psycopg.connect(url, prepare_threshold=None)) as connection:
            seen = set()
            for _ in range(200):
                seen |= {pid for (pid,) in connection.execute("SELECT pg_backend_pid() FROM pg_sleep(0.001)")}
                connection.commit()
        assert len(seen) == 2
        with pytest.raises(PoolerError, match="leads to a transaction pooler"):
            migrations.upgrade("maps", url, report=lambda _: None)


@pytest.mark.parametrize("environment", ["cold-start"], indirect=True)
def test_a_sleeping_server_fails_the_first_connects_without_a_word_and_in_neons(
    environment: Environment, maps: Prepared
) -> None:
    environment.suspend()

    said = []
    for _ in range(FAILURES):
        with pytest.raises(psycopg.OperationalError) as failure:
            psycopg.connect(maps.app_url)
        said.append(str(failure.value))

    assert {WORDS in it for it in said} == {True, False}
    psycopg.connect(maps.app_url).close()


@pytest.mark.parametrize("app", apps.names())
@pytest.mark.requirement("panamia.stack.versions", "panamia.corrections.versions")
def test_the_schema_and_the_rows_are_the_same_up_and_down_and_up_again(
    environment: Environment, prepare: Prepare, reference: Callable[[str, bool], Outcome], app: str
) -> None:
    expected = reference(app, environment.vectors)
    environment.suspend()
    prepared = prepare(app)

    for _ in range(2):
        environment.suspend()
        found = up(prepared, app)
        assert found.schema == snapshot.file(app, vectors=environment.vectors).read_text()
        assert found == expected
        assert seed(prepared, app) == 0
        assert strangers_rights(prepared, app) == []

        environment.suspend()
        migrations.downgrade(app, prepared.owner_url, target="base", report=lambda _: None)
        assert set(schema(prepared, app).objects["table"]) == set(BOOKKEEPING)


def test_the_application_finds_its_neighbours_by_the_environments_url(
    environment: Environment, prepare: Prepare, tmp_path: Path
) -> None:
    prepared = prepare("dovvybuddy")
    up(prepared, "dovvybuddy")

    found = []
    try:
        with environment.application_url(prepared, tmp_path) as url:
            for path, _, _ in CHUNKS[:2]:
                environment.suspend()  # cuts what the engine keeps; it notices
                with Session(engine.engine(url)) as session:
                    found += [it.chunk.content_path for it in nearest(session, vector(path), limit=1)]
    finally:
        engine.dispose()

    assert found == [path for path, _, _ in CHUNKS[:2]]


@pytest.mark.parametrize("environment", ["direct", "neon-like", "supabase-like"], indirect=True)
def test_all_applications_share_one_database(
    environment: Environment, reference: Callable[[str, bool], Outcome]
) -> None:
    server = environment.server
    accesses = [access_for(app, "shared") for app in apps.in_order(apps.names())]
    provide(server, "shared")
    try:
        for access in accesses:
            # again before each app: a guest's grants need its host's tables
            prepared = Prepared(server, access, bootstrap(server.bootstraps, accesses, report=lambda _: None))
            assert up(prepared, access.app) == reference(access.app, True)
    finally:
        with closing(server.connect()) as admin:
            admin.execute("DROP DATABASE IF EXISTS shared WITH (FORCE)")
