"""Timelines: a restored cluster writes its WAL on one of its own, which leaves another's at some position.

https://www.postgresql.org/docs/16/continuous-archiving.html#BACKUP-TIMELINES. Only what is live archives, and a restore
point in its WAL, `live-NUMBER-MOMENT`, says since when (infra/selfhosted/cluster.py). So the archive tells which
timeline was live at any moment, whatever was swapped and undone.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from db.drills.timelines import Fork, leads_on
from ops.restoring.wal import SEGMENT, Records, Segment, named

_LIVE = re.compile(r"live-\d+-(?P<moment>\d{8}T\d{6}\.\d{6}Z)")

Read = Callable[[Sequence[Segment], Segment | None], Records]
"""What `wal.read` does: the records that begin in segments, given the segment after them."""


History = Callable[[int], Sequence[Fork]]
"""The ancestors of a timeline, the oldest first."""


@dataclass(frozen=True)
class Line:
    """The way to a timeline's end: its ancestors up to where each was left, then itself; `segments` as far as known."""

    timeline: int
    ancestors: tuple[Fork, ...]
    segments: tuple[Segment, ...]

    @classmethod
    def to(cls, timeline: int, segments: Sequence[Segment], history: History) -> Line:
        """The line of that timeline through all the archive's segments."""
        line = cls(timeline, tuple(history(timeline)) if timeline > 1 else (), ())
        of_it = [it for it in segments if it.name == line.name_of(it.begin)]
        return cls(timeline, line.ancestors, tuple(sorted(of_it, key=lambda it: it.begin)))

    def name_of(self, lsn: int) -> str:
        """The segment that `lsn` is in; one with a fork in it is the newer timeline's, which holds both parts."""
        before = (it.timeline for it in self.ancestors if lsn // SEGMENT < it.end // SEGMENT)
        return named(lsn, next(before, self.timeline))

    def holds(self, timeline: int, lsn: int) -> bool:
        """Whether what that timeline has up to `lsn` is part of this line."""
        return leads_on(self.ancestors, self.timeline, timeline, lsn)


def by_age(segments: Sequence[Segment]) -> list[int]:
    """The timelines that have segments, the live one first."""
    return list(dict.fromkeys(it.timeline for run in reversed(_runs(segments)) for it in run))


def live_at(moment: datetime.datetime, segments: Sequence[Segment], read: Read, history: History) -> int:
    """The timeline that was live then."""
    runs = _runs(segments)
    at = next((n for n, run in enumerate(runs) if run[-1].archived >= moment.replace(microsecond=0)), len(runs) - 1)
    while at + 1 < len(runs) and _live_since(runs[at + 1], read, history) <= moment:
        at += 1
    while at and _live_since(runs[at], read, history) > moment:
        at -= 1
    return runs[at][0].timeline


def _runs(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Segments in the order in which they came to the archive, parted where the timeline changes."""
    runs: list[list[Segment]] = []
    waiting = sorted(segments, key=lambda it: (it.archived, it.name))
    while waiting:
        # in one second, which is all that a file's time tells, a timeline goes on before another begins
        now = [it for it in waiting if it.archived == waiting[0].archived]
        following = next((it for it in now if runs and it.timeline == runs[-1][-1].timeline), now[0])
        waiting.remove(following)
        if runs and runs[-1][-1].timeline == following.timeline:
            runs[-1].append(following)
        else:
            runs.append([following])
    return runs


def _live_since(run: Sequence[Segment], read: Read, history: History) -> datetime.datetime:
    """The mark in the run's own WAL; without one (it was lost), when the first segment came."""
    timeline = run[0].timeline
    begin = max((it.end for it in (history(timeline) if timeline > 1 else ())), default=0)
    for number, segment in enumerate(run):
        after = run[number + 1] if number + 1 < len(run) and run[number + 1].begin == segment.end else None
        for point in read([segment], after).points:
            if point.lsn >= begin and (mark := _LIVE.fullmatch(point.name)):
                return datetime.datetime.strptime(mark["moment"], "%Y%m%dT%H%M%S.%f%z")
    return run[0].archived
