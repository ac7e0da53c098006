"""`python3 -m db.drills`: what the schedule and `pgstack drill` run in the container."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

from db.drills import evidence, heartbeats, ledger, scratch
from db.drills.drill import FAILURES, INTERRUPTED, Drill, Plan, Wanted, look
from db.drills.places import EVIDENCE, FILES, LIVE, connect
from db.drills.repository import DrillError

_HOURLY = 3400  # seconds: what is left of the hour is for reading
_CALMER = 30  # seconds; then a busy cluster may be less so
_NICE = 10  # the live server comes first
_FAILED = 1


def main() -> int:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="db.drills", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the schedule")
    commands.add_parser("heartbeat", help="commit one, and note it")
    taking = commands.add_parser("ledger", help="note what the cluster holds, at a random moment of the hour")
    taking.add_argument("--now", action="store_true")
    for name in ("drill", "restore"):
        one = commands.add_parser(name, help="restore a copy" + (", look at it, remove it" if name == "drill" else ""))
        one.add_argument("--seed", type=int)
        one.add_argument("--to", nargs=3, metavar=("BACKUP", "TIMELINE", "LSN"))
    commands.add_parser("verify", help="look at the restored copy")
    commands.add_parser("clean", help="remove the restored copy")
    given = parser.parse_args()
    run: Callable[[argparse.Namespace], bool] = globals()[f"_{given.command}"]
    signal.signal(signal.SIGTERM, _end)  # so that what is under way is removed
    try:
        return 0 if run(given) else _FAILED
    except FAILURES as error:
        print(f"pgstack: {' '.join(str(error).split())}", file=sys.stderr)
        return _FAILED


def _serve(_: argparse.Namespace) -> bool:
    """The scheduler, which reads its schedule again at SIGHUP; how it ends, this does."""
    since = EVIDENCE / "since"
    if not since.exists():
        (EVIDENCE / evidence.NAME).touch(mode=0o600)
        since.write_text(datetime.datetime.now(datetime.UTC).isoformat())
    if scratch.clean():
        (EVIDENCE / INTERRUPTED).touch()  # for the next drill to say
    schedule = FILES / "crontab"
    for line in schedule.read_text().splitlines():
        _say(f"by schedule: {line}")
    scheduler = subprocess.Popen(["supercronic", "-no-reap", "-quiet", "-passthrough-logs", str(schedule)])
    signal.signal(signal.SIGHUP, lambda _, __: scheduler.send_signal(signal.SIGUSR2))
    # everything at once: the scheduler would wait for what it started, and an entry's moment may be an hour away
    signal.signal(signal.SIGTERM, lambda _, __: os.kill(-1, signal.SIGTERM))
    return scheduler.wait() == 0


def _heartbeat(_: argparse.Namespace) -> bool:
    with connect(LIVE) as live:
        heartbeats.prepare(live)
        if not heartbeats.needless(live, EVIDENCE):
            heartbeats.note(live, EVIDENCE, *heartbeats.beat(live))
    return True


def _ledger(given: argparse.Namespace) -> bool:
    until = time.monotonic() + (0 if given.now else _HOURLY)
    time.sleep(random.uniform(0, max(0, until - time.monotonic())))  # noqa: S311 - no secret
    while True:
        try:
            entry = ledger.take(EVIDENCE)
            break
        except ledger.BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(_CALMER)
    tables = sum(len(it.tables) for it in entry.databases.values())
    unread = sum(len(it.unread) for it in entry.databases.values())
    print(f"noted transaction {entry.heartbeat.xid}: {tables} tables, {unread} not read")
    return True


def _drill(given: argparse.Namespace) -> bool:
    with _alone():
        drill = _of(given)
        passed = drill.run()
    for problem in drill.facts["problems"]:
        print(f"problem: {problem}")
    print(f"{drill.facts['outcome']}: {drill.facts['tables_compared']} tables compared with the ledger", flush=True)
    return passed


def _restore(given: argparse.Namespace) -> bool:
    with _alone():
        scratch.clean()
        _of(given).restored(look())
    return True


def _verify(_: argparse.Namespace) -> bool:
    with _alone():
        found = Drill(_say, Wanted()).verify(Plan.read())
    for problem in found.problems:
        print(f"problem: {problem}")
    print(f"{found.tables_read} tables read, {found.tables_compared} compared with the ledger")
    return not found.problems


def _clean(_: argparse.Namespace) -> bool:
    with _alone():
        scratch.clean()
    return True


def _of(given: argparse.Namespace) -> Drill:
    target = (given.to[0], int(given.to[1]), int(given.to[2])) if given.to else None
    return Drill(_say, Wanted(given.seed, target))


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Raises DrillError while another process works on the copy."""
    os.nice(_NICE)
    with (EVIDENCE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DrillError("a drill is running already: wait for it") from None
        yield


def _say(words: str) -> None:
    print(words, flush=True)


def _end(_: int, __: FrameType | None) -> None:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
