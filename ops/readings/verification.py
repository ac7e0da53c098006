"""What `pgbackrest verify` found, and what it does not look for: it ends with 0 on a damaged repository, and calls one
sound that lacks WAL between its backups, a whole backup, or a manifest whose copy still serves."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ops.readings.repository import Backup

_STATUS = re.compile(r"^status: (\w+)")
_FILE = re.compile(r"INFO: (?P<what>invalid [\w ]+|file missing) '?(?P<path>[^\s':]+)")
_RANGE = re.compile(r"archiveId: (?P<id>\S+), wal start: (?P<start>[0-9A-F]{24}), wal stop: (?P<stop>[0-9A-F]{24})")
_BACKUP = re.compile(r"^\s+backup: (?P<label>[^\s,]+), status: (?P<status>[\w ]+)")
_COPY = re.compile(r"DETAIL: (?P<path>\S+) is missing or unusable, using copy")
_STANZA = re.compile(r"^  (No usable .*)")
_SEGMENTS = 0x100  # of a log file of 4 GB (PostgreSQL manual, 30.6)


@dataclass(frozen=True)
class Verification:
    """`files` are damaged or gone; `backups` can't be restored; `gaps`: the segments before and after missing WAL."""

    sound: bool
    files: tuple[str, ...]
    backups: tuple[str, ...]
    gaps: tuple[tuple[str, str], ...]
    copies: tuple[str, ...]  # damaged, and their copy serves
    other: tuple[str, ...]


def parse(lines: Iterable[str], listed: Sequence[Backup]) -> Verification:
    """Of `verify --output=text --verbose --log-level-console=detail`, and the backups that `info` lists."""
    files, copies, other, status = dict[str, None](), dict[str, None](), dict[str, None](), ""
    ranges = list[tuple[str, str]]()
    judged = dict[str, str]()
    for line in lines:
        if match := _FILE.search(line):
            files[f"{match['path']} ({match['what'].removeprefix('file ')})"] = None
        elif match := _COPY.search(line):
            copies[match["path"]] = None
        elif match := _RANGE.search(line):
            ranges.append((match["start"], match["stop"]))
        elif match := _BACKUP.match(line):
            judged[match["label"]] = match["status"]
        elif match := _STANZA.match(line):
            other[match[1]] = None
        elif match := _STATUS.match(line):
            status = match[1]
    lost = [it.label for it in listed if it.label not in judged]
    broken = [label for label, verdict in judged.items() if verdict != "valid"]
    gaps = tuple(
        (before[1], after[0])
        for before, after in itertools.pairwise(ranges)
        if before[1][:8] == after[0][:8] and _number(after[0]) != _number(before[1]) + 1
    )
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


def _number(segment: str) -> int:
    return int(segment[8:16], 16) * _SEGMENTS + int(segment[16:], 16)
