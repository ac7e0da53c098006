"""What `pgbackrest verify` found, and what it does not look for: it ends with 0 on a damaged repository, and calls one
sound that lacks WAL, a whole backup, or a manifest whose copy still serves."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from db.drills.timelines import Fork
from ops.readings.repository import Backup
from ops.restoring.wal import SEGMENT, named, position

_STATUS = re.compile(r"^status: (\w+)")
_FILE = re.compile(r"INFO: (?P<what>invalid [\w ]+|file missing) '?(?P<path>[^\s':]+)")
_RANGE = re.compile(r"archiveId: (?P<id>\S+), wal start: (?P<start>[0-9A-F]{24}), wal stop: (?P<stop>[0-9A-F]{24})")
_BACKUP = re.compile(r"^\s+backup: (?P<label>[^\s,]+), status: (?P<status>[\w ]+)")
_COPY = re.compile(r"DETAIL: (?P<path>\S+) is missing or unusable, using copy")
_STANZA = re.compile(r"^  (No usable .*)")

History = Callable[[str, int], Sequence[Fork] | None]
"""The ancestors of a timeline in the archive of cluster `16-1`, the oldest first; None if the archive does not tell."""


@dataclass(frozen=True)
class Verification:
    """`files` are damaged or gone; `backups` can't be restored; `gaps`: the segments before and after missing WAL."""

    sound: bool
    files: tuple[str, ...]
    backups: tuple[str, ...]
    gaps: tuple[tuple[str, str], ...]
    copies: tuple[str, ...]  # damaged, and their copy serves
    other: tuple[str, ...]


def parse(lines: Iterable[str], listed: Sequence[Backup], history: History) -> Verification:
    """Of `verify --output=text --verbose --log-level-console=detail`, and the backups that `info` lists."""
    files, copies, other, status = dict[str, None](), dict[str, None](), dict[str, None](), ""
    ranges = list[tuple[str, str, str]]()
    judged = dict[str, str]()
    for line in lines:
        if match := _FILE.search(line):
            files[f"{match['path']} ({match['what'].removeprefix('file ')})"] = None
        elif match := _COPY.search(line):
            copies[match["path"]] = None
        elif match := _RANGE.search(line):
            ranges.append((match["id"], match["start"], match["stop"]))
        elif match := _BACKUP.match(line):
            judged[match["label"]] = match["status"]
        elif match := _STANZA.match(line):
            other[match[1]] = None
        elif match := _STATUS.match(line):
            status = match[1]
    lost = [it.label for it in listed if it.label not in judged]
    broken = [label for label, verdict in judged.items() if verdict != "valid"]
    # a backup is consistent with the WAL that was written while it was taken, and only with all of it
    broken += [
        it.label for it in listed if not any(first <= it.wal_start and it.wal_stop <= last for _, first, last in ranges)
    ]
    firsts: dict[tuple[str, int], str] = {}
    for cluster, first, _ in ranges:
        firsts.setdefault((cluster, int(first[:8], 16)), first)
    grown = {it: history(*it) for it in firsts if it[1] > 1}
    files |= {
        f"{cluster}/{number:08X}.history (missing)": None for (cluster, number), it in grown.items() if it is None
    }
    forks = [(ancestors[-1], firsts[it]) for it, ancestors in grown.items() if ancestors]
    gaps = (*_between(ranges), *_at_forks(forks, listed))
    sound = status == "ok" and not (files or copies or gaps or lost or broken)
    return Verification(sound, tuple(files), tuple(sorted({*lost, *broken})), gaps, tuple(copies), tuple(other))


def findings(found: Verification, repository: str) -> list[str]:
    """One line for each thing that is wrong, with the way out."""
    again = f"`pgstack backup now --type full --repository {repository}`"
    lines = [f"damaged: {it}" for it in found.files]
    lines += [f"damaged: {it}, whose copy still serves; {again} makes a sound one" for it in found.copies]
    lines += [f"backup {it} can't be restored, nor can those that build on it: {again}" for it in found.backups]
    lines += [
        f"WAL is missing between {before} and {after}: no restore leads from a backup before it to a moment after it;"
        f" {again} leaves the gap behind"
        for before, after in found.gaps
    ]
    if any(".zst" in it or "/0000" in it for it in found.files):
        lines.append(f"no restore leads from a backup before a damaged segment to a moment after it: {again}")
    lines += [
        f"{it}: nothing in the repository can be read without it; bring it back from a copy, or use the other one"
        for it in found.other
    ]
    return lines or ([] if found.sound else ["pgBackRest calls it damaged and names no file: `pgstack logs backup`"])


def _between(ranges: Sequence[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    """Of ranges (cluster, first segment, last one) in order."""
    for (_, _, before), (_, after, _) in itertools.pairwise(ranges):
        if before[:8] == after[:8] and position(after) != position(before) + SEGMENT:
            yield before, after


def _at_forks(forks: Sequence[tuple[Fork, str]], listed: Sequence[Backup]) -> Iterator[tuple[str, str]]:
    """A timeline's first segment holds where it left another one; only before the oldest backup it may have expired."""
    for parent, first in forks:
        due = parent.end // SEGMENT * SEGMENT
        if listed and max(due, position(listed[0].wal_start)) < position(first):
            yield named(due - 1, parent.timeline), first
