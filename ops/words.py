"""How times and sizes are said: in tables, and in JSON."""

import datetime

_STEPS = ((1, "s"), (60, "min"), (3600, "h"), (86400, "d"))
_KIB = 1024


def ago(seconds: float) -> str:
    """`12 s ago`, `5 min ago`, `3 h ago`, `9 d ago`."""
    return f"{span(seconds)} ago"


def span(seconds: float) -> str:
    """A length of time in its best unit, whole."""
    size, unit = next(((s, u) for s, u in reversed(_STEPS) if seconds >= 2 * s), _STEPS[0])
    return f"{max(0, seconds) // size:.0f} {unit}"


def size(amount: float) -> str:
    """Bytes as `22.0 MB` (powers of 1024, as PostgreSQL counts)."""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < _KIB:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIB
    return f"{amount:.1f} TB"


def in_json(value: object) -> str:
    """For `json.dumps(default=...)`: times as ISO 8601 with their zone. Raises TypeError for anything else."""
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in JSON")
