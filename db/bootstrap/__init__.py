"""Roles, databases, schemas, extensions and grants that the applications need; safe to run at any time.

Run before migrating, after a restore and on every target, with the rights that the target gives. Every step reads the
catalogue first and changes only what differs, so a second run changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db.errors import BootstrapError

if TYPE_CHECKING:
    import psycopg

__all__ = ["Admin", "AppAccess", "Bootstrapped", "Login", "bootstrap"]

Connect = Callable[[str], "psycopg.Connection[Any]"]
Admin = Connect | Mapping[str, str]
"""How to log in as the role that bootstraps: a function from a database's name to an open autocommit connection, or
psycopg's connection keywords without `dbname`."""

# 63 bytes is PostgreSQL's limit for a name; the longest we derive is <app>_readonly_NN
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True)
class Login:
    """A role that logs in. The password must be printable ASCII: SCRAM would normalise anything else (RFC 4013)."""

    name: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.password or not self.password.isascii() or not self.password.isprintable():
            raise BootstrapError(f"the password of login {self.name} is empty or not printable ASCII: generate another")


@dataclass(frozen=True)
class AppAccess:
    """One app's database and the logins for its three groups: <app>_owner, <app>_app and <app>_readonly.

    A rotation passes logins of other names (..._2): the groups, and so the privileges, stay.
    """

    app: str
    database: str
    owner: Login
    application: Login
    readonly: Login

    def __post_init__(self) -> None:
        names = (self.app, self.database, *(login.name for login in self.logins))
        bad = [name for name in names if not _NAME.fullmatch(name)]
        if bad:
            raise BootstrapError(f'"{bad[0]}" cannot name a role or database here: use a-z, 0-9 and _, at most 48')

    @property
    def logins(self) -> tuple[Login, Login, Login]:
        """Owner, application, read-only."""
        return (self.owner, self.application, self.readonly)


@dataclass(frozen=True)
class Bootstrapped:
    """What a run did: one line a change, and, for each app, the optional extensions that the server lacks."""

    changes: tuple[str, ...]
    missing_extensions: dict[str, tuple[str, ...]]


def bootstrap(
    admin: Admin,
    accesses: Sequence[AppAccess],
    *,
    pooler_lookup: str | None = None,
    embeddings: str = "auto",
    report: Callable[[str], None] = print,
    patience: float = 15.0,
) -> Bootstrapped:
    """Bring roles, databases, schemas, extensions, grants and settings to what `accesses` say.

    `pooler_lookup` names the role by which a pooler asks for verifiers, None where there is no pooler of ours.
    `embeddings` is "vector", "jsonb" or "auto", for which DB_EMBEDDINGS may say it. `patience` is how many seconds to
    go on trying to connect, where `admin` is a mapping. Passwords leave this process only as SCRAM verifiers. Raises
    BootstrapError, and ConnectError where `admin` is a mapping.
    """
    from db.bootstrap import steps  # noqa: PLC0415  # loads psycopg

    return steps.run(
        admin, accesses, pooler_lookup=pooler_lookup, embeddings=embeddings, report=report, patience=patience
    )
