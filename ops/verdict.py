"""What of a survey is wrong, each with the way out; pure, so that every rule has its test."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass

from db import apps
from ops import archiving
from ops.locks import abandoned
from ops.readings.certificates import Certificate
from ops.readings.containers import State
from ops.readings.drills import Drills
from ops.readings.offsite import Offsite
from ops.readings.pooler import Pooler
from ops.readings.repository import LOCAL, OFFSITE, BackupContainer, Disk, Repository
from ops.readings.server import Server
from ops.revisions import Comparison
from ops.survey import Survey
from ops.words import ago, span

_DRILLED_WITHIN = 2 * 24 * 3600  # seconds: they are nightly; one may be missed
_MAINTAINED_WITHIN = 2 * 24 * 3600  # seconds: it is daily; one may be missed
_COVERED_FOR = 31 * 24 * 3600  # seconds: so that the next month's partition is there before it begins
_WAIT = 5.0  # seconds that a client may wait for a server connection before the pool counts as too small
_FULL_CONNECTIONS = 0.9
_FULL_DISK = 0.9
_SMALL_DISK = 2 * 1024**3  # bytes: below this the deployment refuses to run; on a smaller disk a quarter of it
_RENEW = datetime.timedelta(days=60)
_GIB = 1024**3


@dataclass(frozen=True)
class Verdict:
    """`problems` make the stack unwell; `notes` are what its owner should do some day."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]


def judge(survey: Survey, *, lasting: bool, stack: str, now: float | None = None) -> Verdict:
    """`lasting`: the stack's data must not be lost. `now` in seconds since 1970."""
    now = time.time() if now is None else now
    problems = [line for state in survey.containers for line in _container(state)]
    problems += survey.failures
    problems += [abandoned(stack, lock) for lock in survey.locks if lock.dead]
    notes = [
        f"process {lock.pid} of {lock.user}@{lock.host} works on the stack since {lock.since}"
        for lock in survey.locks
        if not lock.dead
    ]
    for comparison in survey.databases:
        problems += _revisions(comparison, stack)
        notes += _pins(comparison)
    if survey.server:
        problems += archiving.waiting(survey.server, _free(survey.backups))
        problems += _server(survey.server)
    if survey.pooler:
        problems += _pools(survey.pooler)
    if survey.backups:
        problems += _repository(survey.backups.repository, LOCAL)
        # a developer's machine sleeps at night, and no schedule runs meanwhile
        (problems if lasting else notes).extend(archiving.late(survey.backups, now))
        if survey.backups.reserve == 0:
            notes.append("the reserve on the data volume is freed: `pulumi up` makes it again once there is room")
        lost, gaps = archiving.lost(survey.backups)
        problems += lost
        notes += gaps
        problems += [line for disk in survey.backups.disks for line in _disk(disk)]
        failed, late = _maintenance(survey, survey.backups, now)
        problems += failed
        (problems if lasting else notes).extend(late)
    if survey.offsite:
        problems += _offsite(survey.offsite)
        if there := survey.offsite.repository:
            problems += _repository(there, OFFSITE)
            (problems if lasting else notes).extend(_late(there, OFFSITE, now))
    if survey.drills:
        problems += _drills(survey.drills, now)
        (problems if lasting else notes).extend(_undrilled(survey.drills, now))
    problems += [line for table, until in survey.covered.items() for line in _covered(table, until, now)]
    for certificate in survey.certificates:
        wrong, soon = _certificate(certificate, now)
        problems += wrong
        notes += soon
    if survey.moving:
        problems.append(
            f"clients are to be moved to cluster {survey.moving} and were not: `pulumi up` moves them,"
            " `pgstack restore undo` gives it up"
        )
    problems += [
        f"cluster {number} was to be restored and is not there: `pulumi up` goes on, `pgstack restore drop {number}`"
        " gives it up"
        for number in survey.unmade
    ]
    notes += [
        f"restored cluster {number} runs beside the live one and may take as much memory: `pgstack restore drop"
        f" {number}` once nobody needs it"
        for number in survey.restored
        if number not in survey.unmade
    ]
    notes += _keys(*survey.repository_keys)
    notes += [
        f"database {name} was replaced and takes as much disk as it did: `pgstack restore drop {name}` once nobody"
        " needs it"
        for name in (survey.server.replaced if survey.server else ())
    ]
    if lasting and not survey.keys_exported:
        notes.append(
            "the present keys of this stack were never brought elsewhere, and its backups are lost with this host: "
            "`pgstack keys export FILE`, and keep FILE off this machine"
        )
    return Verdict(tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(notes)))


def _keys(*numbers: int) -> Iterator[str]:
    *others, present = numbers
    for it in others:
        if it < present:
            yield (
                f"the repositories of key {it} are kept since the last rotation, and take room: `pgstack keys retire`"
                " once no moment before it has to be restored"
            )
        else:
            yield (
                f"the rotation to key {it} is not finished: `pgstack keys rotate` goes on, `pgstack keys retire` gives"
                " it up"
            )


def _container(state: State) -> Iterator[str]:
    if state.state == "missing":
        yield f"container {state.name} is gone: `pulumi up` brings it back"
    elif state.state == "restarting":
        yield f"container {state.name} keeps ending ({state.restarts} restarts): `pgstack logs {state.role}` says why"
    elif state.state != "running":
        yield f"container {state.name} is {state.state}: `pgstack start` starts it"
    elif state.health == "starting":
        yield f"container {state.name} is still starting: ask again in some seconds"
    elif not state.well:
        yield f"container {state.name} is {state.health}: `pgstack logs {state.role}` says why"


def _revisions(comparison: Comparison, stack: str) -> Iterator[str]:
    app = comparison.app
    if comparison.pending:
        names = ", ".join(it.revision for it in comparison.pending)
        yield f"{app}: pending {names}: `pgstack migrate up -s {stack}` applies what is pending"
    yield from (f"{app}: {line}" for line in comparison.differences)


def _pins(comparison: Comparison) -> Iterator[str]:
    if comparison.target != "head":
        yield (
            f"{comparison.app} is held at {comparison.target} by `pgstack migrate down`: "
            f"`pgstack migrate up {comparison.app}` lets it go to {comparison.head}"
        )


def _server(server: Server) -> Iterator[str]:
    for database, times in server.damaged.items():
        yield (
            f"a page of database {database} failed its checksum when it was read ({times} times since the statistics"
            " were reset): rows are damaged on disk, keep the older backups (docs/runbooks/corrupted-page.md)"
        )
    if server.connections > _FULL_CONNECTIONS * server.max_connections:
        yield (
            f"{server.connections} of {server.max_connections} server connections are in use: "
            "applications that connect directly should go through the pooled URL"
        )


def _free(backups: BackupContainer | None) -> int | None:
    """Bytes left under the data volume."""
    return next((it.free for it in backups.disks if it.volume == "data"), None) if backups else None


def _pools(pooler: Pooler) -> Iterator[str]:
    for pool in pooler.pools:
        if pool.longest_wait > _WAIT:
            yield (
                f"{pool.waiting} clients of {pool.database} wait for a connection, the longest for "
                f"{pool.longest_wait:.0f} s: end long transactions (`pgstack psql APP --admin`, pg_stat_activity) "
                "or raise pgstack:serverConnections"
            )
    if pooler.max_clients and pooler.clients > _FULL_CONNECTIONS * pooler.max_clients:
        yield (
            f"{pooler.clients} of {pooler.max_clients} pooler clients are connected: raise pgstack:clientConnections"
        )


def _repository(repository: Repository, name: str) -> Iterator[str]:
    again = f"`pgstack backup now --type full --repository {name}`"
    if repository.newest("full") is None:
        yield f"there is no full backup in the {name} repository ({repository.message}): {again}"
    elif not repository.sound:
        yield f"the {name} repository is not sound ({repository.message}): `pgstack logs backup` says why"
    yield from (
        f"backup {it.label} ({name}) holds pages with wrong checksums: the data is damaged, keep the older backups"
        " (docs/runbooks/corrupted-page.md)"
        for number, it in enumerate(repository.backups)
        # a full backup reads every page
        if it.failed and not any(after.type == "full" and not after.failed for after in repository.backups[number:])
    )


def _drills(drills: Drills, now: float) -> Iterator[str]:
    if drills.broken:
        yield f"the evidence of the restore drills was tampered with or damaged: {drills.broken}"
    last = drills.last
    if last and not last.passed:
        yield (
            f"the last restore drill failed {ago(now - last.ended.timestamp())}: {last.problems[0]}"
            + (f" (and {len(last.problems) - 1} more: `pgstack drill list --json`)" if len(last.problems) > 1 else "")
            + "; `pgstack drill` tries again"
        )


def _undrilled(drills: Drills, now: float) -> Iterator[str]:
    proven = drills.proven
    if now - (proven.ended if proven else drills.since).timestamp() > _DRILLED_WITHIN:
        when = f"passed {ago(now - proven.ended.timestamp())}" if proven else "never passed"
        yield f"the last restore drill {when}: `pgstack drill` makes one; see `pgstack logs drills`"


def _late(repository: Repository, name: str, now: float) -> Iterator[str]:
    newest = repository.newest()
    if newest and now - newest.stop.timestamp() > archiving.BACKED_UP_WITHIN:
        days = (now - newest.stop.timestamp()) / 86400
        yield f"the last {name} backup is {days:.1f} days old: `pgstack backup now`; see `pgstack logs backup`"


def _offsite(offsite: Offsite) -> Iterator[str]:
    why = f" ({offsite.said})" if offsite.said else ""
    if offsite.waiting and offsite.oldest_ago > archiving.ARCHIVED_WITHIN:
        yield (
            f"the offsite repository is behind by {offsite.waiting} WAL segments, for {span(offsite.oldest_ago)}{why}:"
            " the local one has them; they follow by themselves once the store answers"
        )
    elif offsite.repository is None:
        yield f"the offsite repository does not answer{why}: the local one goes on; see to the store"


def _maintenance(survey: Survey, backups: BackupContainer, now: float) -> tuple[list[str], list[str]]:
    last = {it.app: it for it in backups.maintenance}
    failed, late = [], []
    for app in (it.app for it in survey.databases if apps.maintenance(it.app)):
        if app in last and last[app].failed:
            failed.append(
                f"the daily maintenance of {app} failed {ago(now - last[app].at)}: `pgstack logs backup` says why; "
                "it is tried again the next day"
            )
        elif now - (last[app].at if app in last else backups.scheduled or now) > _MAINTAINED_WITHIN:
            when = f"last ran {ago(now - last[app].at)}" if app in last else "never ran"
            late.append(f"the daily maintenance of {app} {when}: see `pgstack logs backup`")
    return failed, late


def _covered(table: str, until: float | None, now: float) -> Iterator[str]:
    if until is None or until - now < _COVERED_FOR:
        app = table.partition(".")[0]
        end = f"has partitions until {_day(until)}" if until is not None else "has no partition"
        yield (
            f"{table} {end}, and refuses what is later: `pgstack logs backup` says what became of the daily "
            f"maintenance; `pgstack psql {app} --direct` takes its statements (db/apps/{app}/__init__.py)"
        )


def _day(moment: float) -> str:
    return f"{datetime.datetime.fromtimestamp(moment, datetime.UTC):%Y-%m-%d}"


def _disk(disk: Disk) -> Iterator[str]:
    if disk.free < min(_SMALL_DISK, disk.total / 4) or disk.free < (1 - _FULL_DISK) * disk.total:
        yield (
            f"the disk under volume {disk.volume} has {disk.free / _GIB:.1f} GB left of {disk.total / _GIB:.1f}: "
            "free some (`docker system df` shows what Docker holds) before Postgres stops for want of it"
        )


def _certificate(certificate: Certificate, now: float) -> tuple[list[str], list[str]]:
    left = certificate.expires - datetime.datetime.fromtimestamp(now, datetime.UTC)
    day = f"{certificate.expires:%Y-%m-%d}"
    if left < datetime.timedelta():
        return [f"the certificate of {certificate.holder} expired on {day}: no client that verifies it connects"], []
    if left < _RENEW:
        return [], [f"the certificate of {certificate.holder} expires on {day}, in {left.days} days: renew it"]
    return [], []
