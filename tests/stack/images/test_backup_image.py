"""The backup container takes WAL, runs backups by schedule, and does not keep a dying server waiting."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from docker.models.containers import Container

from tests.stack.images.place import (
    POSTGRES_FILES,
    UNPRIVILEGED,
    Place,
    log,
    run,
    security,
    sql,
    stop,
    until_healthy,
    until_logged,
)

ARCHIVING = """
    archive_mode = on
    archive_command = 'pgbackrest --stanza=main archive-push %p'
    """
# One self-signed certificate is authority, server and client at once.
SERVER_SIDE = """
    [global]
    repo1-host={place}-backup
    repo1-host-type=tls
    repo1-host-config=/etc/pgstack/pgbackrest.conf
    repo1-host-ca-file=/etc/pgstack/server.crt
    repo1-host-cert-file=/etc/pgstack/server.crt
    repo1-host-key-file=/etc/pgstack/server.key
    archive-async=y
    archive-timeout=5
    spool-path=/var/lib/postgresql/spool
    lock-path=/tmp/pgbackrest
    log-level-file=off
    [main]
    pg1-path=/var/lib/postgresql/16/main
    """
REPOSITORY_SIDE = """
    [global]
    repo1-path=/var/lib/pgbackrest
    repo1-cipher-type=aes-256-cbc
    repo1-cipher-pass=a-pass-of-this-test
    repo1-retention-full=2
    compress-type=zst
    start-fast=y
    lock-path=/tmp/pgbackrest
    log-level-console=info
    log-level-file=off
    tls-server-address=*
    tls-server-auth=test=main
    tls-server-ca-file=/etc/pgstack/server.crt
    tls-server-cert-file=/etc/pgstack/server.crt
    tls-server-key-file=/etc/pgstack/server.key
    [main]
    pg1-path=/var/lib/postgresql/16/main
    pg1-socket-path=/run/postgresql
    """
NO_JOBS = "# none\n"
CERTIFICATE = """
cd /files/postgres
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj /CN=test \
  -addext subjectAltName=DNS:{place}-backup,DNS:localhost -keyout server.key -out server.crt
chown postgres server.key server.crt
cp -p server.key server.crt /files/backup
"""


@pytest.fixture
def backup(place: Place) -> Container:
    configure(place, NO_JOBS)
    return until_healthy(place.backup())


def configure(place: Place, crontab: str) -> None:
    place.write("backup", {"pgbackrest.conf": dedented(REPOSITORY_SIDE), "crontab": crontab})
    configuration = POSTGRES_FILES["postgresql.conf"] + ARCHIVING
    server_side = dedented(SERVER_SIDE.format(place=place.name))
    place.write("postgres", {"postgresql.conf": configuration, "pgbackrest.conf": server_side})
    place.shell(CERTIFICATE.format(place=place.name))


def dedented(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())


def test_wal_is_archived_and_a_full_backup_made_through_tls(place: Place, backup: Container) -> None:
    until_healthy(place.postgres())
    for command in ("stanza-create", "check", "--type=full backup"):
        run(backup, "pgbackrest", "--stanza=main", *command.split())
    info = run(backup, "pgbackrest", "info")
    assert "status: ok" in info
    assert "full backup: " in info


def test_a_server_stopped_at_the_same_time_has_its_last_wal_archived(place: Place, backup: Container) -> None:
    server = until_healthy(place.postgres())
    run(backup, "pgbackrest", "--stanza=main", "stanza-create")
    sql(server, "create table written as select 1 as row")
    segment = sql(server, "select pg_walfile_name(pg_current_wal_lsn())")
    with ThreadPoolExecutor() as both:
        assert list(both.map(stop, [backup, server])) == [0, 0]
    assert place.shell(f"find /var/lib/pgbackrest/archive -name '{segment}-*'") != ""


@pytest.mark.parametrize("program", ["pgbackrest", "supercronic"])
def test_the_container_ends_when_either_of_its_programs_does(backup: Container, program: str) -> None:
    kill = f'for p in /proc/[0-9]*; do grep -qx {program} $p/comm && kill -KILL "${{p#/proc/}}"; done; true'
    backup.exec_run(["bash", "-c", kill])
    assert backup.wait(timeout=30)["StatusCode"] == 1
    assert "ended with status 137, so this container stops" in log(backup)


def test_a_hangup_makes_both_programs_read_their_files_again(place: Place, backup: Container) -> None:
    configure(place, "* * * * * * * echo the new schedule\n")
    backup.kill("HUP")
    until_logged(backup, "the new schedule")
    assert log(backup).count("server command begin") == 2
    until_healthy(backup)


def test_a_schedule_with_a_mistake_leaves_the_old_one_in_force(place: Place) -> None:
    configure(place, "* * * * * * * echo the old schedule\n")
    backup = until_healthy(place.backup())
    place.write("backup", {"crontab": "every other monday\n"})
    backup.kill("HUP")
    until_logged(backup, "/etc/pgstack/crontab is not valid")
    until_logged(backup, "the old schedule")
    until_healthy(backup)


def test_a_stop_does_not_wait_for_a_running_job(place: Place) -> None:
    configure(place, "* * * * * * * echo begun; sleep 600\n")
    backup = until_healthy(place.backup())
    until_logged(backup, "begun")
    assert stop(backup, grace=10) == 0


def test_no_process_of_the_backup_container_is_root_or_has_a_capability(backup: Container) -> None:
    assert security(backup) == {UNPRIVILEGED}
