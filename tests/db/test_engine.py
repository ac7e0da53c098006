"""The shared engine on a real server: one a URL, retries, and one clear line where they cannot help."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import tenacity
from sqlalchemy import text

from db.connections import connect
from db.engine import dispose, engine, unpooled
from db.errors import ConnectError, DbError, LoginError, UnreachableError
from db.settings import PoolSettings
from db.urls import DatabaseURL
from tests.db.conftest import Prepare, Prepared

QUICK = PoolSettings(size=1, limit=2, timeout=0.2, patience=0.3)


@pytest.fixture(scope="module")
def maps(prepare: Prepare) -> Prepared:
    return prepare("maps")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No engine is left for the next test."""
    yield
    dispose()


def test_every_thread_gets_the_same_engine(maps: Prepared) -> None:
    together = threading.Barrier(8)

    def get(_: int) -> int:
        together.wait()
        return id(engine(maps.app_url))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(get, range(8)))) == 1
    assert id(engine(maps.readonly_url)) != id(engine(maps.app_url))


@pytest.mark.requirement("bots.P0.pooling", "bots.client.url")
def test_the_url_and_the_pool_come_from_the_environment(maps: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", maps.app_url)
    monkeypatch.setenv("DB_POOL_SIZE", "3")
    monkeypatch.setenv("DB_POOL_MAX", "7")

    pool = engine().pool

    assert engine() is engine(maps.app_url)
    assert (pool.size(), pool._max_overflow) == (3, 4)  # type: ignore[attr-defined]  # no public name


def test_without_a_url_it_says_where_one_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)

    with pytest.raises(DbError, match=r'DATABASE_URL is not set: eval "\$\(pgstack env APP\)" sets it'):
        engine()


def test_other_settings_for_the_same_url_are_refused(maps: Prepared) -> None:
    engine(maps.app_url, settings=QUICK)

    with pytest.raises(DbError, match="exists with other settings"):
        engine(maps.app_url, settings=PoolSettings(size=2))
    assert engine(maps.app_url) is engine(maps.app_url, settings=QUICK)


@pytest.mark.requirement("bots.P0.pooling", "bots.risks.pool-exhaustion")
def test_the_pool_holds_no_more_than_its_limit(maps: Prepared) -> None:
    source = engine(maps.app_url, settings=QUICK)

    with source.connect(), source.connect(), pytest.raises(Exception, match="QueuePool limit of size 1 overflow 1"):
        source.connect()


@pytest.mark.requirement("bots.metrics.idle-connections", "bots.client.idle")
def test_after_a_rush_of_thirty_no_more_than_ten_connections_stay_idle(maps: Prepared) -> None:
    source = engine(maps.app_url, settings=PoolSettings())

    def connected() -> int:
        [(count,)] = maps.rows(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = %s",
            maps.access.application.name,
        )
        return int(count)

    with contextlib.ExitStack() as rush:
        for _ in range(30):
            rush.enter_context(source.connect())
        assert connected() == 30
    for attempt in tenacity.Retrying(stop=tenacity.stop_after_delay(10), wait=tenacity.wait_fixed(0.05)):
        with attempt:
            assert connected() == 10  # of the twenty that may be idle


@pytest.mark.requirement("bots.reliability.reconnection")
def test_a_connection_that_the_server_ended_is_replaced_unseen(maps: Prepared) -> None:
    source = engine(maps.app_url)
    with source.connect() as connection:
        first = connection.scalar(text("SELECT pg_backend_pid()"))
    with closing(maps.admin()) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", (first,))

    with source.connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != first


@pytest.mark.requirement("bots.client.prepare")
def test_no_statement_is_prepared_unless_asked(maps: Prepared) -> None:
    for asked, expected in ((False, 0), (True, 1)):
        source = engine(maps.app_url, settings=PoolSettings(size=1, prepared_statements=asked))
        with source.connect() as connection:
            for _ in range(10):
                connection.execute(text("SELECT 41 + 1"))
            found = connection.scalar(text("SELECT count(*) FROM pg_prepared_statements WHERE statement ~ '41'"))
        assert found == expected
        dispose()


def test_connecting_is_retried_until_the_server_listens(maps: Prepared) -> None:
    """A forwarder that begins to listen after 0.5 s stands for a server that is starting."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = maps.app_url.replace(f":{maps.server.port}/", f":{port}/")
    closing_time = threading.Event()

    def forward() -> None:
        closing_time.wait(0.5)
        with socket.create_server(("127.0.0.1", port)) as listener:
            client, _ = listener.accept()
            with client, socket.create_connection((maps.server.host, maps.server.port)) as upstream:
                pumps = [
                    threading.Thread(target=pump, args=pair, daemon=True)
                    for pair in ((client, upstream), (upstream, client))
                ]
                for thread in pumps:
                    thread.start()
                closing_time.wait(20)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the sockets are closed under it when the test ends
            while data := source.recv(65536):
                sink.sendall(data)

    forwarder = threading.Thread(target=forward, daemon=True)
    forwarder.start()
    try:
        source = unpooled(DatabaseURL.parse(url), patience=10)
        with source.connect() as connection:
            assert connection.scalar(text("SELECT session_user::text")) == "maps_app_1"
    finally:
        closing_time.set()


def by_engine(url: str) -> None:
    engine(url, settings=QUICK).connect()


def by_itself(url: str) -> None:
    connect(DatabaseURL.parse(url), patience=0.3)


@pytest.mark.parametrize("how", ["engine", "connect"])
@pytest.mark.parametrize(
    ("replaced", "by", "kind", "words"),
    [
        (":app%20of%20a%20test@", ":se%40cret@", LoginError, 'the password of "maps_app_1" is wrong'),
        (":app%20of%20a%20test@", "@", LoginError, 'the URL gives no password for "maps_app_1"'),
        ("//maps_app_1", "//nobody", LoginError, 'the password of "nobody" is wrong, or there is no such login'),
        ("/test_", "/nix_", LoginError, 'the server has no database "nix_'),
        ("@127.0.0.1:", "@nowhere.invalid:", UnreachableError, 'the host "nowhere.invalid" does not resolve'),
        ("@127.0.0.1:", "@127.0.0.1:1", UnreachableError, "nothing listens at 127.0.0.1:1"),
    ],
)
def test_what_keeps_a_connection_from_coming_about_is_one_line(
    maps: Prepared, how: str, replaced: str, by: str, kind: type[ConnectError], words: str
) -> None:
    url = maps.app_url.replace(replaced, by)
    if "127.0.0.1:1" in by:  # a port where nothing listens
        url = maps.app_url.replace(f":{maps.server.port}/", ":1/")

    began = time.monotonic()
    with pytest.raises(kind) as failure:
        {"engine": by_engine, "connect": by_itself}[how](url)

    message = str(failure.value)
    assert words in message
    assert "\n" not in message
    assert "cret" not in message
    assert "of a test" not in message
    assert time.monotonic() - began < 5


def test_a_wrong_password_is_tried_once_only(maps: Prepared) -> None:
    """Retries would lock accounts out elsewhere, and fill the server's log here."""
    url = maps.app_url.replace("app%20of%20a%20test", "wrong")

    began = time.monotonic()
    with pytest.raises(LoginError):
        connect(DatabaseURL.parse(url), patience=30)

    assert time.monotonic() - began < 5


def test_a_login_without_the_right_to_connect_gets_one_line(maps: Prepared) -> None:
    url = maps.app_url.rpartition("/")[0] + "/postgres"

    with pytest.raises(LoginError, match='"maps_app_1" may not connect to database "postgres"'):
        connect(DatabaseURL.parse(url))


def test_a_forked_child_gets_connections_of_its_own(maps: Prepared) -> None:
    source = engine(maps.app_url)
    query = text("SELECT pg_backend_pid()")
    with source.connect() as connection:
        ours = connection.scalar(query)
    read, write = os.pipe()

    child = os.fork()
    if child == 0:
        with engine(maps.app_url).connect() as connection:
            os.write(write, str(connection.scalar(query)).encode())
        os._exit(0)  # without pytest's own end
    os.waitpid(child, 0)

    assert int(os.read(read, 20)) != ours
    with source.connect() as connection:
        assert connection.scalar(query) == ours
