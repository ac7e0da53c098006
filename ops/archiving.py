"""What stands in the way of a restore to any second: WAL that waits or was lost, backups that were not taken; pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence

from ops.readings.repository import TYPES, Backup, BackupContainer, Loss
from ops.readings.server import Server
from ops.schedule import last_due
from ops.words import size, span

ARCHIVED_WITHIN = 180  # seconds: archive_timeout is 60, so three periods without one are a stall, not a delay
_TAKEN_WITHIN = 3 * 3600  # seconds that a backup may take, and that a restarted host may need
BACKED_UP_WITHIN = 2 * 24 * 3600  # seconds: differential backups are daily at least; one may be missed
_SERVES_AS = {"full": {"full"}, "diff": {"full", "diff"}, "incr": {"full", "diff", "incr"}}
_RUNBOOK = "docs/runbooks/disk-full.md"


def waiting(server: Server, free: int | None) -> Iterator[str]:
    """WAL that can't be archived, and how long that can go on; `free` bytes are left under the data volume."""
    stalled = server.oldest_ago is not None and server.oldest_ago > ARCHIVED_WITHIN
    if not server.archive_fails and not stalled:
        return
    said = "the last attempt to archive WAL failed" if server.archive_fails else "WAL is not archived"
    if server.oldest_ago is not None:
        said += (
            f": {server.waiting} segments ({size(server.waiting_bytes)}) wait, the oldest for {span(server.oldest_ago)}"
        )
        if stalled and free is not None and server.waiting_bytes:
            # what piled up since the oldest is what a pace can honestly be told from
            pace = server.waiting_bytes / server.oldest_ago
            room = (free - server.waiting_bytes) / 2 if server.drops else free
            end = "it is dropped and the restorable window breaks" if server.drops else "the disk is full"
            said += f"; at this pace {end} in {span(max(0, room) / pace)}"
    yield f"{said}: `pgstack logs postgres` and `pgstack logs backup` say why ({_RUNBOOK})"


def mended_by(loss: Loss, backups: Sequence[Backup]) -> Backup | None:
    """The first backup after lost WAL: from it on every second can be restored again."""
    return next((it for it in backups if it.wal_start > loss.last), None)


def gap(loss: Loss, backups: Sequence[Backup]) -> str:
    """Where no restore leads because of lost WAL."""
    after = mended_by(loss, backups)
    end = f"and {_moment(after.stop)}" if after else "and now"
    segments = loss.first if loss.first == loss.last else f"{loss.first} to {loss.last}"
    return f"no restore leads to between {_moment(loss.since)} {end}: WAL {segments} is lost"


def lost(backups: BackupContainer) -> tuple[list[str], list[str]]:
    """Problems and notes: what no backup mends yet, and where restores will not lead any more."""
    problems, notes = [], []
    there = backups.repository.backups
    for loss in backups.lost:
        if mended_by(loss, there):
            notes.append(gap(loss, there))
        else:
            problems.append(
                f"{gap(loss, there)}; a full backup is taken by itself as soon as archiving works, and"
                f" `pgstack backup now --type full` takes one at once ({_RUNBOOK})"
            )
    return problems, notes


def late(backups: BackupContainer, now: float) -> Iterator[str]:
    """Backups that were due by the deployed schedule and are not there. `now` in seconds since 1970."""
    there = backups.repository.backups
    newest = backups.repository.newest()
    if newest is None or backups.repository.running:
        return
    if overdue := dict(_overdue(there, backups.schedule, backups.scheduled, now)):
        kind, due = next(iter(overdue.items()))  # a full one makes up for the others
        yield (
            f"a {TYPES[kind]} backup was due at {_moment(due)} and was not taken, the last backup is of"
            f" {_moment(newest.stop)}: `pgstack backup now --type {kind}`; see `pgstack logs backup`"
        )
    elif now - newest.stop.timestamp() > BACKED_UP_WITHIN:
        days = (now - newest.stop.timestamp()) / 86400
        yield f"the last backup is {days:.1f} days old: `pgstack backup now`; see `pgstack logs backup`"


def _overdue(
    there: Sequence[Backup], schedule: Mapping[str, str], scheduled: float | None, now: float
) -> Iterator[tuple[str, datetime.datetime]]:
    by = datetime.datetime.fromtimestamp(now - _TAKEN_WITHIN, datetime.UTC)
    for kind in (it for it in TYPES if it in schedule):
        due = last_due(schedule[kind], by)
        last = max((it.stop for it in there if it.type in _SERVES_AS[kind]), default=None)
        # a schedule that was written since says nothing about what was due before
        if due and due.timestamp() > (scheduled or now) and (last is None or last < due):
            yield kind, due


def _moment(at: datetime.datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
