"""Behind a real PgBouncer in transaction mode: migrations refuse, applications work."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker
import psycopg
import pytest
import tenacity
from sqlalchemy import text
from sqlalchemy.orm import Session

from db import engine, migrations, seeds
from db.apps.dovvybuddy.queries import nearest
from db.apps.dovvybuddy.seeds.demo import CHUNKS, vector
from db.bootstrap import Login
from db.errors import PoolerError
from db.settings import PoolSettings
from tests.db.conftest import Prepare, Prepared

INI = """
[databases]
* = host={host} port={port} user={user} password='{password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
max_prepared_statements = 200
"""


@contextmanager
def pooler(
    prepared: Prepared, folder: Path, *, mode: str = "transaction", size: int = 2, login: Login | None = None
) -> Iterator[str]:
    """The URL of a PgBouncer in front of `prepared` that logs in as `login`, else as the owner."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = free.getsockname()[1]
    login = login or prepared.access.owner
    ini = INI.format(
        host=prepared.server.host,
        port=prepared.server.port,
        user=login.name,
        password=login.password,
        listen=listen,
        mode=mode,
        size=size,
    )
    with ExitStack() as running:
        if image := os.environ.get("PGSTACK_TEST_POOLER_IMAGE"):
            running.enter_context(in_container(image, ini))
        else:
            running.enter_context(on_host(folder, ini))
        url = f"postgresql://{login.name}@127.0.0.1:{listen}/{prepared.access.database}"
        await_answer(url)
        yield url


@contextmanager
def in_container(image: str, ini: str) -> Iterator[None]:
    client = docker.from_env()
    container = client.containers.run(
        image,
        entrypoint=["/bin/sh", "-c", 'printf %s "$INI" > /tmp/test.ini && exec pgbouncer /tmp/test.ini'],
        environment={"INI": ini},
        detach=True,
        network_mode="host",  # it must reach a server that is published on 127.0.0.1 only
        labels={"pgstack.stack": f"test-db-{os.getpid()}"},
    )
    try:
        yield
    finally:
        container.remove(force=True, v=True)
        client.close()


@contextmanager
def on_host(folder: Path, ini: str) -> Iterator[None]:
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.fail("no pooler to test with: set PGSTACK_TEST_POOLER_IMAGE (`make test` does)")
    path = folder / "pgbouncer.ini"
    path.write_text(ini)
    path.chmod(0o644)
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    as_user = ["-u", "postgres"] if os.getuid() == 0 else []
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([program, *as_user, str(path)], stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def neighbours(url: str, clients: int = 3) -> Iterator[None]:
    """Clients of the same pooler that work for an organization of nobody's, until the end."""
    ended = threading.Event()

    def work() -> None:
        with psycopg.connect(url, prepare_threshold=None) as connection:
            while not ended.wait(0.005):
                connection.execute(
                    "SELECT set_config('app.organization_id', gen_random_uuid()::text, true), pg_sleep(0.002)"
                )
                connection.commit()

    with ThreadPoolExecutor(clients) as pool:
        working = [pool.submit(work) for _ in range(clients)]
        try:
            yield
        finally:
            ended.set()
    for one in working:
        one.result()  # a neighbour that failed was none


@tenacity.retry(stop=tenacity.stop_after_delay(20), wait=tenacity.wait_fixed(0.05), reraise=True)
def await_answer(url: str) -> None:
    psycopg.connect(url, prepare_threshold=None).close()


@pytest.fixture
def dovvybuddy(prepare: Prepare) -> Prepared:
    return prepare("dovvybuddy")


@pytest.mark.parametrize("size", [1, 2, 20])
def test_migrations_refuse_a_transaction_pooler_and_change_nothing(
    dovvybuddy: Prepared, tmp_path: Path, size: int
) -> None:
    with (
        pooler(dovvybuddy, tmp_path, size=size) as url,
        pytest.raises(PoolerError, match=r"leads to a transaction pooler.*give the direct URL \(POSTGRES_DIRECT_URL"),
    ):
        migrations.upgrade("dovvybuddy", url, report=lambda _: None)

    assert dovvybuddy.rows("SELECT FROM pg_class WHERE relnamespace = 'dovvybuddy'::regnamespace") == []


def test_migrations_refuse_a_transaction_pooler_that_others_keep_busy(dovvybuddy: Prepared, tmp_path: Path) -> None:
    """Then a transaction often meets the server connection again that the one before it had."""
    with pooler(dovvybuddy, tmp_path, size=2) as url, neighbours(url):
        for _ in range(10):
            with pytest.raises(PoolerError, match="leads to a transaction pooler"):
                migrations.upgrade("dovvybuddy", url, report=lambda _: None)


def test_a_session_pooler_is_as_good_as_a_direct_connection(dovvybuddy: Prepared, tmp_path: Path) -> None:
    with pooler(dovvybuddy, tmp_path, mode="session", size=5) as url:
        assert migrations.upgrade("dovvybuddy", url, report=lambda _: None)


def test_more_clients_than_server_connections_read_write_and_search(dovvybuddy: Prepared, tmp_path: Path) -> None:
    migrations.upgrade("dovvybuddy", dovvybuddy.owner_url, report=lambda _: None)
    seeds.seed("dovvybuddy", dovvybuddy.owner_url, ["demo"], environment="dev", report=lambda _: None)

    def client(source_url: str) -> int:
        source = engine.engine(source_url)
        found = 0
        for _ in range(10):  # psycopg would prepare at the fifth, on a server connection it then loses
            with Session(source) as session:
                found += len(nearest(session, vector(CHUNKS[0][0]), limit=2))
                session.execute(text("INSERT INTO leads (type) VALUES ('trip')"))
                session.commit()
        return found

    try:
        with pooler(dovvybuddy, tmp_path, size=2) as url, ThreadPoolExecutor(8) as pool:
            assert list(pool.map(client, [url] * 8)) == [20] * 8
    finally:
        engine.dispose()

    assert dovvybuddy.rows("SELECT count(*) FROM dovvybuddy.leads") == [(82,)]


def test_prepared_statements_work_through_this_projects_pooler_which_tracks_them(
    dovvybuddy: Prepared, tmp_path: Path
) -> None:
    """Where DB_PREPARED_STATEMENTS is on: each statement is prepared once, and asked of both server connections."""
    login = dovvybuddy.access.application
    try:
        with pooler(dovvybuddy, tmp_path, size=2, login=login) as url, neighbours(url):
            source = engine.engine(url, settings=PoolSettings(size=1, limit=1, prepared_statements=True))
            seen = set()
            for number in range(60):
                with source.begin() as connection:
                    row = connection.execute(text("SELECT pg_backend_pid(), 1 + :number"), {"number": number}).one()
                    assert row[1] == 1 + number
                    seen.add(row[0])
        assert len(seen) == 2
    finally:
        engine.dispose()
