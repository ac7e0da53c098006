"""What the backup repository offers a drill: its backups, and how far WAL is archived."""

from __future__ import annotations

import datetime
import json
import random
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from db.drills.heartbeats import Heartbeat

PGBACKREST = ("pgbackrest", "--stanza=main")
_SEGMENT = 16 * 1024**2
_SEGMENTS_A_FILE = 256  # of 4 GB
T = TypeVar("T")


class DrillError(Exception):
    """A drill can't go on: one line that says why."""


@dataclass(frozen=True)
class Backup:
    """Consistent from `end` on (bytes from 0/0); `size` in bytes of the restored cluster."""

    label: str
    end: int
    stop: datetime.datetime
    size: int


@dataclass(frozen=True)
class Repository:
    """`archived` names the last WAL segment ("": none)."""

    backups: tuple[Backup, ...]  # oldest first
    archived: str

    @property
    def timeline(self) -> int:
        """Of the newest segment."""
        return int(self.archived[:8] or "0", 16)

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


def look() -> Repository:
    """Raises DrillError."""
    done = subprocess.run([*PGBACKREST, "--output=json", "info"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DrillError(f"the repository can't be read: {last_error(done.stdout + done.stderr)}")
    return described(json.loads(done.stdout))


def described(stanzas: Sequence[Mapping[str, Any]]) -> Repository:
    """`pgbackrest info --output=json` (https://pgbackrest.org/command.html#command-info); a damaged backup is none."""
    backups = [
        Backup(
            label=it["label"],
            end=lsn_of(it["lsn"]["stop"]),
            stop=datetime.datetime.fromtimestamp(it["timestamp"]["stop"], datetime.UTC),
            size=int(it["info"]["size"]),
        )
        for stanza in stanzas
        for it in stanza.get("backup", [])
        if not it.get("error")
    ]
    ends = [it["max"] for stanza in stanzas for it in stanza.get("archive", []) if it.get("max")]
    return Repository(tuple(sorted(backups, key=lambda it: it.end)), max(ends, default=""))


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


def lsn_of(text: str) -> int:
    """`16/B374D848` as bytes from 0/0 (PostgreSQL manual, 8.20)."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def last_error(said: str) -> str:
    """The last line of what a program said that tells of an error, else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"]
    telling = [line for line in lines if "ERROR" in line or "FATAL" in line or "PANIC" in line]
    return (telling or lines)[-1]
