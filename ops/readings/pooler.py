"""What PgBouncer says of its pools, on its admin console (https://www.pgbouncer.org/usage.html#show-commands)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ops.engine import Engine

CONSOLE = ["psql", "-X", "--csv", "-h", "/tmp", "-p", "6432", "-U", "pgbouncer", "-d", "pgbouncer"]  # noqa: S108 - its own
_IDLE = ("sv_idle", "sv_used", "sv_tested")
_MICRO = 1e-6


@dataclass(frozen=True)
class Pool:
    """One database of the pooler: clients, how many of them wait and how long (seconds), server connections."""

    database: str
    clients: int
    waiting: int
    longest_wait: float
    servers: int
    idle: int
    size: int


@dataclass(frozen=True)
class Pooler:
    """`clients` of at most `max_clients`."""

    version: str
    clients: int
    max_clients: int
    pools: tuple[Pool, ...]


def ask(engine: Engine, container: str, apps: Sequence[str]) -> Pooler:
    """Raises EngineError when the pooler does not answer."""
    questions = ("VERSION", "CONFIG", "DATABASES", "POOLS")
    return parse(engine.ask(container, [*CONSOLE, *(it for name in questions for it in ("-c", f"SHOW {name}"))]), apps)


def parse(text: str, apps: Sequence[str]) -> Pooler:
    """The answer of `ask`: four tables as CSV, each with its heading; pools of `apps` only, not of the console."""
    ours = {f"{app}{kind}" for app in apps for kind in ("", "_readonly")}
    tables = list(_tables(text))
    version, config, databases, pools = (next((t for t in tables if key in t[0]), []) for key in _FIRST_COLUMNS)
    limits = {row["key"]: row["value"] for row in config}
    by_database: dict[str, list[dict[str, str]]] = {}
    for row in pools:
        by_database.setdefault(row["database"], []).append(row)
    found = tuple(_pool(row, by_database.get(row["name"], [])) for row in databases if row["name"] in ours)
    return Pooler(
        version=next(iter(version[0].values())).removeprefix("PgBouncer ") if version else "unknown",
        clients=sum(pool.clients for pool in found),
        max_clients=int(limits.get("max_client_conn", 0)),
        pools=found,
    )


_FIRST_COLUMNS = ("version", "key", "pool_size", "cl_active")


def _tables(text: str) -> Iterator[list[dict[str, str]]]:
    """Each table as rows; a heading is a line whose first cell names a first column of the console's tables."""
    heading: list[str] = []
    rows: list[dict[str, str]] = []
    for cells in csv.reader(text.splitlines()):
        if cells and cells[0] in {"version", "key", "name", "database"}:
            if rows:
                yield rows
            heading, rows = cells, []
        elif cells:
            rows.append(dict(zip(heading, cells, strict=False)))
    if rows:
        yield rows


def _pool(database: dict[str, str], pools: list[dict[str, str]]) -> Pool:
    def total(*columns: str) -> int:
        return sum(int(pool.get(column) or 0) for pool in pools for column in columns)

    waits = [int(pool["maxwait"]) + int(pool["maxwait_us"]) * _MICRO for pool in pools]
    return Pool(
        database=database["name"],
        clients=total("cl_active", "cl_waiting"),
        waiting=total("cl_waiting"),
        longest_wait=max(waits, default=0.0),
        servers=total("sv_active", "sv_login", *_IDLE),
        idle=total(*_IDLE),
        size=int(database["pool_size"]),
    )
