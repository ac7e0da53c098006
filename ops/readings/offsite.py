"""The off-site repository as the backup container sees it, and the WAL that still waits to be carried there."""

from __future__ import annotations

from dataclasses import dataclass

from ops.engine import Engine
from ops.readings.repository import OFFSITE, Repository, info, pgbackrest

# a store that does not answer must not make anybody wait for a status
_LOOK = """\
[ -s /etc/pgstack/offsite.conf ] || exit 0
find "$(sed -n 's/^repo1-path=//p' /etc/pgstack/pgbackrest.conf)/archive" -type f -printf '%f %T@\\n' |
  sed -nE 's/^([0-9A-F]{24})-[0-9a-f]{40}(\\.\\w+)? /\\1 /p' |
  LC_ALL=C awk -v now="$(date +%s)" '
    BEGIN { while ((getline line < "/run/postgresql/offsite-last") > 0) last[substr(line, 1, 8)] = line }
    $1 "" > last[substr($1, 1, 8)] "" { waiting++; if (!oldest || $2 < oldest) oldest = $2 }
    END { print waiting + 0, oldest ? now - oldest : 0 }'
echo "said $(cat /run/postgresql/offsite-error 2>/dev/null)"
timeout 5 "$@" --io-timeout=1 --log-level-console=error --output=json info || echo '{"no": "answer"}'
"""


@dataclass(frozen=True)
class Offsite:
    """`waiting` WAL segments are in the local repository only, the oldest for `oldest_ago` seconds; `said`: why.

    `repository` is None if the store does not answer.
    """

    repository: Repository | None
    waiting: int
    oldest_ago: float
    said: str


def ask(engine: Engine, container: str) -> Offsite | None:
    """None for a stack that has no off-site repository. Raises EngineError."""
    said = engine.ask(container, ["bash", "-c", _LOOK, "bash", *pgbackrest(OFFSITE)])
    return parse(said) if said.strip() else None


def parse(text: str) -> Offsite:
    """The answer of `ask`."""
    counts, said, *described = text.strip().splitlines()
    waiting, oldest = counts.split()
    found = info("".join(described)) if described and described[0].startswith("[") else None
    answers = found and (found.sound or found.backups or found.message in _WITHOUT_BACKUPS)
    why = said.removeprefix("said").strip() or ("" if answers or not found else found.message)
    return Offsite(found if answers else None, int(waiting), float(oldest), why)


_WITHOUT_BACKUPS = ("no valid backups", "missing stanza path", "missing stanza data")
