"""What the backup repository offers a drill: its backups, and how far WAL is archived."""

from __future__ import annotations

import datetime
import json
import random
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from db.drills.heartbeats import Heartbeat
from db.drills.timelines import Fork, forks, leads_on, lsn_of

PGBACKREST = ("pgbackrest", "--stanza=main")
_SEGMENT = 16 * 1024**2
_SEGMENTS_A_FILE = 256  # of 4 GB
_SEGMENT_FILE = re.compile(r"(?P<cluster>\d+-\d+)/(?:.*/)?(?P<name>[0-9A-F]{24})-[0-9a-f]{40}(?:\.\w+)?")
T = TypeVar("T")


class DrillError(Exception):
    """A drill can't go on: one line that says why."""


@dataclass(frozen=True)
class Backup:
    """Consistent from `end` on (bytes from 0/0) of `timeline`; `size` in bytes of the restored cluster."""

    label: str
    timeline: int
    end: int
    stop: datetime.datetime
    size: int


@dataclass(frozen=True)
class Repository:
    """What leads to the end of `timeline`, the live one; `archived` names its last WAL segment ("": none)."""

    backups: tuple[Backup, ...]  # oldest first
    timeline: int
    archived: str

    @property
    def reaches(self) -> int:
        """The end of the archived WAL, in bytes from 0/0."""
        if not self.archived:
            return 0
        number = int(self.archived[8:16], 16) * _SEGMENTS_A_FILE + int(self.archived[16:24], 16)
        return (number + 1) * _SEGMENT

    def backup_for(self, lsn: int) -> Backup | None:
        """The newest that was complete there."""
        return next((it for it in reversed(self.backups) if it.end <= lsn), None)


def look(timeline: int) -> Repository:
    """What there is for the live `timeline`; 0 where nothing was noted yet, which is the newest. Raises DrillError."""
    stanzas = json.loads(_said("--output=json", "info"))
    paths = json.loads(_said("--output=json", "--recurse", "repo-ls", "archive/main"))
    segments = {match["name"]: match["cluster"] for it in paths if (match := _SEGMENT_FILE.fullmatch(it))}
    timeline = timeline or max((int(it[:8], 16) for it in segments), default=1)
    ancestors: tuple[Fork, ...] = ()
    if timeline > 1:
        cluster = segments[max(segments)]
        ancestors = forks(_said("repo-get", f"archive/main/{cluster}/{timeline:08X}.history"))
    return Repository(
        tuple(it for it in backups(stanzas) if leads_on(ancestors, timeline, it.timeline, it.end)),
        timeline,
        max((it for it in segments if int(it[:8], 16) == timeline), default=""),
    )


def _said(*command: str) -> str:
    done = subprocess.run([*PGBACKREST, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DrillError(f"the repository can't be read: {last_error(done.stdout + done.stderr)}")
    return done.stdout


def backups(stanzas: Sequence[Mapping[str, Any]]) -> tuple[Backup, ...]:
    """Of `pgbackrest info --output=json` (https://pgbackrest.org/command.html#command-info); a damaged one is none."""
    found = [
        Backup(
            label=it["label"],
            timeline=int(it["archive"]["stop"][:8], 16),
            end=lsn_of(it["lsn"]["stop"]),
            stop=datetime.datetime.fromtimestamp(it["timestamp"]["stop"], datetime.UTC),
            size=int(it["info"]["size"]),
        )
        for stanza in stanzas
        for it in stanza.get("backup", [])
        if not it.get("error")
    ]
    return tuple(sorted(found, key=lambda it: it.end))


def within(noted: Mapping[T, Heartbeat], repository: Repository) -> dict[T, Heartbeat]:
    """Those entries that the repository leads to: after a backup, archived, and of the timeline that goes on."""
    return {
        key: it
        for key, it in noted.items()
        if it.timeline == repository.timeline
        and it.after <= repository.reaches
        and repository.backup_for(it.before) is not None
    }


def choose(candidates: Mapping[T, Heartbeat], seed: int) -> T:
    """One at random, the same for the same seed and candidates."""
    return random.Random(seed).choice(sorted(candidates, key=lambda it: candidates[it].after))  # noqa: S311 - no secret


def last_error(said: str) -> str:
    """The last line of what a program said that tells of an error, else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"]
    telling = [line for line in lines if "ERROR" in line or "FATAL" in line or "PANIC" in line]
    return (telling or lines)[-1]
