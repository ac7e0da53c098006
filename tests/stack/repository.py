"""What a stack's backup repository holds, read from inside its backup container."""

import json
import re
from typing import Any

from tests.deployment import Stack

REPOSITORY = "/var/lib/pgbackrest"
ARCHIVE = f"{REPOSITORY}/archive/main/16-1"


def pgbackrest(stack: Stack, *command: str) -> str:
    """What pgBackRest prints for `command`."""
    return stack.execute("backup", "pgbackrest", "--stanza=main", "--log-level-console=error", *command)


def info(stack: Stack) -> dict[str, Any]:
    """The stanza as `pgbackrest info` describes it."""
    (stanza,) = json.loads(pgbackrest(stack, "--output=json", "info"))
    assert isinstance(stanza, dict)
    return stanza


def archived(stack: Stack) -> dict[str, float]:
    """When (seconds since the epoch) each WAL segment came to the repository, oldest first."""
    listed = stack.execute("backup", "find", ARCHIVE, "-type", "f", "-printf", "%f %T@\n")
    found = [re.fullmatch(r"([0-9A-F]{24})-[0-9a-f]{40}\.zst (\S+)", line) for line in listed.splitlines()]
    return {match[1]: float(match[2]) for match in sorted(filter(None, found), key=lambda match: match[1])}


def live_archive(stack: Stack) -> list[str]:
    """The archived WAL segments of the timeline that is live, oldest first."""
    timeline = stack.admin_sql("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)")
    return [it for it in archived(stack) if it.startswith(timeline)]


def number(segment: str) -> int:
    """The position of a 16 MB segment in its timeline, from its name (PostgreSQL manual, 30.6)."""
    return int(segment[8:16], 16) * 256 + int(segment[16:], 16)


def files(stack: Stack) -> dict[str, bytes]:
    """The contents of every file in the repository; small, because the cluster is."""
    paths = stack.execute("backup", "find", REPOSITORY, "-type", "f").splitlines()
    container, contents = stack.container("backup"), {}
    for path in paths:
        code, output = container.exec_run(["cat", path])
        assert isinstance(output, bytes)
        if code == 0:  # it may have expired meanwhile
            contents[path.removeprefix(f"{REPOSITORY}/")] = output
    return contents
