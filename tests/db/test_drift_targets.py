"""What providers do differently is no drift: an extension in another schema, another owner, guests, schemas."""

from __future__ import annotations

from contextlib import closing

import pytest

from db import migrations
from db.bootstrap import bootstrap
from db.migrations import drift, snapshot
from tests.db.conftest import Connection, Prepare, Prepared, access_for


def differences(connection: Connection, app: str) -> list[str]:
    return [str(it) for it in drift.compare(snapshot.load(app), snapshot.read(connection, app))]


@pytest.fixture(scope="module")
def dovvybuddy(prepare: Prepare) -> Prepared:
    prepared = prepare("dovvybuddy")
    migrations.upgrade("dovvybuddy", prepared.owner_url, report=lambda _: None)
    return prepared


def provide(connection: Connection, prepared: Prepared) -> None:
    """The database as on a provider's server: who administers it is no superuser."""
    connection.execute("CREATE ROLE provided_for CREATEROLE")
    connection.execute(f"ALTER DATABASE {prepared.access.database} OWNER TO provided_for")


# what superusers do around the schema
PROVIDERS_OWN = (
    "CREATE FUNCTION extensions.noticed() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
    " CREATE EVENT TRIGGER noticing ON ddl_command_end EXECUTE FUNCTION extensions.noticed()",
    "CREATE EXTENSION hstore SCHEMA extensions",
    "CREATE PUBLICATION supabase_realtime",
    "CREATE PUBLICATION everything FOR ALL TABLES",
    "CREATE CAST (bigint AS text) WITH INOUT AS IMPLICIT",
    "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC",
    "CREATE ROLE service; GRANT ALL ON DATABASE {database} TO service; GRANT CREATE ON SCHEMA public TO service",
    "ALTER DATABASE {database} SET statement_timeout = '2min'",
    "ALTER DATABASE {database} SET app.settings.jwt_exp = '3600'",
    "CREATE SCHEMA auth; GRANT CONNECT, TEMPORARY ON DATABASE {database} TO PUBLIC",
)


@pytest.mark.parametrize("statement", PROVIDERS_OWN)
def test_what_a_superuser_did_is_the_providers_business_where_there_is_one(
    dovvybuddy: Prepared, statement: str
) -> None:
    with closing(dovvybuddy.admin()) as connection, connection.transaction(force_rollback=True):
        for part in statement.format(database=dovvybuddy.access.database).split("; "):
            connection.execute(part)
        unprovided = differences(connection, "dovvybuddy")
        provide(connection, dovvybuddy)

        assert differences(connection, "dovvybuddy") == []
        assert bool(unprovided) == (statement != "CREATE PUBLICATION supabase_realtime")  # it publishes nothing of ours


def test_what_the_administrator_did_is_told_on_a_providers_server_too(dovvybuddy: Prepared) -> None:
    with closing(dovvybuddy.admin()) as connection, connection.transaction(force_rollback=True):
        provide(connection, dovvybuddy)
        connection.execute("GRANT CREATE ON SCHEMA extensions TO provided_for; CREATE PUBLICATION supabase_realtime")
        connection.execute("ALTER PUBLICATION supabase_realtime ADD TABLE dovvybuddy.leads")
        connection.execute("CREATE EXTENSION citext SCHEMA public; SET LOCAL ROLE provided_for")
        connection.execute("CREATE EXTENSION hstore SCHEMA extensions; CREATE TABLE extensions.mine ()")
        connection.execute("CREATE ROLE bob; RESET ROLE; GRANT dovvybuddy_app TO bob")
        told = differences(connection, "dovvybuddy")

    assert [line.partition(" should not be there")[0] for line in told] == [
        "dovvybuddy: extension citext",
        "dovvybuddy: extension hstore",
        "dovvybuddy: publication supabase_realtime of leads",
        "dovvybuddy: role membership bob in dovvybuddy_app",
        "dovvybuddy: stray object table extensions.mine",
    ]


def test_a_copy_or_a_restored_database_has_no_privileges_of_its_own_yet(dovvybuddy: Prepared) -> None:
    name = f"{dovvybuddy.access.database}_copy"
    with closing(dovvybuddy.server.connect()) as control:
        control.execute(f"CREATE DATABASE {name} TEMPLATE {dovvybuddy.access.database}")
        try:
            with closing(dovvybuddy.server.connect(name)) as connection:
                assert differences(connection, "dovvybuddy") == []
        finally:
            control.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_extensions_that_stand_in_another_schema_are_no_drift_while_all_groups_reach_them(dovvybuddy: Prepared) -> None:
    with closing(dovvybuddy.admin()) as connection, connection.transaction(force_rollback=True):
        connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
        for extension in ("vector", "pg_trgm", '"uuid-ossp"'):
            connection.execute(f"ALTER EXTENSION {extension} SET SCHEMA public")
        assert differences(connection, "dovvybuddy") == []

        connection.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
        told = differences(connection, "dovvybuddy")

    assert [line.partition(":")[2].partition(" differs")[0] for line in told] == [
        " extension pg_trgm",
        " extension uuid-ossp",
        " extension vector",
    ]


def test_a_providers_role_as_the_owner_of_everything_is_no_drift(dovvybuddy: Prepared) -> None:
    with closing(dovvybuddy.admin()) as connection, connection.transaction(force_rollback=True):
        connection.execute("ALTER ROLE dovvybuddy_owner RENAME TO neondb_owner")
        assert differences(connection, "dovvybuddy") == []

        connection.execute("ALTER TABLE dovvybuddy.leads OWNER TO postgres")
        [told] = differences(connection, "dovvybuddy")

    assert told.startswith(
        "dovvybuddy: table leads differs in its owner: the repository says owner, the database has p"
    )


def test_a_providers_schemas_are_no_strays_but_what_its_roles_may_do_with_ours_is_told(dovvybuddy: Prepared) -> None:
    with closing(dovvybuddy.admin()) as connection, connection.transaction(force_rollback=True):
        connection.execute("CREATE SCHEMA auth; CREATE SCHEMA realtime; CREATE ROLE anon; CREATE TABLE auth.users ()")
        connection.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon")
        assert len(differences(connection, "dovvybuddy")) == 2  # nobody provides this server
        provide(connection, dovvybuddy)
        assert differences(connection, "dovvybuddy") == []

        connection.execute("GRANT SELECT ON dovvybuddy.leads TO anon")
        [told] = differences(connection, "dovvybuddy")

    assert told.startswith("dovvybuddy: grants table leads differ for anon: in the database it has SELECT, which the")


def test_a_guest_is_no_drift_of_its_host_while_it_has_what_the_host_gives_it(prepare: Prepare) -> None:
    host = prepare("petsitting")  # in panamia's database
    migrations.upgrade("petsitting", host.owner_url, report=lambda _: None)
    with closing(host.admin()) as connection, connection.transaction(force_rollback=True):
        assert differences(connection, "panamia") == []
        assert differences(connection, "petsitting") == []

        connection.execute("GRANT UPDATE (email) ON panamia.users TO petsitting_app")
        [told] = differences(connection, "panamia")

    assert told == (
        "panamia: grants column users.email differ for petsitting_app: in the database it has UPDATE, which the"
        " repository does not give. Way out: `REVOKE UPDATE (email) ON panamia.users FROM petsitting_app`, or keep the"
        " change as a new revision"
    )


def test_apps_that_share_one_database_are_no_drift_of_each_other(dovvybuddy: Prepared) -> None:
    access = access_for("maps", dovvybuddy.access.database)
    bootstrap(dovvybuddy.server.admin, [access], report=lambda _: None)
    migrations.upgrade("maps", dovvybuddy.server.url(access.owner, access.database), report=lambda _: None)

    with closing(dovvybuddy.admin()) as connection:
        assert differences(connection, "maps") == []
        assert differences(connection, "dovvybuddy") == []
