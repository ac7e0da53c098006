"""Everything that `pgstack status` reads off a stack, asked for at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ops import exported
from ops.engine import Engine
from ops.errors import OpsError
from ops.readings import certificates, containers, pooler, repository, server
from ops.readings.certificates import Certificate
from ops.readings.containers import State
from ops.readings.pooler import Pooler
from ops.readings.repository import BackupContainer
from ops.readings.server import Database, Server
from ops.revisions import Comparison, compare
from ops.settings import settings
from ops.stack import ROLES, Stack

T = TypeVar("T")


@dataclass(frozen=True)
class Survey:
    """What was read; a part that could not be is None, and `failures` says why."""

    containers: tuple[State, ...]
    server: Server | None
    databases: tuple[Comparison, ...]
    pooler: Pooler | None
    backups: BackupContainer | None
    certificates: tuple[Certificate, ...]
    keys_exported: bool
    seeds: tuple[str, ...]
    failures: tuple[str, ...] = field(default=())


def survey(stack: Stack, engine: Engine) -> Survey:
    """Ask all parts of the stack at once."""
    from db import migrations  # noqa: PLC0415 - after the first threads could have started

    failures: list[str] = []
    postgres, pool, backup = (stack.container(role) for role in ROLES)
    ca = str(stack.outputs["ca_certificate"])
    app = stack.apps[0]

    def value(future: Future[T]) -> T | None:
        try:
            return future.result()
        except OpsError as error:
            failures.append(str(error))
            return None

    def served(holder: str, kind: Any) -> Certificate:
        url = stack.parsed(app, kind)
        return certificates.served(holder, url.host, url.port, ca)

    def inside(role: str, file: str) -> Certificate:
        return certificates.of_pem(f"{role}'s {file}", engine.read(stack.container(role), f"/etc/pgstack/tls/{file}"))

    with ThreadPoolExecutor(max_workers=10) as threads:

        def start(task: Callable[..., T], *given: Any) -> Future[T]:
            return threads.submit(task, *given)

        asked_server = start(server.ask, engine, postgres, stack.apps)
        asked_backup = start(repository.ask, engine, backup)
        asked_pooler = start(pooler.ask, engine, pool)
        states = [start(containers.look, engine, role, stack.container(role)) for role in ROLES]
        shown = [
            start(served, "PgBouncer", "pooled"),
            start(served, "Postgres", "direct"),
            start(inside, "pooler", "client.crt"),
            start(inside, "backup", "server.crt"),
        ]
        files = {name: migrations.revisions(name) for name in stack.apps}

    found = tuple(state for it in states if (state := value(it)))
    well = {state.role for state in found if state.well}
    answered = value(asked_server)
    databases = answered[1] if answered else {}
    if answered:
        failures += [f"database {name} does not exist: `pulumi up` makes it" for name in files if name not in databases]
    wanted = settings(stack.name)
    result = Survey(
        containers=found,
        server=answered[0] if answered else None,
        databases=tuple(
            compare(files[name], databases.get(name, Database(name, None, {})), wanted.target(name))
            for name in files
            if name in databases
        ),
        pooler=value(asked_pooler),
        backups=value(asked_backup),
        certificates=(
            certificates.of_pem("the stack's CA", ca),
            *(certificate for it in shown if (certificate := value(it))),
        ),
        keys_exported=exported.stands(stack),
        seeds=wanted.seeds,
    )
    # a container that is down is said once, not again by everything that wanted to ask it
    names = {state.name for state in found if state.role not in well}
    told = [line for line in failures if not any(f"container {name} " in line for name in names)]
    return Survey(**{**result.__dict__, "failures": tuple(dict.fromkeys(told))})
