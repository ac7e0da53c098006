"""What a snapshot sees (https://www.postgresql.org/docs/16/functions-info.html#FUNCTIONS-INFO-SNAPSHOT)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Snapshot:
    """It sees every transaction below `xmax` that was not `running`; of those from `xmax` on, none."""

    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """From pg_snapshot's text, `xmin:xmax:running,...`."""
        _, xmax, running = text.split(":")
        return cls(int(xmax), frozenset(int(it) for it in running.split(",") if it))


def ended_between(before: Snapshot, after: Snapshot) -> set[int]:
    """The transactions that ended after `before` was taken and before `after` was."""
    started = set(range(before.xmax, after.xmax))
    return (set(before.running) | started) - after.running
