"""What the backup container knows: the repository as `pgbackrest info` describes it, what it ran, the disk."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from db.drills.timelines import lsn_of
from ops.engine import Engine
from ops.errors import EngineError, OpsError

LOCAL, OFFSITE = "local", "offsite"
# infra/selfhosted/repositories.py; the others are there while the keys are rotated (ops/rotation.py)
_CONFIG = {LOCAL: "pgbackrest.conf", OFFSITE: "offsite.conf"} | {
    it: f"{it}.conf" for it in ("next", "next-offsite", "old", "old-offsite")
}
_FOLDER = "/etc/pgstack"


def config(repository: str) -> str:
    """The file of that repository in the backup container."""
    return f"{_FOLDER}/{_CONFIG[repository]}"


def pgbackrest(repository: str) -> tuple[str, ...]:
    """The beginning of a command that works on that repository of the backup container."""
    return ("pgbackrest", f"--config={config(repository)}", "--stanza=main")


PGBACKREST = pgbackrest(LOCAL)
TYPES = {"full": "full", "diff": "differential", "incr": "incremental"}
_KIB = 1024
_MAINTENANCE = re.compile(r"/run/postgresql/maintenance-(\w+):(\d+) (\d+)")  # infra/selfhosted/maintenance.py
_LOST = re.compile(r"^lost ([0-9A-F]{24}) ([0-9A-F]{24}) (\d+)$", re.MULTILINE)  # docker/postgres/lost-wal
_SCHEDULE = re.compile(r"^schedule (full|diff|incr) (.*)$", re.MULTILINE)
_VOLUMES = {"/var/lib/postgresql": "data", "/var/lib/pgbackrest": "backups"}
# `du` of a very large cluster takes longer than anybody waits for a status
_LOOK = """\
"$@" --output=json info || exit
echo
pgbackrest version
df -kP /var/lib/postgresql /var/lib/pgbackrest | tail -n +2
timeout 1 du -skx /var/lib/postgresql /var/lib/pgbackrest || true
stat -c 'scheduled %Z' /etc/pgstack/crontab
sed -nE 's/^(.*) pgbackrest .*backup --type=([a-z]+).*/schedule \\2 \\1/p' /etc/pgstack/crontab
stat -c 'reserve %s' /var/lib/postgresql/reserve 2>/dev/null || true
/usr/local/lib/pgstack/lost-wal || true
grep -H . /run/postgresql/maintenance-* 2>/dev/null || true
"""


@dataclass(frozen=True)
class Backup:
    """Sizes are bytes: `size` of the restored cluster, `stored` what this backup added."""

    label: str
    type: str  # full, diff, incr
    start: datetime.datetime
    stop: datetime.datetime
    size: int
    stored: int
    wal_start: str
    wal_stop: str
    end: int  # the LSN from which on it is consistent, in bytes
    failed: bool  # page checksums were wrong in it

    @property
    def timeline(self) -> int:
        """The timeline of the server that it was taken of."""
        return int(self.wal_stop[:8], 16)


@dataclass(frozen=True)
class Repository:
    """`message` is pgBackRest's own verdict, "ok" when `sound`."""

    sound: bool
    message: str
    running: bool  # a backup is being taken
    backups: tuple[Backup, ...]  # oldest first

    def newest(self, kind: str = "") -> Backup | None:
        """The last backup, or the last of that type."""
        return next((it for it in reversed(self.backups) if not kind or it.type == kind), None)


@dataclass(frozen=True)
class Disk:
    """One volume: bytes used by it (None: not counted in time), and the file system it lies on."""

    volume: str
    used: int | None
    free: int
    total: int


@dataclass(frozen=True)
class Maintenance:
    """How an application's last daily maintenance ended, and when (seconds since 1970)."""

    app: str
    failed: bool
    at: float


@dataclass(frozen=True)
class Loss:
    """WAL segments that the repository lacks and will not get, and when the one before them was archived."""

    first: str
    last: str
    since: datetime.datetime


@dataclass(frozen=True)
class BackupContainer:
    """All that the backup container was asked for."""

    version: str
    repository: Repository
    disks: tuple[Disk, ...]
    maintenance: tuple[Maintenance, ...] = ()
    scheduled: float | None = None  # when the schedule was last written, seconds since 1970
    schedule: Mapping[str, str] = field(default_factory=dict)  # type of backup to when it is due, as cron says it
    lost: tuple[Loss, ...] = ()  # oldest first
    reserve: int | None = None  # bytes kept on the data volume; 0: freed, None: there never was one


def ask(engine: Engine, container: str) -> BackupContainer:
    """Raises EngineError when pgBackRest does not answer."""
    return parse(engine.ask(container, ["sh", "-c", _LOOK, "sh", *PGBACKREST]))


def repository(engine: Engine, container: str, which: str = LOCAL) -> Repository:
    """One repository alone. Raises EngineError when pgBackRest does not answer."""
    return info(engine.ask(container, [*pgbackrest(which), "--log-level-console=error", "--output=json", "info"]))


def repositories(
    engine: Engine, container: str, chosen: str | None = None, kind: Literal["", "old", "next"] = ""
) -> tuple[str, ...]:
    """Those that the stack has, at present or of that kind, or the chosen one. Raises OpsError if it lacks that."""
    # one that is no more is an empty file
    look = ["find", _FOLDER, "-maxdepth", "1", "-name", "*.conf", "-size", "+0", "-printf", "%f\n"]
    files = engine.ask(container, look).split()
    found = tuple(name for name, file in _CONFIG.items() if file in files)
    if chosen and chosen not in found and chosen.startswith("old"):
        raise OpsError(
            f"there is no {chosen} repository: `pgstack keys rotate` leaves one, until `pgstack keys retire`"
        )
    if chosen and chosen not in found:
        raise OpsError("the stack has no off-site repository: docs/repositories.md shows how to give it one")
    of_it = (LOCAL, OFFSITE) if not kind else (kind, f"{kind}-{OFFSITE}")
    return (chosen,) if chosen else tuple(it for it in found if it in of_it)


def parse(text: str) -> BackupContainer:
    """The answer of `ask`."""
    lines = text.splitlines()
    described = next((line for line in lines if line.startswith("[")), None)
    if described is None:
        raise EngineError("pgBackRest described no repository: `pgstack logs backup` says why")
    used: dict[str, int] = {}
    disks: list[tuple[str, int, int]] = []
    for cells in (line.split() for line in lines):
        match cells:
            case [size, path] if path in _VOLUMES:
                used[path] = int(size) * _KIB
            case [_, total, _, free, _, path] if path in _VOLUMES:
                disks.append((path, int(free) * _KIB, int(total) * _KIB))
            case _:
                pass
    scheduled = next((float(line.split()[1]) for line in lines if line.startswith("scheduled ")), None)
    version = next((line.split()[1] for line in lines if line.startswith("pgBackRest ")), "unknown")
    return BackupContainer(
        version,
        info(described),
        tuple(Disk(_VOLUMES[path], used.get(path), *room) for path, *room in disks),
        tuple(Maintenance(app, ended != "0", float(at)) for app, ended, at in _MAINTENANCE.findall(text)),
        scheduled,
        dict(_SCHEDULE.findall(text)),
        losses(text),
        next((int(line.split()[1]) for line in lines if line.startswith("reserve ")), None),
    )


def lost(engine: Engine, container: str) -> tuple[Loss, ...]:
    """The WAL that is lost since the oldest backup. Raises EngineError when pgBackRest does not answer."""
    return losses(engine.ask(container, ["/usr/local/lib/pgstack/lost-wal"]))


def losses(text: str) -> tuple[Loss, ...]:
    """The lines of docker/postgres/lost-wal."""
    return tuple(Loss(first, last, _moment(int(since))) for first, last, since in _LOST.findall(text))


def info(text: str) -> Repository:
    """`pgbackrest info --output=json` (https://pgbackrest.org/command.html#command-info) of one stanza."""
    stanzas: list[dict[str, Any]] = json.loads(text)
    if not stanzas:
        return Repository(sound=False, message="there is no stanza", running=False, backups=())
    stanza = stanzas[0]
    status = stanza["status"]
    # the stanza's own message is "other" where the repository's names what is wrong
    message = next((it["status"]["message"] for it in stanza.get("repo", [])), status["message"])
    return Repository(
        sound=status["code"] == 0,
        message=str(message).strip().partition("\n")[0],
        running=bool(status.get("lock", {}).get("backup", {}).get("held")),
        backups=tuple(_backup(it) for it in stanza.get("backup", [])),
    )


def _backup(given: dict[str, Any]) -> Backup:
    return Backup(
        label=given["label"],
        type=given["type"],
        start=_moment(given["timestamp"]["start"]),
        stop=_moment(given["timestamp"]["stop"]),
        size=int(given["info"]["size"]),
        stored=int(given["info"]["repository"]["delta"]),
        wal_start=given["archive"]["start"],
        wal_stop=given["archive"]["stop"],
        end=lsn_of(given["lsn"]["stop"]),
        failed=bool(given.get("error")),
    )


def _moment(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
