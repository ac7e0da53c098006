"""Settings of the connection pool, from the environment of the application, and how migrations store embeddings.

| variable | default | meaning |
| --- | --- | --- |
| DB_POOL_SIZE | 10 | connections kept open |
| DB_POOL_MAX | 50 | connections at most, under load |
| DB_POOL_TIMEOUT | 30 | seconds to wait for a free connection |
| DB_POOL_RECYCLE | 280 | seconds after which a connection is replaced |
| DB_CONNECT_TIMEOUT | 10 | seconds for one attempt to connect |
| DB_CONNECT_PATIENCE | 15 | seconds over all attempts to connect |
| DB_SLOW_QUERY_MS | 500 | milliseconds from which a statement is logged as slow; 0 logs none |
| DB_PREPARED_STATEMENTS | off | on, where the URL is direct or its pooler tracks prepared statements |
| DB_EMBEDDINGS | auto | how migrations store embeddings: vector, jsonb, or auto: vector where the server has it |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from db.connections import CONNECT_TIMEOUT, PATIENCE
from db.errors import SettingsError

_RECYCLE = 280  # Neon suspends an idle compute after 300 s and cuts its connections
_MAXIMUM = 1000  # a pool beyond this exhausts any server: more likely a typing error
_SWITCH = {"on": True, "off": False}
EMBEDDINGS = ("auto", "vector", "jsonb")


def embeddings(chosen: str = "auto", environ: Mapping[str, str] | None = None) -> str:
    """`chosen`, or DB_EMBEDDINGS where that is auto: one of EMBEDDINGS. Raises SettingsError for another word."""
    if chosen != "auto":
        return chosen
    chosen = ((os.environ if environ is None else environ).get("DB_EMBEDDINGS") or "auto").lower()
    if chosen not in EMBEDDINGS:
        raise SettingsError(f'DB_EMBEDDINGS is "{chosen}": write {", ".join(EMBEDDINGS[:-1])} or {EMBEDDINGS[-1]}')
    return chosen


@dataclass(frozen=True)
class PoolSettings:
    """`size` connections kept, `limit` at most; times in seconds; a `slow_query` of 0 is none."""

    size: int = 10
    limit: int = 50
    timeout: float = 30.0
    recycle: int = _RECYCLE
    connect_timeout: int = CONNECT_TIMEOUT
    patience: float = PATIENCE
    prepared_statements: bool = False
    slow_query: float = 0.5

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> PoolSettings:
        """Read the variables above. Raises SettingsError naming every bad one with what is allowed."""
        values = os.environ if environ is None else environ
        problems: list[str] = []

        def number(name: str, default: int, low: int, high: int) -> int:
            text = values.get(name) or str(default)  # set but empty means unset, as in a .env file
            if text.isascii() and text.isdigit() and low <= int(text) <= high:
                return int(text)
            problems.append(f'{name} is "{text}": give a whole number from {low} to {high}')
            return default

        size = number("DB_POOL_SIZE", cls.size, 1, _MAXIMUM)
        limit = number("DB_POOL_MAX", max(cls.limit, size), 1, _MAXIMUM)
        if limit < size:
            problems.append(f"DB_POOL_MAX is {limit}, below DB_POOL_SIZE {size}: raise it, or lower DB_POOL_SIZE")
        switch = (values.get("DB_PREPARED_STATEMENTS") or "off").lower()
        if switch not in _SWITCH:
            problems.append(f'DB_PREPARED_STATEMENTS is "{switch}": write on or off')
        settings = cls(
            size=size,
            limit=limit,
            timeout=number("DB_POOL_TIMEOUT", int(cls.timeout), 1, 3600),
            recycle=number("DB_POOL_RECYCLE", cls.recycle, 10, 86400),
            connect_timeout=number("DB_CONNECT_TIMEOUT", cls.connect_timeout, 1, 600),
            patience=number("DB_CONNECT_PATIENCE", int(cls.patience), 0, 3600),
            prepared_statements=_SWITCH.get(switch, False),
            slow_query=number("DB_SLOW_QUERY_MS", int(cls.slow_query * 1000), 0, 3_600_000) / 1000,
        )
        if problems:
            raise SettingsError("; ".join(problems))
        return settings
