"""Names and texts as SQL wants them, from those of a snapshot (see db.migrations.snapshot.Snapshot)."""

from __future__ import annotations

import re

from psycopg import sql
from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS

_PLAIN = re.compile("[a-z_][a-z0-9_]*")


def parted(name: str) -> tuple[str, str]:
    """The table and what belongs to it: "users" and "email" of "users.email", also where the table's name has a dot."""
    found = re.fullmatch(r'("(?:[^"]|"")*"|[^.]*)\.?(.*)', name, re.DOTALL)
    return (found[1], found[2]) if found else (name, "")


def quoted(*parts: str) -> str:
    """The parts with dots between them, each in quotes where it needs them and has none yet."""
    return ".".join(
        it
        if re.fullmatch('"(?:[^"]|"")+"', it) or (_PLAIN.fullmatch(it) and it not in RESERVED_WORDS)
        else sql.Identifier(it).as_string(None)
        for it in parts
    )


def role(app: str, name: str) -> str:
    """The role that a snapshot of `app` calls owner, app or readonly, or any other."""
    group = f"{app}_{name}" if name in {"owner", "app", "readonly"} else name
    return group if group == "PUBLIC" else quoted(group)


def literal(value: object) -> str:
    """A string constant, or NULL."""
    return sql.Literal(value).as_string(None)
