"""`pgstack status`: whether the stack is well, and if not, what to do."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.errors import FAILED
from ops.stack import KINDS, Stack, StackOption

if TYPE_CHECKING:
    from rich.console import Console

    from ops.survey import Survey
    from ops.verdict import Verdict


def status(
    stack: StackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same for scripts, as one JSON object.")] = False,
) -> None:
    """Show containers, versions, revisions, backups, connections and disk, and what is wrong.

    Exit codes: 0 the stack is well, 1 something is wrong (each problem is one line with the way out), 2 can't tell.

    Examples:

    pgstack status

    pgstack status -s preview-12 --json | jq .problems
    """
    loading = threading.Thread(target=_load, daemon=True)
    loading.start()
    found = Stack.read(stack)
    loading.join()
    from ops.engine import Engine  # noqa: PLC0415 - as said at _load
    from ops.survey import survey  # noqa: PLC0415
    from ops.verdict import judge  # noqa: PLC0415
    from ops.words import in_json  # noqa: PLC0415

    read = survey(found, Engine.connect(found.pulumi.environ))
    verdict = judge(read, lasting=found.lasting, stack=found.name)
    if as_json:
        print(json.dumps(described(found, read, verdict), indent=2, default=in_json))
    else:
        from rich.console import Console  # noqa: PLC0415

        show(Console(highlight=False), found, read, verdict)
    if verdict.problems:
        raise typer.Exit(FAILED)


def _load() -> None:
    """Load what is slow to load while Pulumi, another process, reads the stack: a third of the whole time."""
    for module in ("ops.survey", "psycopg", "cryptography.x509", "rich.table"):
        importlib.import_module(module)


def described(stack: Stack, read: Survey, verdict: Verdict) -> dict[str, Any]:
    """The status as plain data; sizes in bytes, no secret."""
    return {
        "stack": stack.name,
        "target": stack.outputs["target"],
        "environment": stack.environment,
        "healthy": not verdict.problems,
        "problems": verdict.problems,
        "notes": verdict.notes,
        "containers": [asdict(it) for it in read.containers],
        "server": asdict(read.server) if read.server else None,
        "apps": {
            it.app: {
                "revision": it.current,
                "head": it.head,
                "target": it.target,
                "pending": [revision.revision for revision in it.pending],
                "differences": it.differences,
                "urls": {kind: stack.parsed(it.app, kind).redacted() for kind in KINDS},
            }
            for it in read.databases
        },
        "seeds": read.seeds,
        "pooler": asdict(read.pooler) if read.pooler else None,
        "backups": asdict(read.backups) if read.backups else None,
        "drills": asdict(read.drills) if read.drills else None,
        "offsite": asdict(read.offsite) if read.offsite else None,
        "partitions_until": dict(read.covered),
        "certificates": [asdict(it) for it in read.certificates],
        "keys_exported": read.keys_exported,
    }


def show(console: Console, stack: Stack, read: Survey, verdict: Verdict) -> None:
    """The status for people: what there is, then what is wrong."""
    console.print(f"[bold]{stack.prefix}[/]  target {stack.outputs['target']}, environment {stack.environment}\n")
    _containers(console, read)
    _apps(console, stack, read)
    _backups(console, read)
    _connections(console, read)
    _facts(console, stack, read)
    console.print()
    for line in verdict.notes:
        console.print(f"[yellow]note[/]     {line}", soft_wrap=True)
    for line in verdict.problems:
        console.print(f"[red]problem[/]  {line}", soft_wrap=True)
    if not verdict.problems:
        console.print("[green]healthy[/]")


def _table(console: Console, *columns: str, rows: Sequence[tuple[str, ...]]) -> None:
    from ops import tables  # noqa: PLC0415 - loads rich

    tables.show(console, columns, rows)
    console.print()


def _containers(console: Console, read: Survey) -> None:
    from ops.words import ago  # noqa: PLC0415

    versions = {
        "postgres": read.server and f"PostgreSQL {read.server.version}, pgvector {read.server.pgvector or 'missing'}",
        "pooler": read.pooler and f"PgBouncer {read.pooler.version}",
        "backup": read.backups and f"pgBackRest {read.backups.version}",
        "drills": read.drills and f"{len(read.drills.drills)} drills",
    }
    rows = [
        (
            it.name,
            f"[{'green' if it.well else 'red'}]{it.health if it.well and it.health else it.state}[/]",
            ago(time.time() - it.since.timestamp()) if it.since else "",
            versions.get(it.role) or "does not answer",
        )
        for it in read.containers
    ]
    _table(console, "container", "state", "since", "version", rows=rows)


def _apps(console: Console, stack: Stack, read: Survey) -> None:
    rows = []
    for it in read.databases:
        waiting = ", ".join(revision.revision for revision in it.pending)
        behind = f"[red]{waiting}[/]" if waiting else "none"
        rows.append((it.app, it.current or "none", it.head or "none", behind, ", ".join(read.seeds)))
    _table(console, "app", "revision", "head", "pending", "seeds", rows=rows)
    for it in read.databases:
        for kind in KINDS:
            console.print(f"{it.app:<12} {kind:<9} {stack.parsed(it.app, kind).redacted()}", soft_wrap=True)
    console.print()


def _backups(console: Console, read: Survey) -> None:
    from ops.readings.repository import TYPES  # noqa: PLC0415
    from ops.words import ago, size  # noqa: PLC0415

    if not read.backups:
        return
    rows = []
    for kind, name in TYPES.items():
        last = read.backups.repository.newest(kind)
        when = (
            (ago(time.time() - last.stop.timestamp()), size(last.size), size(last.stored), last.label)
            if last
            else ("never",)
        )
        rows.append((name, *when, *("",) * (4 - len(when))))
    _table(console, "backup", "last", "database", "stored", "label", rows=rows)


def _connections(console: Console, read: Survey) -> None:
    rows = []
    if read.server:
        rows.append(("on Postgres itself", "", f"{read.server.connections} of {read.server.max_connections}", "", ""))
    if read.pooler:
        rows.append(("on PgBouncer", f"{read.pooler.clients} of {read.pooler.max_clients}", "", "", ""))
        rows += [
            (f"pool {it.database}", str(it.clients), f"{it.servers} of {it.size}", str(it.idle), str(it.waiting))
            for it in read.pooler.pools
        ]
    _table(console, "connections", "clients", "to the server", "idle", "waiting", rows=rows)


def _facts(console: Console, stack: Stack, read: Survey) -> None:
    from ops.words import ago, size, span  # noqa: PLC0415

    facts = [("images", ", ".join(dict.fromkeys(it.image for it in read.containers if it.image)))]
    if server := read.server:
        last = (
            "nothing archived yet"
            if server.archived_ago is None
            else f"last segment archived {ago(server.archived_ago)}"
        )
        waits = f", the oldest for {span(server.oldest_ago)}" if server.oldest_ago is not None else ""
        facts.append(("WAL", f"{last}, {server.waiting} ({size(server.waiting_bytes)}) waiting{waits}"))
    if read.backups:
        for disk in read.backups.disks:
            used = "not counted in time" if disk.used is None else size(disk.used)
            facts.append((f"volume {disk.volume}", f"{used} used, {size(disk.free)} of {size(disk.total)} free"))
        if read.backups.reserve is not None:
            facts.append(("reserve", size(read.backups.reserve) if read.backups.reserve else "[yellow]freed[/]"))
        for done in read.backups.maintenance:
            ended = "[red]failed[/]" if done.failed else "done"
            facts.append((f"maintenance {done.app}", f"{ended} {ago(time.time() - done.at)}"))
    if read.drills:
        made = read.drills.last
        facts.append(
            ("last drill", f"{made.words} {ago(time.time() - made.ended.timestamp())}" if made else "none yet")
        )
    if offsite := read.offsite:
        newest = offsite.repository and offsite.repository.newest()
        last = f"last backup {ago(time.time() - newest.stop.timestamp())}" if newest else "no backup seen"
        facts.append(("off-site", f"{last}, {offsite.waiting} WAL segments to follow"))
    if read.certificates:
        first = min(read.certificates, key=lambda it: it.expires)
        facts.append(("certificates", f"the first to expire is that of {first.holder}, on {first.expires:%Y-%m-%d}"))
    if stack.lasting or read.keys_exported:
        facts.append(("keys", "exported" if read.keys_exported else "[yellow]never exported[/]"))
    for name, fact in facts:
        console.print(f"{name:<16} {fact}", soft_wrap=True)
