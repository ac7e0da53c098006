"""The plan of a restore from the repository that a stack's backup container serves."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from db.drills.timelines import Fork, forks
from ops.engine import Engine
from ops.readings.repository import LOCAL, repositories, repository
from ops.restoring import wal
from ops.restoring.plan import Plan, plan
from ops.restoring.targets import Target


def planned(target: Target, engine: Engine, container: str, name: str = LOCAL) -> Plan:
    """Raises OpsError for a target that nothing leads to, EngineError for an archive that can't be read."""
    repositories(engine, container, name)  # refuses one that is not there
    read = functools.partial(wal.read, engine, container, repository=name)
    segments = wal.listed(engine, container, name)

    @functools.cache
    def history(timeline: int) -> Sequence[Fork]:
        return forks(wal.history(engine, container, segments[-1].cluster, timeline, name))

    return plan(target, repository(engine, container, name).backups, segments, read, history)
