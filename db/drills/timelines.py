"""Timelines: what was restored and made live goes on with one of its own, which leaves another's at some position.

https://www.postgresql.org/docs/16/continuous-archiving.html#BACKUP-TIMELINES
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_FORK = re.compile(r"^(?P<timeline>\d+)\t(?P<end>[0-9A-F]+/[0-9A-F]+)\t", re.MULTILINE)


@dataclass(frozen=True)
class Fork:
    """Where the next timeline leaves this one; `end` in bytes from 0/0."""

    timeline: int
    end: int


def forks(text: str) -> tuple[Fork, ...]:
    """A timeline's history file: its ancestors, the oldest first."""
    return tuple(Fork(int(it["timeline"]), lsn_of(it["end"])) for it in _FORK.finditer(text))


def leads_on(ancestors: Sequence[Fork], timeline: int, of: int, lsn: int) -> bool:
    """Whether what timeline `of` had at `lsn` is part of `timeline`, which has these ancestors."""
    return of == timeline or any(it.timeline == of and lsn <= it.end for it in ancestors)


def lsn_of(text: str) -> int:
    """`16/B374D848` as bytes from 0/0 (PostgreSQL manual, 8.20)."""
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)
