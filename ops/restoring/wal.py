"""The WAL in the repository: its segments, and what pg_waldump reads in them."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from db import restore_points
from db.drills.timelines import lsn_of
from ops.engine import Engine
from ops.readings.repository import LOCAL, pgbackrest

SEGMENT = 16 * 1024**2  # bytes
_FILE = re.compile(r"(?P<cluster>\d+-\d+)/(?:.*/)?(?P<name>[0-9A-F]{24})-[0-9a-f]{40}\.zst")
_ARCHIVE = "archive/main"
_COMMIT = re.compile(
    r"tx: +(?P<xid>\d+), lsn: (?P<lsn>\w+/\w+), .*desc: COMMIT(?:_PREPARED)? (?P<at>[-\d]+ [:.\d]+ \w+)"
)
_POINT = re.compile(r"lsn: (?P<lsn>\w+/\w+), .*desc: RESTORE_POINT (?P<name>.*)")
_BATCH = 8  # segments at once: 128 MB of the container's memory


@dataclass(frozen=True)
class Segment:
    """One of 16 MB. `archived` is when the repository got it."""

    name: str
    archived: datetime.datetime
    path: str = ""  # in the repository

    @property
    def timeline(self) -> int:
        """The timeline that it was written on."""
        return int(self.name[:8], 16)

    @property
    def cluster(self) -> str:
        """Of which cluster's archive it is: `16-1`, the first of PostgreSQL 16."""
        return self.path.split("/")[2]

    @property
    def begin(self) -> int:
        """Its first LSN, as bytes from 0/0 (PostgreSQL manual, 30.6)."""
        return position(self.name)

    @property
    def end(self) -> int:
        """The LSN after its last."""
        return self.begin + SEGMENT


@dataclass(frozen=True)
class Commit:
    """A transaction's end in the WAL; `lsn` in bytes."""

    xid: int
    at: datetime.datetime
    lsn: int


@dataclass(frozen=True)
class Point:
    """A named restore point; `lsn` in bytes."""

    name: str
    lsn: int


@dataclass(frozen=True)
class ArchivedPoint(Point):
    """One with the moment at which its segment came to the repository."""

    archived: datetime.datetime


@dataclass(frozen=True)
class Records:
    """What some segments hold, in the order of the WAL."""

    commits: tuple[Commit, ...]
    points: tuple[Point, ...]


def position(segment: str) -> int:
    """Where a segment begins, in bytes from 0/0, by its name."""
    return (int(segment[8:16], 16) * 256 + int(segment[16:24], 16)) * SEGMENT


def named(lsn: int, timeline: int) -> str:
    """The name of the segment that `lsn` is in."""
    number = lsn // SEGMENT
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


def listed(engine: Engine, container: str, repository: str = LOCAL) -> tuple[Segment, ...]:
    """The segments of the newest cluster in the repository, in order. Raises EngineError."""
    said = engine.ask(container, [*pgbackrest(repository), "--recurse", "--output=json", "repo-ls", _ARCHIVE])
    return segments(said)


def segments(text: str) -> tuple[Segment, ...]:
    """`pgbackrest repo-ls --recurse --output=json archive/main` (https://pgbackrest.org/command.html#command-repo-ls)."""
    found: dict[int, dict[str, Segment]] = {}
    for path, file in json.loads(text).items():
        if match := _FILE.fullmatch(path):
            archived = datetime.datetime.fromtimestamp(file["time"], datetime.UTC)
            segment = Segment(match["name"], archived, f"{_ARCHIVE}/{path}")
            found.setdefault(int(match["cluster"].split("-")[1]), {})[match["name"]] = segment
    newest = found[max(found)] if found else {}
    return tuple(newest[name] for name in sorted(newest))


def read(
    engine: Engine, container: str, wanted: Sequence[Segment], following: Segment | None, repository: str = LOCAL
) -> Records:
    """The commits and restore points that begin in `wanted`, which follow each other; `following` comes after them.

    They may be of several timelines: pg_waldump reads the files of one, and gets them under the names of the last.
    Raises EngineError for a segment that can't be read.
    """
    commits: list[Commit] = []
    points: list[Point] = []
    for part, after in _batches(wanted, following):
        files = (*part, *([after] if after else []))
        named_alike = [it for file in files for it in (f"{files[-1].name[:8]}{file.name[8:]}", file.path)]
        said = engine.ask(container, ["bash", "-c", _WALDUMP, " ".join(pgbackrest(repository)), *named_alike])
        whole = records(said)
        commits += [it for it in whole.commits if it.lsn < part[-1].end]
        points += [it for it in whole.points if it.lsn < part[-1].end]
    return Records(tuple(commits), tuple(points))


def points(engine: Engine, container: str, there: Sequence[Segment]) -> list[ArchivedPoint]:
    """The restore points in `there`, oldest first. Raises EngineError for a segment that can't be read."""
    found = []
    for run in _runs(there):
        archived = {it.begin: it.archived for it in run}
        found += [
            ArchivedPoint(it.name, it.lsn, archived[it.lsn // SEGMENT * SEGMENT])
            for it in read(engine, container, run, None).points
            if restore_points.NAME.fullmatch(it.name)  # pgBackRest makes some of its own
        ]
    return found


def history(engine: Engine, container: str, cluster: str, timeline: int, repository: str = LOCAL) -> str:
    """A timeline's history file, of cluster `16-1`. Raises EngineError if the archive has none."""
    path = f"{_ARCHIVE}/{cluster}/{timeline:08X}.history"
    return engine.ask(container, [*pgbackrest(repository), "--log-level-console=error", "repo-get", path])


def lsn_text(lsn: int) -> str:
    """`0/48B8890` of a position in bytes."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def records(text: str) -> Records:
    """What pg_waldump prints (https://www.postgresql.org/docs/16/pgwaldump.html)."""
    commits, points = [], []
    for line in text.splitlines():
        if commit := _COMMIT.search(line):
            at = datetime.datetime.fromisoformat(commit["at"].replace(" UTC", "+00:00"))
            commits.append(Commit(int(commit["xid"]), at, lsn_of(commit["lsn"])))
        elif point := _POINT.search(line):
            points.append(Point(point["name"], lsn_of(point["lsn"])))
    return Records(tuple(commits), tuple(points))


def _runs(there: Sequence[Segment]) -> Iterator[list[Segment]]:
    """The longest rows of segments of one timeline in which each follows the one before."""
    run: list[Segment] = []
    for segment in there:
        if run and (run[-1].timeline, run[-1].end) != (segment.timeline, segment.begin):
            yield run
            run = []
        run.append(segment)
    if run:
        yield run


def _batches(
    wanted: Sequence[Segment], following: Segment | None
) -> Iterator[tuple[Sequence[Segment], Segment | None]]:
    for start in range(0, len(wanted), _BATCH):
        part = wanted[start : start + _BATCH]
        yield part, wanted[start + _BATCH] if start + _BATCH < len(wanted) else following


# A record may begin in one segment and end in the next; where the archive ends there is none, which pg_waldump calls an
# error and which is none here. Cut to what is asked for: a busy segment holds 100,000 records.
_WALDUMP = """\
set -o pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
first=$1
while (($#)); do
  $0 repo-get "$2" | zstd -dq >"$folder/$1" || exit
  last=$1
  shift 2
done
TZ=UTC pg_waldump --path="$folder" --rmgr=Transaction --rmgr=XLOG "$first" "$last" 2>/dev/null |
  grep -E 'desc: (COMMIT|RESTORE_POINT)' | cut -c1-300
true
"""
