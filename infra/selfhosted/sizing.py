"""PostgreSQL's memory settings from the memory that its container is given."""

from dataclasses import dataclass

MIB = 1024**2
GIB = 1024**3


@dataclass(frozen=True)
class Sizing:
    """All values in bytes. Rules: PostgreSQL manual 20.4 and 20.5, pgvector README "Indexing"."""

    shared_buffers: int
    effective_cache_size: int
    maintenance_work_mem: int
    work_mem: int
    max_wal_size: int
    min_wal_size: int
    shm: int


def size_for(memory: int, max_connections: int) -> Sizing:
    """Settings for a container of `memory` bytes that serves `max_connections` sessions."""
    shared_buffers = memory // 4  # the manual's starting point for a dedicated server
    maintenance = _clamp(memory // 16, 32 * MIB, 2 * GIB)
    wal = _clamp(memory, GIB, 16 * GIB)
    return Sizing(
        shared_buffers=shared_buffers,
        effective_cache_size=memory * 3 // 4,
        maintenance_work_mem=maintenance,
        # a quarter of what shared_buffers leave, were every session to sort at once
        work_mem=_clamp((memory - shared_buffers) // (4 * max_connections), 4 * MIB, 128 * MIB),
        max_wal_size=wal,
        min_wal_size=wal // 8,
        # parallel index builds share their memory through /dev/shm: a build fails if it is smaller than they may use
        shm=maintenance + 64 * MIB,
    )


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high)) // MIB * MIB
