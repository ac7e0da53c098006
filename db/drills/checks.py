"""What a copy must show: nothing from after its target, everything from before, each row, each index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from db.drills import heartbeats, reading, scratch
from db.drills.ledger import Entry
from db.drills.places import SCRATCH, connect, databases
from db.drills.scratch import Target


@dataclass
class Findings:
    """`not_compared` gives the reasons; `sampled` are compared in part."""

    problems: list[str] = field(default_factory=list)
    tables_read: int = 0
    tables_compared: int = 0
    rows_compared: int = 0
    not_compared: dict[str, str] = field(default_factory=dict)
    sampled: list[str] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """For the evidence."""
        return dict(vars(self))


def check(target: Target, entry: Entry | None, folder: Path, say: Callable[[str], None]) -> Findings:
    """Look at the served copy."""
    found = Findings()
    say("heartbeats")
    with connect(SCRATCH) as copy:
        names = databases(copy)
        held = heartbeats.held(copy) if _beats(copy) else []
    last = entry.heartbeat.number if entry else None
    found.problems += heartbeats.judged(heartbeats.lines(folder), held, target.lsn, target.timeline, last)
    for name in names:
        say(f"every table of {name}")
        _compare(name, entry, found)
    if entry is not None:
        found.problems += [f"database {it}: not in the copy" for it in entry.databases.keys() - set(names)]
    say("indexes and pages, by amcheck")
    found.problems += scratch.corruption()
    return found


def _compare(name: str, entry: Entry | None, found: Findings) -> None:
    noted = entry.databases.get(name) if entry else None
    parts = {table: it.percent for table, it in noted.tables.items() if it.percent < 100} if noted else {}  # noqa: PLR2004
    with connect(SCRATCH, name) as copy:
        there = reading.read(copy, percent=parts)
        whole = reading.read(copy, percent={}, only=parts).unread if parts else {}
    found.tables_read += len(there.tables)
    found.problems += [f"{name}: {table}: can't be read: {reason}" for table, reason in whole.items()]
    if noted is None:
        found.problems += [f"{name}: {table}: can't be read: {reason}" for table, reason in there.unread.items()]
        if entry is not None:
            found.problems.append(f"database {name}: in the copy and not in the ledger")
        return
    found.problems += [f"{name}: {it}" for it in reading.differences(noted, there)]
    found.tables_compared += len(noted.tables)
    found.rows_compared += sum(it.rows for it in noted.tables.values())
    found.not_compared |= {f"{name}: {table}": reason for table, reason in noted.unread.items()}
    found.sampled += [f"{name}: {table} ({part:.3g}%)" for table, part in parts.items()]


def _beats(copy: Any) -> bool:
    return bool(copy.execute("SELECT to_regclass('pgstack.heartbeat') IS NOT NULL").fetchone()[0])
