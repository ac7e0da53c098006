"""The last drill as Prometheus' node exporter reads it: https://github.com/prometheus/node_exporter#textfile-collector"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "pgstack_drills.prom"


def text(drill: Mapping[str, Any], last_passed: float | None) -> str:
    """All metrics; `last_passed` in seconds since 1970."""
    ended = datetime.datetime.fromisoformat(drill["ended"]).timestamp()
    given = [
        ("last_timestamp_seconds", "When the last drill ended; now minus this is its age.", ended),
        ("last_passed", "1 if the last drill found everything as it was, else 0.", int(drill["outcome"] == "passed")),
        ("last_passed_timestamp_seconds", "When a drill last passed.", last_passed),
        ("recovery_seconds", "From the begin of the restore to the first answered query.", drill["recovery_seconds"]),
        ("recovery_point_seconds", "Seconds of commits not archived yet, at most.", drill["recovery_point_seconds"]),
        ("compared_tables", "How many tables were compared with the ledger.", drill["tables_compared"]),
    ]
    lines = []
    for name, meaning, value in given:
        if value is not None:
            lines += [f"# HELP pgstack_drill_{name} {meaning}", f"# TYPE pgstack_drill_{name} gauge"]
            lines.append(f"pgstack_drill_{name} {value}")
    return "\n".join(lines) + "\n"


def write(folder: Path, content: str) -> None:
    """Replace the file as a whole, so that nobody reads half of it."""
    draft = folder / f"{NAME}.new"
    draft.write_text(content)
    draft.chmod(0o644)
    draft.rename(folder / NAME)
