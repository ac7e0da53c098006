"""Everything that `pgstack status` reads off a stack, asked for at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from ops import exported
from ops.engine import Engine
from ops.errors import OpsError
from ops.locks import Lock, locks
from ops.readings import certificates, containers, drills, logins, offsite, pooler, repository, server
from ops.readings.certificates import Certificate
from ops.readings.containers import State
from ops.readings.drills import Drills
from ops.readings.offsite import Offsite
from ops.readings.pooler import Pooler
from ops.readings.repository import BackupContainer
from ops.readings.server import Database, Server
from ops.revisions import Comparison, compare
from ops.settings import settings
from ops.stack import KINDS, ROLES, Stack

P = ParamSpec("P")
T = TypeVar("T")
_AT_ONCE = 10  # requests; the engine's client keeps as many connections


@dataclass(frozen=True)
class Survey:
    """What was read; a part that could not be is None or missing, and `failures` says why."""

    containers: tuple[State, ...]
    server: Server | None
    databases: tuple[Comparison, ...]
    pooler: Pooler | None
    backups: BackupContainer | None
    certificates: tuple[Certificate, ...]
    keys_exported: bool
    seeds: tuple[str, ...]
    locks: tuple[Lock, ...] = ()
    failures: tuple[str, ...] = ()
    restored: tuple[int, ...] = ()  # the clusters beside the live one
    unmade: tuple[int, ...] = ()  # those of them that have no container yet
    moving: int | None = None  # the cluster that is to be live and is not yet
    repository_keys: tuple[int, ...] = (1,)  # as in ops.settings
    drills: Drills | None = None
    offsite: Offsite | None = None
    covered: Mapping[str, float | None] = field(default_factory=dict)  # "app.table": see readings.server.Database


class _Asked:
    """Questions under way; what could not be answered is collected instead of raised."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self.failures: list[str] = []

    def start(self, question: Callable[P, T], *given: P.args, **named: P.kwargs) -> Callable[[], T | None]:
        """Ask in a thread; the returned function waits for the answer, None if there was none."""
        future: Future[T] = self._threads.submit(question, *given, **named)

        def answer() -> T | None:
            try:
                return future.result()
            except OpsError as error:
                self.failures.append(str(error))
                return None

        return answer


def survey(stack: Stack, engine: Engine) -> Survey:
    """Ask all parts of the stack at once; a part that is down is asked nothing."""
    names = {role: stack.container(role) for role in stack.roles}
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        asked = _Asked(threads)
        states = [asked.start(containers.look, engine, role, name) for role, name in names.items()]
        there = [state for answer in states if (state := answer())]
        up = {state.role for state in there if state.state == "running"}
        asked_server = asked.start(server.ask, engine, names["postgres"], stack.apps) if "postgres" in up else None
        asked_backup = asked.start(repository.ask, engine, names["backup"]) if "backup" in up else None
        asked_drills = asked.start(drills.ask, engine, names["drills"], stack) if "drills" in up else None
        asked_offsite = asked.start(offsite.ask, engine, names["backup"]) if "backup" in up else None
        asked_pooler = asked.start(pooler.ask, engine, names["pooler"], stack.apps) if "pooler" in up else None
        kept = [
            asked.start(certificates.of_container, engine, state.role, state.name)
            for state in there
            if state.state != "missing"
        ]
        ca_file = stack.ca_file()
        usable = {"pooled", "readonly", "direct"} if "pooler" in up else {"direct"}
        tried = [
            asked.start(logins.check, stack.parsed(app, kind), ca_file, "postgres" if kind == "direct" else "pooler")
            for app in stack.apps
            for kind in KINDS
            if "postgres" in up and kind in usable
        ]

        from db import migrations  # noqa: PLC0415 - the answers are on their way meanwhile

        files = {app: migrations.revisions(app) for app in stack.apps}
        wanted = settings(stack.name)
        beside = wanted.beside(stack.live) if "postgres" in names else ()
        described = asked_server() if asked_server else None
        databases: dict[str, Database] = described[1] if described else {}
        for answer in tried:
            answer()
        return Survey(
            containers=tuple(there),
            server=described[0] if described else None,
            databases=tuple(
                compare(files[app], databases[app], wanted.target(app)) for app in stack.apps if app in databases
            ),
            pooler=asked_pooler() if asked_pooler else None,
            backups=asked_backup() if asked_backup else None,
            offsite=asked_offsite() if asked_offsite else None,
            certificates=(
                certificates.of_pem("the stack's CA", str(stack.outputs["ca_certificate"])),
                *(it for answer in kept for it in answer() or ()),
            ),
            keys_exported=exported.stands(stack),
            seeds=wanted.seeds,
            restored=beside,
            unmade=tuple(it for it in beside if engine.container(stack.cluster(it)) is None),
            moving=wanted.live[-1] if wanted.live[-1] != stack.live else None,
            repository_keys=wanted.repository_keys,
            locks=tuple(locks(stack.name, stack.pulumi.environ)),
            failures=tuple(dict.fromkeys([*_lacking(stack), *asked.failures])),
            drills=asked_drills() if asked_drills else None,
            covered={f"{app}.{table}": until for app, it in databases.items() for table, until in it.covered.items()},
        )


def _lacking(stack: Stack) -> Iterator[str]:
    for role in ROLES:
        if role not in stack.roles:
            yield f"the stack has no {role} container: an older pgstack deployed it, `pulumi up` adds what is new"
