"""The connections of one Postgres server, shared out once so that nobody can starve anybody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_DIRECT_PER_APP = 4  # a migration holds three (work, lock, pooler check); one is left for a psql
_BACKUPS = 3  # a backup holds one, `check` another, and the archiver's own look-ups a third
LOOKUPS = 2  # the pooler's own, for verifiers: a login takes a millisecond, one more lets none wait for a slow one
OPERATORS = 8  # reserved_connections: status, monitoring, whoever was granted pg_use_reserved_connections
SUPERUSER_RESERVE = 5  # superuser_reserved_connections: an administrator always gets in
_READONLY_SHARE = 4  # one connection in four goes to an application's read-only pool


@dataclass(frozen=True)
class Pool:
    """One application's server connections: `application` for its own login, `readonly` for the reader."""

    application: int
    readonly: int


@dataclass(frozen=True)
class ConnectionBudget:
    """`clients` may connect to PgBouncer; it keeps at most the sum of `pools` on a server of `max_connections`."""

    clients: int
    pools: Mapping[str, Pool]
    max_connections: int

    @property
    def pooled(self) -> int:
        """Server connections that PgBouncer may hold at most."""
        return LOOKUPS + sum(pool.application + pool.readonly for pool in self.pools.values())


def share_out(apps: Sequence[str], server_connections: int, clients: int) -> ConnectionBudget:
    """Divide what `LOOKUPS` leaves of `server_connections` among `apps`, a quarter of each share for its readers.

    Raises ValueError if an application would be left with fewer than two.
    """
    share = (server_connections - LOOKUPS) // len(apps)
    readonly = max(1, share // _READONLY_SHARE)
    if share - readonly < 1:
        raise ValueError(f"{server_connections} server connections are too few for {len(apps)} applications")
    pools = {app: Pool(application=share - readonly, readonly=readonly) for app in apps}
    direct = _DIRECT_PER_APP * len(apps)
    return ConnectionBudget(
        clients=clients,
        pools=pools,
        max_connections=LOOKUPS + share * len(apps) + direct + _BACKUPS + OPERATORS + SUPERUSER_RESERVE,
    )
