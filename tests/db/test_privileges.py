"""What each login may do in a migrated database, and what it may not."""

import psycopg
import pytest

from db import migrations
from db.bootstrap import bootstrap
from tests.db.conftest import Prepare, Prepared, Server

DENIED = psycopg.errors.InsufficientPrivilege


@pytest.fixture(scope="module")
def maps(prepare: Prepare) -> Prepared:
    prepared = prepare("maps")
    migrations.upgrade("maps", prepared.owner_url, report=lambda _: None)
    return prepared


def test_the_application_reads_and_writes_rows(maps: Prepared) -> None:
    with psycopg.connect(maps.app_url) as app:
        app.execute("INSERT INTO users (id, email, name) VALUES ('a', 'a@example.com', 'A')")
        app.execute("UPDATE users SET name = 'B'")
        assert app.execute("SELECT name FROM users").fetchall() == [("B",)]
        app.execute("DELETE FROM users")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine ()",
        "CREATE TABLE public.mine ()",
        "CREATE SCHEMA mine",
        "ALTER TABLE users ADD COLUMN mine int",
        "DROP TABLE users",
        "TRUNCATE users CASCADE",
        "CREATE INDEX ON users (name)",
        "CREATE EXTENSION hstore",
        "SET ROLE maps_owner",
        "UPDATE alembic_version SET version_num = 'x'",
        "DELETE FROM alembic_version",
        "INSERT INTO migration_history (revision, checksum, duration) VALUES ('x', 'x', '0')",
        "UPDATE migration_history SET checksum = 'x'",
        "DELETE FROM migration_history",
        "TRUNCATE migration_history",
    ],
)
def test_the_application_may_not_change_the_schema_nor_its_history(maps: Prepared, statement: str) -> None:
    with psycopg.connect(maps.app_url) as app, pytest.raises(DENIED):
        app.execute(statement)


@pytest.mark.parametrize("login", ["app_url", "readonly_url"])
def test_everyone_may_read_the_history(maps: Prepared, login: str) -> None:
    with psycopg.connect(getattr(maps, login)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("0003_readers_see_no_tokens",)
        ]
        assert len(connection.execute("SELECT revision FROM migration_history").fetchall()) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users (id, email, name) VALUES ('a', 'a@example.com', 'A')",
        "UPDATE users SET name = 'x'",
        "DELETE FROM users",
        "TRUNCATE users CASCADE",
        "CREATE TABLE mine ()",
        "CREATE TEMP TABLE mine ()",
        "SELECT * FROM users FOR UPDATE",
        "SET ROLE maps_app",
    ],
)
def test_the_readonly_login_may_not_write_even_after_it_undid_its_setting(maps: Prepared, statement: str) -> None:
    with psycopg.connect(maps.readonly_url, autocommit=True) as reader:
        reader.execute("SET default_transaction_read_only = off")
        assert reader.execute("SELECT count(*) FROM users").fetchone() == (0,)
        with pytest.raises(DENIED):
            reader.execute(statement)


CLOSED = {  # the revision before, and the one that closes
    "maps": ("0002_better_auth", "0003_readers_see_no_tokens"),
    "panamia": ("0004_ops", "0005_readers_see_no_tokens"),
}
TOKENS = {
    "maps": {
        "sessions": ("token",),
        "accounts": ("access_token", "refresh_token", "id_token", "password"),
        "verifications": ("identifier", "value"),
    },
    "panamia": {
        "sessions": ("session_token",),
        "accounts": ("access_token", "refresh_token", "id_token", "session_state"),
        "verification_tokens": ("token",),
    },
}


@pytest.mark.requirement("maps.auth.better-auth", "panamia.groups.auth")
@pytest.mark.parametrize("app", TOKENS)
def test_the_readonly_login_reads_everything_of_the_sign_in_tables_but_what_signs_in(
    prepare: Prepare, app: str
) -> None:
    """After a downgrade and another bootstrap too: neither leaves more open than there was."""
    prepared = prepare(app)

    def seen(table: str) -> set[str]:
        query = (
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND has_column_privilege(attrelid, attnum, 'SELECT')"
        )
        with psycopg.connect(prepared.readonly_url) as reader:
            return {name for (name,) in reader.execute(query, (f"{app}.{table}",))}

    def hidden(tables: dict[str, set[str]]) -> dict[str, set[str]]:
        return {table: all_of_it - seen(table) for table, all_of_it in tables.items()}

    before, revision = CLOSED[app]
    migrations.upgrade(app, prepared.owner_url, target=revision, report=lambda _: None)
    migrations.downgrade(app, prepared.owner_url, target=before, report=lambda _: None)
    tables = {table: seen(table) for table in TOKENS[app]}
    assert all(set(names) <= tables[table] for table, names in TOKENS[app].items())
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    bootstrap(prepared.server.admin, [prepared.access], report=lambda _: None)

    assert hidden(tables) == {table: set(names) for table, names in TOKENS[app].items()}
    for table, names in TOKENS[app].items():
        for query in (f"SELECT {names[0]} FROM {table}", f"SELECT * FROM {table}", f"TABLE {table}"):
            with psycopg.connect(prepared.readonly_url) as reader, pytest.raises(DENIED):
                reader.execute(query)
        with psycopg.connect(prepared.readonly_url) as reader:
            assert reader.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_the_readonly_login_may_not_write_through_an_owners_function(maps: Prepared) -> None:
    with psycopg.connect(maps.owner_url) as owner:
        owner.execute(
            "CREATE OR REPLACE FUNCTION clear() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM maps.users'"
        )

    with psycopg.connect(maps.readonly_url, autocommit=True) as reader:
        reader.execute("SET default_transaction_read_only = off")
        with pytest.raises(DENIED):
            reader.execute("SELECT clear()")
    with psycopg.connect(maps.app_url) as app:
        app.execute("SELECT clear()")


@pytest.mark.parametrize("login", ["owner_url", "app_url", "readonly_url"])
@pytest.mark.parametrize("database", ["another app's", "postgres", "template1"])
def test_no_login_may_connect_to_a_database_that_is_not_its_apps(
    maps: Prepared, prepare: Prepare, login: str, database: str
) -> None:
    name = prepare("dovvybuddy").access.database if database == "another app's" else database

    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(getattr(maps, login), dbname=name)


def test_the_owner_may_not_drop_the_database_nor_make_roles(maps: Prepared) -> None:
    with psycopg.connect(maps.owner_url, autocommit=True) as owner:
        for statement in (f'DROP DATABASE "{maps.access.database}"', "CREATE ROLE mine", "CREATE SCHEMA mine"):
            with pytest.raises((DENIED, psycopg.errors.ObjectInUse)):
                owner.execute(statement)


def test_another_login_of_the_same_group_has_the_same_rights_after_a_rotation(maps: Prepared, server: Server) -> None:
    access = maps.access
    second = type(access)(
        access.app,
        access.database,
        type(access.owner)("maps_owner_9", "an owner's other password"),
        type(access.owner)("maps_app_9", "an app's other password"),
        type(access.owner)("maps_readonly_9", "a reader's other password"),
    )
    try:
        bootstrap(server.admin, [second], report=lambda _: None)

        with psycopg.connect(server.url(second.application, second.database)) as app:
            app.execute("INSERT INTO users (id, email, name) VALUES ('a', 'a@example.com', 'A')")
        with psycopg.connect(server.url(second.readonly, second.database)) as reader:
            assert reader.execute("SELECT name FROM users").fetchall() == [("A",)]
        with psycopg.connect(server.url(second.owner, second.database)) as owner:
            owner.execute("ALTER TABLE users ADD COLUMN theme text")
    finally:
        with maps.server.connect() as admin:
            for login in second.logins:
                admin.execute(f"DROP ROLE {login.name}")
