"""The pooler image: a console for its own user, a reload by hangup, a stop that does not wait for idle clients."""

import pytest
from docker.models.containers import Container

from tests.stack.images.place import UNPRIVILEGED, Place, run, security, stop, until_healthy, until_logged

CONFIGURATION = """
[pgbouncer]
listen_addr = *
unix_socket_dir = /tmp
auth_type = scram-sha-256
auth_file = /etc/pgstack/userlist.txt
default_pool_size = {pool}
"""


@pytest.fixture
def pooler(place: Place) -> Container:
    place.write("pooler", {"pgbouncer.ini": CONFIGURATION.format(pool=5), "userlist.txt": ""})
    return until_healthy(place.pooler())


def console(pooler: Container, command: str) -> str:
    url = "postgresql://pgbouncer@:6432/pgbouncer?host=/tmp"
    return run(pooler, "psql", "-XAtc", command, url)


def test_the_console_answers_the_containers_own_user(pooler: Container) -> None:
    assert console(pooler, "show version").startswith("PgBouncer 1.2")


def test_a_hangup_reloads_the_configuration(place: Place, pooler: Container) -> None:
    place.write("pooler", {"pgbouncer.ini": CONFIGURATION.format(pool=7)})
    pooler.kill("HUP")
    until_logged(pooler, "got SIGHUP")
    assert "default_pool_size|7|" in console(pooler, "show config")


def test_a_stop_ends_it_though_a_client_is_connected(pooler: Container) -> None:
    idle = "exec 3<>/dev/tcp/127.0.0.1/6432; echo connected; sleep 600"
    pooler.exec_run(["bash", "-c", idle], detach=True)
    assert stop(pooler, grace=10) == 0


def test_no_process_of_the_pooler_is_root_or_has_a_capability(pooler: Container) -> None:
    assert security(pooler) == {UNPRIVILEGED}
