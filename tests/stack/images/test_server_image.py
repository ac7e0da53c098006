"""One server a data volume, whatever is killed; stopped cleanly; a cluster with what the schemas need."""

from tests.stack.images.place import (
    UNPRIVILEGED,
    Place,
    log,
    run,
    security,
    sql,
    stop,
    until_answered,
    until_healthy,
    until_logged,
)

OWNERS_EXTENSIONS = ("vector", "uuid-ossp", "pg_trgm", "citext", "pgcrypto", "hstore", "btree_gist")


def test_two_servers_never_share_a_data_volume(place: Place) -> None:
    first = until_healthy(place.postgres())
    refusal = place.refusal()
    assert refusal.code == 65
    assert f"data volume {place.name}-data is in use by another server" in refusal.line
    assert sql(first, "select 1") == "1"


def test_a_second_server_takes_over_when_the_first_goes_while_it_waits(place: Place) -> None:
    first = until_healthy(place.postgres())
    second = place.postgres()
    first.kill()
    assert sql(until_healthy(second), "select 1") == "1"


def test_no_committed_row_is_lost_when_the_server_is_killed(place: Place) -> None:
    container = until_healthy(place.postgres())
    sql(container, "create table kept as select 1 as row")
    container.kill()
    assert sql(until_healthy(place.postgres()), "select row from kept") == "1"


def test_a_killed_servers_pid_file_that_names_a_living_process_is_no_obstacle(place: Place) -> None:
    until_healthy(place.postgres()).kill()
    place.shell("sed -i 1s/.*/1/ /var/lib/postgresql/16/main/postmaster.pid /run/postgresql/.s.PGSQL.5432.lock")
    container = place.postgres(init=True)  # so that process 1 is not the server's parent, which PostgreSQL disregards
    assert sql(until_healthy(container), "select 1") == "1"


def test_docker_stop_shuts_the_server_down_cleanly_under_a_running_transaction(place: Place) -> None:
    container = until_healthy(place.postgres())
    container.exec_run(["psql", "--host=/run/postgresql", "-c", "begin; select pg_sleep(600)"], detach=True)
    until_answered(container, "select count(*) from pg_stat_activity where query like 'begin%'", "1")
    assert stop(container) == 0
    assert "database system is shut down" in log(container)


def test_a_stop_during_the_first_initialisation_is_heeded_and_the_next_start_goes_on(place: Place) -> None:
    container = place.postgres()
    until_logged(container, "creating a cluster")
    assert stop(container) in {0, 130}  # 0 when the server was already up
    until_healthy(place.postgres())


def test_a_hangup_reloads_the_configuration(place: Place) -> None:
    container = until_healthy(place.postgres())
    place.write("postgres", {"more.conf": "work_mem = '7MB'\n"})
    container.kill("HUP")
    until_logged(container, 'parameter "work_mem" changed to "7MB"')
    assert sql(container, "show work_mem") == "7MB"


def test_the_cluster_has_checksums_utf8_the_c_locale_and_icu_beside_it(place: Place) -> None:
    container = until_healthy(place.postgres())
    assert sql(container, "show data_checksums") == "on"
    assert sql(container, "show server_encoding") == "UTF8"
    locale = "select datlocprovider, datcollate, datctype from pg_database where datname = 'template1'"
    assert sql(container, locale) == "c|C.UTF-8|C.UTF-8"
    assert sql(container, "select 'a' < 'B' collate \"en-x-icu\", 'a' < 'B' collate \"C\"") == "t|f"
    assert sql(container, "select current_setting('server_version_num')::int / 10000") == "16"


def test_the_owner_of_a_database_creates_the_extensions_of_the_schemas(place: Place) -> None:
    container = until_healthy(place.postgres())
    sql(container, "create role owner")
    sql(container, "create database app owner owner")
    creations = [f'create extension "{name}"' for name in OWNERS_EXTENSIONS]
    run(container, "psql", "--host=/run/postgresql", "--dbname=app", "-Xc", "; ".join(["set role owner", *creations]))


def test_the_superuser_creates_what_running_the_server_needs(place: Place) -> None:
    container = until_healthy(place.postgres())
    for name in ("pg_stat_statements", "amcheck", "pgstattuple", "postgres_fdw", "pg_prewarm", "pg_buffercache"):
        sql(container, f"create extension {name}")


def test_no_process_of_the_server_is_root_or_has_a_capability(place: Place) -> None:
    assert security(until_healthy(place.postgres())) == {UNPRIVILEGED}


def test_no_private_key_of_the_distribution_is_in_an_image(place: Place) -> None:
    find = "find / -xdev ( -name *snakeoil* -o -path /etc/ssl/private/* ) -print"
    for image in (place.images.postgres, place.images.pooler):
        assert place.engine.containers.run(image, find.split(), entrypoint="", user="root", remove=True) == b""
