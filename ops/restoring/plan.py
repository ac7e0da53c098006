"""Where a restore would end and what it would take: worked out from the repository alone, whatever the server does.

PostgreSQL replays WAL from a backup on and stops at the target. A time keeps every transaction that committed before or
at it; a transaction, position or restore point keeps itself and all before it
(https://www.postgresql.org/docs/16/runtime-config-wal.html#RUNTIME-CONFIG-WAL-RECOVERY-TARGET).
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ops.errors import OpsError
from ops.readings.repository import Backup
from ops.restoring.targets import Target
from ops.restoring.timelines import History, Line, Read, by_age, live_at
from ops.restoring.wal import SEGMENT, Commit, Records, Segment, lsn_text, position

_STEP = 8  # segments looked through at once, from the newest backwards
_XIDS = 2**32
_SECOND = datetime.timedelta(seconds=1)


class NotReachedError(OpsError):
    """The target is none that this repository leads to; one of before may."""


@dataclass(frozen=True)
class Plan:
    """`kept` is the last transaction that stays, None where none committed since the backup.

    `timeline` is the one that is followed, `live` the one that is live now. `stop` is the LSN of the last WAL record to
    replay, in bytes; `wal` is in bytes too.
    `archived` is when the repository got its last segment; `missing` are segments between the backup and there, and
    `reaches` is when the last one before them was archived. `discarded` counts the transactions after `kept`, as far as
    they are archived.
    """

    target: Target
    timeline: int
    live: int
    window: tuple[datetime.datetime, datetime.datetime]
    archived: datetime.datetime
    backup: Backup
    first: str
    last: str
    wal: int
    missing: tuple[str, ...]
    reaches: datetime.datetime | None
    stop: int
    kept: Commit | None
    newest: Commit | None
    discarded: int

    @property
    def possible(self) -> bool:
        """Whether all WAL on the way is there, and the backup was sound."""
        return not self.missing and not self.backup.failed

    @property
    def seconds(self) -> float:
        """A guess at how long it takes: the backup at the speed at which it was taken, a segment in 0.15 s."""
        taken = max(1.0, (self.backup.stop - self.backup.start).total_seconds())
        return 2 + self.backup.size * taken / max(self.backup.size, 100 * 1024**2) + 0.15 * self.wal / SEGMENT


def plan(target: Target, backups: Sequence[Backup], segments: Sequence[Segment], read: Read, history: History) -> Plan:
    """Raises OpsError for a target that nothing in the repository leads to."""
    backups = [it for it in backups if not it.failed] or list(backups)
    if not backups or not segments:
        raise OpsError("the repository has no backup to restore from: `pgstack backup now --type full` takes one")
    known = by_age(segments)
    live = known[0]
    present = _last_commit(Line.to(known[0], segments, history).segments, read)
    window = (backups[0].stop + _SECOND, present.at if present else backups[-1].stop)
    if target.at is not None:
        known = [live_at(target.at, segments, read, history)]
    lines = [Line.to(it, segments, history) for it in known]
    if target.kind == "immediate":
        line = lines[0]
        backup = _of(line, backups, live)[-1]
        (kept, last), end = _upto(backup.end, line.segments, read), None
    else:
        line, (kept, last, end) = _first_that_has(target, lines, read, window)
        backup = _backup(target, _of(line, backups, live), end, window)
    newest = _last_commit(line.segments, read)
    first = backup.wal_start
    there = {it.name: it.archived for it in segments}
    stop = max(end or 0, backup.end)  # before its end, a backup is not consistent
    way = [line.name_of(lsn) for lsn in range(position(first), max(last.end, stop + 1), SEGMENT)]
    after = (newest.xid - kept.xid) % _XIDS if newest and kept else 0
    return Plan(
        target=target,
        timeline=line.timeline,
        live=live,
        window=window,
        archived=line.segments[-1].archived,
        backup=backup,
        first=first,
        last=way[-1],
        wal=len(way) * SEGMENT,
        missing=tuple(it for it in way if it not in there),
        reaches=_reaches(way, there),
        stop=stop,
        kept=kept,
        newest=newest,
        discarded=after if target.kind != "latest" else 0,
    )


def _of(line: Line, backups: Sequence[Backup], live: int) -> list[Backup]:
    """Those that the line leads on from. Raises OpsError if there is none."""
    held = [it for it in backups if line.holds(it.timeline, it.end)]
    if not held and line.timeline == live:
        raise OpsError(f"no backup is on the way to timeline {live}, the live one: `pgstack backup now` takes one")
    if not held:
        raise NotReachedError(f"no backup leads to timeline {line.timeline}, which is live no more")
    return held


def _reaches(way: Sequence[str], there: Mapping[str, datetime.datetime]) -> datetime.datetime | None:
    known = list(itertools.takewhile(lambda it: it in there, way))
    return there[known[-1]] if known and len(known) < len(way) else None


_End = tuple[Commit | None, Segment, int | None]
"""The last transaction that is kept, the last segment that is needed, and the LSN to stop at."""


def _first_that_has(
    target: Target, lines: Sequence[Line], read: Read, window: tuple[datetime.datetime, datetime.datetime]
) -> tuple[Line, _End]:
    """The line that the target is found on: the live one, before those that were live before it."""
    refusal: OpsError | None = None
    for line in lines:
        try:
            return line, _end(target, line.segments, read, window)
        except OpsError as error:
            refusal = refusal or error
    assert refusal is not None  # noqa: S101 - there is always a live one
    raise refusal


def _end(
    target: Target, line: Sequence[Segment], read: Read, window: tuple[datetime.datetime, datetime.datetime]
) -> _End:
    if target.at is not None and target.at < window[0]:
        raise _too_early(target, window)
    if target.kind in {"time", "latest"}:
        kept, last = _at(target.at, line, read)
        return kept, last, kept.lsn if kept else None
    lsn = target.number if target.kind == "lsn" else _found(target, line, read)
    if lsn >= line[-1].end:
        raise OpsError(f"{target} is not archived yet: the archive ends before {lsn_text(line[-1].end)}")
    return *_upto(lsn, line, read), lsn


def _at(moment: datetime.datetime | None, line: Sequence[Segment], read: Read) -> tuple[Commit | None, Segment]:
    """Replay stops at the first commit after `moment`."""
    at = len(line) - 1
    if moment is not None:
        # a segment is archived after the last commit in it; in files' times there are only seconds
        at = next((n for n, it in enumerate(line) if it.archived >= moment.replace(microsecond=0)), at)
    while True:
        commits = read([line[at]], _following(line, at)).commits
        kept = list(itertools.takewhile(lambda it: moment is None or it.at <= moment, commits))
        if len(kept) < len(commits) or at == len(line) - 1:
            return kept[-1] if kept else _last_commit(line[:at], read, line[at]), line[at]
        at += 1


def _upto(lsn: int, line: Sequence[Segment], read: Read) -> tuple[Commit | None, Segment]:
    number = next((n for n, it in enumerate(line) if it.begin <= lsn < it.end), None)
    if number is None:
        raise NotReachedError(
            f"the segment that {lsn_text(lsn)} is in is not in the archive, which begins at {lsn_text(line[0].begin)}"
        )
    commits = [it for it in read([line[number]], _following(line, number)).commits if it.lsn <= lsn]
    return commits[-1] if commits else _last_commit(line[:number], read, line[number]), line[number]


def _found(target: Target, line: Sequence[Segment], read: Read) -> int:
    """Where the transaction's commit or the restore point is, in bytes."""
    for records in _backwards(line, read):
        for point in reversed(records.points):
            if target.kind == "name" and point.name == target.text:
                return point.lsn
        for commit in records.commits:
            if target.kind == "xid" and commit.xid == target.number:
                return commit.lsn
    if target.kind == "name":
        raise NotReachedError(
            f'the archive holds no restore point "{target.text}": `pgstack backup points` lists those there are'
        )
    raise NotReachedError(
        f"the archive holds no commit of transaction {target.text}: it was rolled back, or is not archived"
    )


def _backup(
    target: Target, backups: Sequence[Backup], stop: int | None, window: tuple[datetime.datetime, datetime.datetime]
) -> Backup:
    """The newest that was complete before the target."""
    for it in reversed(backups):
        # a backup's times are whole seconds, rounded down: it may hold what was committed within the last
        before = it.stop + _SECOND <= target.at if target.at else stop is not None and it.end <= stop
        if before or target.kind == "latest":
            return it
    raise _too_early(target, window)


def _too_early(target: Target, window: tuple[datetime.datetime, datetime.datetime]) -> NotReachedError:
    return NotReachedError(
        f"{target} is before the first backup was complete: {window[0]:%Y-%m-%d %H:%M:%S} UTC is the earliest moment"
        " that this repository leads back to"
    )


def _following(line: Sequence[Segment], number: int) -> Segment | None:
    return line[number + 1] if number + 1 < len(line) and line[number + 1].begin == line[number].end else None


def _backwards(line: Sequence[Segment], read: Read, following: Segment | None = None) -> Iterator[Records]:
    """The records of a few segments at a time that follow each other, the newest first."""
    end = len(line)
    while end:
        start = end - 1
        while start and end - start < _STEP and line[start - 1].end == line[start].begin:
            start -= 1
        yield read(line[start:end], _following(line, end - 1) if end < len(line) else following)
        end = start


def _last_commit(line: Sequence[Segment], read: Read, following: Segment | None = None) -> Commit | None:
    for records in _backwards(line, read, following):
        if records.commits:
            return records.commits[-1]
    return None
