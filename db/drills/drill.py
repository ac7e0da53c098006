"""A drill: a moment is chosen, a copy restored to it, looked at, removed; what came out is evidence."""

from __future__ import annotations

import contextlib
import datetime
import json
import secrets
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from db.drills import checks, evidence, heartbeats, ledger, metrics, repository, scratch
from db.drills.checks import Findings
from db.drills.ledger import Entry
from db.drills.places import EVIDENCE, FILES, LIVE, SCRATCH, connect
from db.drills.repository import Backup, DrillError, Repository
from db.drills.scratch import Target

_PLAN = SCRATCH / "plan.json"
INTERRUPTED = "interrupted"
_KEY = FILES / "key.pem"
_ARCHIVED_WITHIN = 120  # seconds; twice the server's archive_timeout
_TOLD = 50  # problems; a damaged table can have one a row
_EXACT_WITHIN = 3  # entries
FAILURES = (DrillError, psycopg.Error, ledger.BusyError, OSError, subprocess.SubprocessError)


class InexactError(Exception):
    """The entry is not what the heartbeat's commit left: transactions that it does not hold came before it."""


@dataclass(frozen=True)
class Wanted:
    """What was asked for: `seed` for the choice, or a `target` in so many words; neither: chance."""

    seed: int | None = None
    target: tuple[str, int, int] | None = None  # the backup's label, timeline, LSN in bytes


@dataclass
class Plan:
    """What a copy is restored to; `entry` is the ledger's file for it."""

    target: Target
    entry: str | None = None
    at: str | None = None
    seed: int | None = None
    candidates: int = 0

    def write(self) -> None:
        """For `verify`, which may be another process."""
        _PLAN.write_text(json.dumps(asdict(self), default=str))

    @classmethod
    def read(cls) -> Plan:
        """Raises DrillError if there is no copy."""
        try:
            given = json.loads(_PLAN.read_text())
        except FileNotFoundError:
            raise DrillError("there is no restored copy: `restore` makes one") from None
        backup = given["target"]["backup"]
        stop = datetime.datetime.fromisoformat(backup["stop"])
        target = Target(**{**given["target"], "backup": Backup(**{**backup, "stop": stop})})
        return cls(**{**given, "target": target})

    def found(self) -> Entry | None:
        """The ledger's entry."""
        return Entry.read((EVIDENCE / ledger.FOLDER / self.entry).read_text()) if self.entry else None


@dataclass
class Drill:
    """One as it goes on; what of it is kept as evidence is in `facts`."""

    say: Callable[[str], None]
    wanted: Wanted
    facts: dict[str, Any] = field(default_factory=dict)
    inexact: set[str] = field(default_factory=set)

    def run(self) -> bool:
        """All of it; whether everything was as it should be."""
        began = _now()
        self.facts = {"began": began.isoformat(), "asked": self.wanted.target is not None}
        marker = EVIDENCE / INTERRUPTED
        self.facts["interrupted_before"] = scratch.clean() or marker.exists()
        marker.unlink(missing_ok=True)
        self.facts |= {"recovery_seconds": None, "recovery_point_seconds": None, **Findings().described()}
        try:
            there = look()
            self.facts["recovery_point_seconds"] = recovery_point(there, began)
            self.facts |= self.verify(self.restored(there)).described()
        except FAILURES as error:
            self.facts["problems"] = [" ".join(str(error).split()) or type(error).__name__]
        finally:
            self.say("removing the copy")
            scratch.clean()
        if not self.facts["asked"] and not self.facts["problems"] and not self.facts["tables_compared"]:
            self.facts["problems"] = ["no table was compared with the ledger"]
        self._keep()
        return not self.facts["problems"]

    def restored(self, there: Repository) -> Plan:
        """Make a copy that its entry of the ledger is exact for, and serve it. Raises DrillError."""
        for _ in range(_EXACT_WITHIN):
            plan = self._plan(there)
            self.facts |= {
                "target": {
                    "xid": plan.target.xid,
                    "lsn": plan.target.lsn,
                    "timeline": plan.target.timeline,
                    "at": plan.at,
                },
                "backup": plan.target.backup.label,
                "seed": plan.seed,
                "candidates": plan.candidates,
            }
            try:
                self.facts["recovery_seconds"] = round(self._restore(plan), 3)
            except InexactError as error:
                self.say(f"ledger entry {plan.entry} is not exact: {error}; another is taken")
                self.inexact.add(plan.entry or "")
                scratch.clean()
            else:
                return plan
        raise DrillError(f"{_EXACT_WITHIN} entries of the ledger were not exact: the cluster is too busy to tell")

    def _plan(self, there: Repository) -> Plan:
        """What to restore to. Raises DrillError."""
        if self.wanted.target is not None:
            label, timeline, lsn = self.wanted.target
            backup = next((it for it in there.backups if it.label == label), None)
            if backup is None:
                raise DrillError(f"the repository has no backup {label}")
            return Plan(Target(backup, timeline, lsn))
        candidates = self._candidates(there)
        if not candidates:
            self.say("no entry of the ledger is in the window: making one of this moment")
            ledger.take(EVIDENCE)
            there = archive_all()
            candidates = self._candidates(there)
        if not candidates:
            raise DrillError(
                "no entry of the ledger is in the restorable window, not even one made now: `pgstack backup list`"
                " shows what there is"
            )
        seed = secrets.randbits(32) if self.wanted.seed is None else self.wanted.seed
        chosen = repository.choose(candidates, seed)
        beat = candidates[chosen]
        backup = there.backup_for(beat.before)
        assert backup is not None  # noqa: S101 - it is a candidate
        target = Target(backup, beat.timeline, beat.after, beat.xid)
        return Plan(target, chosen.name, beat.at.isoformat(), seed, len(candidates))

    def _candidates(self, there: Repository) -> dict[Path, heartbeats.Heartbeat]:
        noted = {path: it for path, it in ledger.entries(EVIDENCE).items() if path.name not in self.inexact}
        return repository.within(noted, there)

    def _restore(self, plan: Plan) -> float:
        """The copy, served; the seconds it took. Raises InexactError if the ledger's entry proves nothing about it."""
        where = f"transaction {plan.target.xid} of {plan.at}" if plan.entry else f"byte {plan.target.lsn} of the WAL"
        self.say(f"restoring backup {plan.target.backup.label} to {where}")
        plan.write()
        took = scratch.restore(plan.target)
        self.say(f"the copy answered after {took:.1f} s")
        entry = plan.found()
        # now, for what anybody writes to the copy gets a number too
        if entry is not None and (late := scratch.committed(entry.running, entry.xmax)):
            raise InexactError(f"transactions {', '.join(map(str, late))} were ending when it was made")
        return took

    def verify(self, plan: Plan) -> Findings:
        """What the copy shows."""
        return checks.check(plan.target, plan.found(), EVIDENCE, lambda it: self.say(f"checking {it}"))

    def _keep(self) -> None:
        if (more := len(self.facts["problems"]) - _TOLD) > 0:
            self.facts["problems"] = [*self.facts["problems"][:_TOLD], f"and {more} more"]
        self.facts |= {"ended": _now().isoformat(), "outcome": "failed" if self.facts["problems"] else "passed"}
        path = EVIDENCE / evidence.NAME
        evidence.append(path, self.facts, evidence.openssl(_KEY, SCRATCH / "signed"))
        drills = [json.loads(it)["drill"] for it in path.read_text().splitlines()]
        passed = [it["ended"] for it in drills if it["outcome"] == "passed" and it["tables_compared"]]
        last = datetime.datetime.fromisoformat(passed[-1]).timestamp() if passed else None
        metrics.write(EVIDENCE, metrics.text(self.facts, last))
        with contextlib.suppress(DrillError):  # what is kept too long does no harm
            forget(look())


def recovery_point(there: Repository, now: datetime.datetime) -> float | None:
    """How many seconds' commits would be lost with the host, by the heartbeats: a minute too many at most."""
    on_it = [it for it in heartbeats.lines(EVIDENCE) if it.timeline == there.timeline and it.after <= there.reaches]
    newest = max(on_it, key=lambda it: it.at, default=None)
    return round((now - heartbeats.known(EVIDENCE, newest)).total_seconds(), 3) if newest else None


def look() -> Repository:
    """The repository as far as it leads to what is live: that timeline which the last heartbeat was on."""
    newest = max(heartbeats.lines(EVIDENCE), key=lambda it: it.at, default=None)
    return repository.look(newest.timeline if newest else 0)


def archive_all() -> Repository:
    """Have the live server archive what it has now, and wait for it. Raises DrillError."""
    with connect(LIVE) as live:
        row = live.execute("SELECT pg_switch_wal() - '0/0'").fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM gives one
    until = time.monotonic() + _ARCHIVED_WITHIN
    while (there := look()).reaches < row[0]:
        if time.monotonic() > until:
            raise DrillError(f"WAL was not archived within {_ARCHIVED_WITHIN} s: `pgstack status` says more")
        time.sleep(0.3)
    return there


def forget(there: Repository) -> None:
    """Remove heartbeats and entries from before the oldest backup: nothing leads there any more."""
    if there.backups:
        until = there.backups[0].stop
        heartbeats.forget(EVIDENCE, until)
        ledger.forget(EVIDENCE, until)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
