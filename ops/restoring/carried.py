"""What is archived comes to the off-site repository some moments later; a restore from there waits for it."""

from __future__ import annotations

import sys

import tenacity

from ops.engine import Engine
from ops.readings import offsite

_WITHIN = 60  # seconds; a store that answers takes three
_OFTEN = 0.5  # seconds between two looks


def wait(engine: Engine, container: str) -> None:
    """Return once the off-site repository has all that the local one has, or tell what it lacks after a minute.

    Raises EngineError if the backup container does not answer.
    """
    lacks = tenacity.Retrying(
        retry=tenacity.retry_if_result(bool),
        stop=tenacity.stop_after_delay(_WITHIN),
        wait=tenacity.wait_fixed(_OFTEN),
        retry_error_callback=lambda attempts: attempts.outcome and attempts.outcome.result(),
    )(_lacking, engine, container)
    if lacks:
        print(f"only what was carried off-site can be restored from there: {lacks}", file=sys.stderr)


def _lacking(engine: Engine, container: str) -> str:
    there = offsite.ask(engine, container)
    if there is None or not there.waiting:
        return ""
    return f"{there.waiting} WAL segments wait ({there.said or 'they are being carried'})"
