"""The plan of a restore from the repository that a stack's backup container serves."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from db.drills.timelines import Fork, forks
from ops.engine import Engine
from ops.errors import OpsError
from ops.readings.repository import LOCAL, OFFSITE, repositories, repository
from ops.restoring import wal
from ops.restoring.plan import NotReachedError, Plan, plan
from ops.restoring.targets import Target


def planned(target: Target, engine: Engine, container: str, name: str = LOCAL) -> Plan:
    """Raises OpsError for a target that nothing leads to, EngineError for an archive that can't be read."""
    repositories(engine, container, name)  # refuses one that is not there
    try:
        found = _planned(target, engine, container, name)
    except NotReachedError as error:
        before = {LOCAL: "old", OFFSITE: f"old-{OFFSITE}"}.get(name)
        if before not in repositories(engine, container, kind="old"):
            raise
        raise NotReachedError(f"{error}; `--repository {before}` has what was before the key was rotated") from None
    end = found.newest.at if found.newest else found.backup.stop
    if name.startswith("old") and target.at is not None and target.at > end:  # what it lacks went to another one
        raise OpsError(
            f"{target} is after the last transaction of the {name} repository, of {end:%Y-%m-%d %H:%M:%S} UTC:"
            " `--to latest` is as far as it leads, the present repository has what came since"
        )
    return found


def _planned(target: Target, engine: Engine, container: str, name: str) -> Plan:
    read = functools.partial(wal.read, engine, container, repository=name)
    segments = wal.listed(engine, container, name)

    @functools.cache
    def history(timeline: int) -> Sequence[Fork]:
        return forks(wal.history(engine, container, segments[-1].cluster, timeline, name))

    return plan(target, repository(engine, container, name).backups, segments, read, history)
