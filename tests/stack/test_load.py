"""A thousand clients through the pooler; beside them one direct connection, whose latency says how busy the machine is.

`pytest -s tests/stack/test_load.py` prints the figures of README.
"""

import asyncio
import random
import resource
import statistics
import time
from dataclasses import dataclass, field

import psycopg
import pytest

from tests.deployment import Stack

CLIENTS = 1000
SECONDS = 15.0
RATE = 300  # queries a second, all clients together: moderate for two cores that run clients and servers alike
LIMIT_P95 = 0.050  # seconds, on a machine that does nothing else
BUSY = 0.010  # seconds; where one direct connection takes that long, latencies are the machine's, not the pooler's
MOST_CONNECTIONS = 50
MOST_IDLE = 20
QUERY = "SELECT name FROM dive_sites WHERE id = (SELECT id FROM dive_sites ORDER BY id OFFSET %s LIMIT 1)"
_OPENING = 32  # connections that are opened at once


@dataclass
class Figures:
    """What the clients saw, in seconds, and what the pooler held meanwhile."""

    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    connected: int = 0
    server_connections: list[int] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)


@pytest.fixture(autouse=True)
def enough_descriptors() -> None:
    """Each client is a descriptor here, and another in PgBouncer."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))


def test_a_thousand_clients_share_at_most_fifty_connections_without_an_error(stack: Stack) -> None:
    outputs, ca = stack.outputs, str(stack.ca_file)
    pooled, direct = asyncio.run(_load(outputs["dovvybuddy_pooled_url"], outputs["dovvybuddy_direct_url"], ca, stack))

    p95, reference = _p95(pooled.latencies), _p95(direct.latencies)
    print(  # noqa: T201 - README's figures
        f"\n{CLIENTS} clients, {len(pooled.latencies) / SECONDS:.0f} queries/s: p95 {p95 * 1000:.1f} ms (limit "
        f"{LIMIT_P95 * 1000:.0f} ms), {p95 / reference:.1f} times that of a direct connection beside them; "
        f"{max(pooled.server_connections)} server connections, {max(pooled.idle)} idle at most, "
        f"{len(pooled.errors)} errors"
        + (" (the machine is too busy to judge latencies by)" if reference > BUSY else "")
    )
    assert pooled.errors == direct.errors == []
    assert pooled.connected == CLIENTS
    assert 0 < max(pooled.server_connections) <= MOST_CONNECTIONS
    assert max(pooled.idle) < MOST_IDLE
    assert p95 < LIMIT_P95 or reference > BUSY


async def _load(pooled_url: str, direct_url: str, ca: str, stack: Stack) -> tuple[Figures, Figures]:
    """Hold CLIENTS connections, query on each now and then for SECONDS; the same on one direct connection."""
    pooled, direct, opening, go = Figures(), Figures(), asyncio.Semaphore(_OPENING), asyncio.Event()

    async def client(url: str, figures: Figures, pause: float) -> None:
        try:
            async with opening:
                connection = await psycopg.AsyncConnection.connect(
                    url, sslrootcert=ca, autocommit=True, prepare_threshold=1, connect_timeout=60
                )
            figures.connected += 1
            async with connection:
                await go.wait()
                await _query(connection, figures, pause)
        except psycopg.Error as error:
            figures.errors.append(str(error))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client(pooled_url, pooled, CLIENTS / RATE)) for _ in range(CLIENTS)]
        tasks.append(group.create_task(client(direct_url, direct, 0.05)))
        while sum(figures.connected + len(figures.errors) for figures in (pooled, direct)) < len(tasks):
            await asyncio.sleep(0.05)
        go.set()
        while not all(task.done() for task in tasks):
            await asyncio.to_thread(_look, stack, pooled)
            await asyncio.wait(tasks, timeout=1)
    return pooled, direct


async def _query(connection: psycopg.AsyncConnection[tuple[str]], figures: Figures, pause: float) -> None:
    end = time.monotonic() + SECONDS
    await asyncio.sleep(random.random() * pause)  # noqa: S311 - spreads the load
    while time.monotonic() < end:
        start = time.monotonic()
        cursor = await connection.execute(QUERY, (random.randrange(5),))  # noqa: S311 - any row
        await cursor.fetchone()
        figures.latencies.append(time.monotonic() - start)
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the load


def _look(stack: Stack, figures: Figures) -> None:
    servers = stack.execute(
        "pooler", "psql", "-XqAt", "-F", ",", "-h", "/tmp", "-p", "6432",  # noqa: S108 - in there
        "-U", "pgbouncer", "-d", "pgbouncer", "-c", "SHOW SERVERS",
    )  # fmt: skip
    states = [line.split(",")[4] for line in servers.splitlines()]  # type, user, database, replication, state ...
    figures.server_connections.append(len(states))
    figures.idle.append(states.count("idle"))


def _p95(latencies: list[float]) -> float:
    return statistics.quantiles(latencies, n=20)[-1]
