"""Drift around an app's schema: roles, settings, the database, and what stands elsewhere and reaches into the schema.

As in test_drift_kinds, each change is a superuser's in a transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from db import migrations
from db.migrations import drift, snapshot
from tests.db.conftest import Connection, Prepare, Prepared

# the statement, with {database}, and beginnings of what is told
AROUND = {
    "superuser": ("ALTER ROLE bots_app_1 SUPERUSER", ("role attribute SUPERUSER of bots_app_1 should not be there",)),
    "role attributes": (
        "ALTER ROLE bots_readonly BYPASSRLS CREATEDB CREATEROLE LOGIN NOINHERIT REPLICATION",
        tuple(
            f"role attribute {it} of bots_readonly"
            for it in ("BYPASSRLS", "CREATEDB", "CREATEROLE", "LOGIN", "NOINHERIT", "REPLICATION")
        ),
    ),
    "application in the owner's group": (
        "GRANT bots_owner TO bots_app",
        ("role membership bots_app in bots_owner should not be there",),
    ),
    "login in another group": ("GRANT bots_owner TO bots_app_1", ("role membership bots_app_1 in bots_owner",)),
    "login that gives its group on": (
        "GRANT bots_app TO bots_app_1 WITH ADMIN OPTION",
        ("role membership bots_app_1 in bots_app WITH ADMIN OPTION",),
    ),
    "login that may not log in": (
        "ALTER ROLE bots_app_1 NOLOGIN VALID UNTIL '2000-01-01' CONNECTION LIMIT 1",
        tuple(
            f"role attribute {it} of bots_app_1 should not be there"
            for it in ("CONNECTION LIMIT 1", "NOLOGIN", "VALID UNTIL 2000-01-01")
        ),
    ),
    "login without its group's rights": (
        "GRANT bots_app TO bots_app_1 WITH INHERIT FALSE, SET FALSE",
        tuple(f"role membership bots_app_1 in bots_app WITH {it} FALSE should not" for it in ("INHERIT", "SET")),
    ),
    "all data": ("GRANT pg_read_all_data TO bots_readonly", ("role membership bots_readonly in pg_read_all_data",)),
    "somebody in a group": (
        "CREATE ROLE somebody; GRANT bots_app TO somebody",
        ("role membership somebody in bots_app",),
    ),
    "login's setting": (
        "ALTER ROLE bots_app_1 SET search_path = public",
        ("role setting search_path of bots_app_1 is public, for which the bootstrap sets bots, extensions",),
    ),
    "login's setting lost": (
        "ALTER ROLE bots_app_1 RESET lock_timeout",
        ("role setting lock_timeout of bots_app_1 is the server's, for which the bootstrap sets 5s",),
    ),
    "login's setting added": (
        "ALTER ROLE bots_app_1 SET row_security = off",
        ("role setting row_security of bots_app_1 is off, for which the bootstrap sets nothing",),
    ),
    "login's setting in the database": (
        "ALTER ROLE bots_app_1 IN DATABASE {database} SET TimeZone = 'Asia/Tokyo'",
        ("role setting TimeZone of bots_app_1 in this database is Asia/Tokyo",),
    ),
    "database's setting": (
        "ALTER DATABASE {database} SET TimeZone = 'Asia/Tokyo'",
        ("database setting TimeZone is Asia/Tokyo, for which the bootstrap sets nothing",),
    ),
    "everybody's setting": ("ALTER ROLE ALL SET jit = off", ("database setting jit of all roles is off",)),
    "database's owner": ("ALTER DATABASE {database} OWNER TO bots_owner", ("database {database} is bots_owner",)),
    "database open to all": (
        "GRANT ALL ON DATABASE {database} TO PUBLIC",
        tuple(f"privilege {it} on database {{database}} of PUBLIC" for it in ("CONNECT", "CREATE", "TEMPORARY")),
    ),
    "database closed to the application": (
        "REVOKE CONNECT ON DATABASE {database} FROM bots_app",
        ("privilege CONNECT on database {database} of bots_app is missing: the bootstrap gives it",),
    ),
    "application creates schemas": (
        "GRANT CREATE ON DATABASE {database} TO bots_app",
        ("privilege CREATE on database {database} of bots_app should not be there",),
    ),
    "schema public open to all": (
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        ("privilege CREATE on schema public of PUBLIC should not be there",),
    ),
    "application makes extensions' objects": (
        "GRANT CREATE ON SCHEMA extensions TO bots_app",
        ("privilege CREATE on schema extensions of bots_app",),
    ),
    "superuser's parameter": (
        "GRANT SET ON PARAMETER session_replication_role TO bots_app",
        ("privilege SET on parameter session_replication_role of bots_app",),
    ),
    "files of the server": (
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO bots_app; GRANT EXECUTE ON FUNCTION pg_ls_dir(text) TO PUBLIC",
        (
            "privilege EXECUTE on function pg_ls_dir(text) of PUBLIC",
            "privilege EXECUTE on function pg_read_file(text) of bots_app",
        ),
    ),
    "passwords": (
        "GRANT SELECT ON pg_authid TO bots_app; GRANT SELECT (rolname, rolpassword) ON pg_authid TO bots_readonly_1",
        (
            "privilege SELECT on column pg_authid.rolname of bots_readonly_1",
            "privilege SELECT on column pg_authid.rolpassword of bots_readonly_1",
            "privilege SELECT on table pg_authid of bots_app",
        ),
    ),
    "a superuser's default privileges": (
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        ("grants future tables anywhere of postgres differ for PUBLIC",),
    ),
    "a login's default privileges": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE bots_owner_1 GRANT SELECT ON TABLES TO PUBLIC",
        ("grants future tables anywhere of bots_owner_1 differ for PUBLIC",),
    ),
    "default privileges on schemas": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE bots_owner GRANT USAGE ON SCHEMAS TO PUBLIC",
        ("grants future schemas anywhere of owner differ for PUBLIC",),
    ),
    "default privileges taken": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE bots_owner REVOKE USAGE ON TYPES FROM PUBLIC",
        ("grants future types anywhere of owner differ for PUBLIC: in the database it lacks USAGE",),
    ),
    "extension in the app's schema": ("CREATE EXTENSION citext SCHEMA bots", ("extension citext should not be there",)),
    "extension in public": ("CREATE EXTENSION hstore SCHEMA public", ("extension hstore should not be there",)),
    "function hidden in an extension": (
        "CREATE FUNCTION bots.f() RETURNS int LANGUAGE sql RETURN 1; ALTER EXTENSION pg_trgm ADD FUNCTION bots.f()",
        ("extension member function bots.f() of pg_trgm should not be there", "function f() should not be there"),
    ),
    "table hidden in an extension": (
        "ALTER EXTENSION pg_trgm ADD TABLE bots.bots",
        ("extension member table bots.bots of pg_trgm should not be there",),
    ),
    "shadowing function": (
        "CREATE FUNCTION extensions.lower(text) RETURNS text LANGUAGE sql RETURN NULL",
        ("stray object function extensions.lower(",),
    ),
    "table beside the extensions": ("CREATE TABLE extensions.t (id serial)", ("stray object table extensions.t",)),
    "partition elsewhere": (
        "CREATE TABLE extensions.far PARTITION OF bots.bot_logs FOR VALUES FROM ('2090-01-01') TO ('2090-02-01')",
        ("stray object table extensions.far",),
    ),
    "heir elsewhere": (
        "CREATE TABLE extensions.heir () INHERITS (bots.users)",
        ("stray object table extensions.heir",),
    ),
    "view elsewhere": (
        "CREATE SCHEMA auth; CREATE VIEW auth.leak AS SELECT * FROM bots.users",
        ("stray object view auth.leak", "stray schema auth"),
    ),
    "foreign key from elsewhere": (
        "CREATE SCHEMA maps; CREATE TABLE maps.t (id uuid REFERENCES bots.users (id))",
        ("stray object table constraint t_id_fkey on maps.t", "stray schema maps"),
    ),
    "type used elsewhere": (
        "CREATE SCHEMA x; CREATE FUNCTION x.f(bots.log_level) RETURNS int LANGUAGE sql RETURN 1",
        ("stray object function x.f(bots.log_level)", "stray schema x"),
    ),
    "publication": ("CREATE PUBLICATION p FOR TABLE bots.bots", ("publication p of bots should not be there",)),
    "publication of the schema": (
        "CREATE PUBLICATION p FOR TABLES IN SCHEMA bots",
        ("publication p of all tables in schema bots",),
    ),
    "publication of everything": ("CREATE PUBLICATION p FOR ALL TABLES", ("publication p of all tables",)),
    "event trigger": (
        "CREATE FUNCTION extensions.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION extensions.f()",
        ("event trigger e should not be there", "stray object function extensions.f()"),
    ),
    "cast": ("CREATE CAST (bigint AS text) WITH INOUT AS IMPLICIT", ("stray object cast (bigint AS pg_catalog.text)",)),
    "foreign data": ("CREATE FOREIGN DATA WRAPPER w", ("stray object foreign-data wrapper w",)),
}


@pytest.fixture(scope="module")
def bots(prepare: Prepare) -> Prepared:
    prepared = prepare("bots")
    migrations.upgrade("bots", prepared.owner_url, report=lambda _: None)
    return prepared


@pytest.fixture(scope="module")
def connection(bots: Prepared) -> Iterator[Connection]:
    with closing(bots.admin()) as connection:
        yield connection


def differences(connection: Connection) -> list[drift.Difference]:
    return drift.compare(snapshot.load("bots"), snapshot.read(connection, "bots"))


@pytest.mark.parametrize("kind", AROUND)
def test_drift_around_the_schema_is_reported_by_name_and_its_way_out_leads_out(
    kind: str, bots: Prepared, connection: Connection
) -> None:
    change, expected = (AROUND[kind][0].replace("{database}", bots.access.database), AROUND[kind][1])
    with connection.transaction(force_rollback=True):
        connection.execute(change)
        found = differences(connection)
        lines = [str(it) for it in found]
        assert len(lines) == len(expected), lines
        for line, start in zip(lines, expected, strict=True):
            assert line.startswith(f"bots: {start.replace('{database}', bots.access.database)}")

        for difference in found:
            if "look what it holds" in difference.way_out or difference.kind == "stray schema":
                continue  # it may hold rows
            before, statement, by = difference.way_out.split("`")
            owners = f"pgstack psql {difference.app} --admin" not in by
            connection.execute(f"SET LOCAL ROLE {'bots_owner' if owners else 'postgres'}")
            connection.execute(statement)
            connection.execute("RESET ROLE")
            left = {(it.kind, it.name, it.detail) for it in differences(connection)}
            assert (difference.kind, difference.name, difference.detail) not in left, before + statement


def test_a_partition_elsewhere_is_a_month_like_others_once_it_is_moved(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT bots.make_partition('bot_logs', '2090-01-01')")
        connection.execute("ALTER TABLE bots.bot_logs_2090_01 OWNER TO bots_owner")
        assert differences(connection) == []
        connection.execute("ALTER TABLE bots.bot_logs_2090_01 SET SCHEMA extensions")
        [told] = differences(connection)
        assert told.way_out.startswith("`ALTER TABLE extensions.bot_logs_2090_01 SET SCHEMA bots` by an administrator")
        connection.execute(told.way_out.split("`")[1])

        assert differences(connection) == []


def test_this_months_partition_elsewhere_is_not_told_as_one_that_is_missing(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        month = snapshot.read(connection, "bots").month
        connection.execute(f"ALTER TABLE bots.bot_logs_{month} SET SCHEMA extensions")
        [told] = differences(connection)

    assert told.name == f"table extensions.bot_logs_{month}"


def test_a_sessions_temporary_tables_are_nobodys_business(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE TEMPORARY TABLE t (LIKE bots.bot_logs INCLUDING ALL)")
        connection.execute("CREATE TEMPORARY VIEW v AS SELECT * FROM bots.users")

        assert differences(connection) == []


def test_who_administers_roles_may_be_a_member_and_a_retired_login_may_be_set_to_anything(
    connection: Connection,
) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE ROLE administrator CREATEROLE; GRANT bots_owner, bots_app TO administrator")
        connection.execute("CREATE ROLE bots_app_2 LOGIN; ALTER ROLE bots_app_2 SET statement_timeout = '1h'")
        assert differences(connection) == []

        connection.execute("ALTER ROLE bots_app_1 NOLOGIN")
        assert [it.name for it in differences(connection)] == ["NOLOGIN of bots_app_1"]
        connection.execute("GRANT bots_app TO bots_app_2")  # which takes over
        assert {it.kind for it in differences(connection)} == {"role setting"}, "its own, which it lacks"
