"""What can go wrong with a database, each as one line that names the thing, the value and the way out.

No message carries a password: URLs are redacted before they reach an error.
"""

from collections.abc import Sequence


class DbError(Exception):
    """Base of every error this library raises on purpose."""


class UnknownAppError(DbError):
    """An application that has no folder in db/apps."""

    def __init__(self, app: str, known: Sequence[str]) -> None:
        super().__init__(f'unknown app "{app}": the apps are {", ".join(known)}')


class URLError(DbError, ValueError):
    """A database URL that cannot be used; the message shows it redacted."""


class SettingsError(DbError, ValueError):
    """Environment variables of the connection pool with impossible values; all of them in one message."""


class ConnectError(DbError):
    """No connection came about; the subclasses say whether trying again can help."""


class UnreachableError(ConnectError):
    """The name does not resolve, nothing listens, or the server is starting, stopping or full: worth a retry."""


class LoginError(ConnectError):
    """The server answered and said no (password, role, database, certificate): a retry would get the same answer."""


class RevisionError(DbError):
    """Migration files that do not form one line of revisions, or lack their header."""


class HistoryError(DbError):
    """The database's record of applied revisions disagrees with the files of this checkout."""


class PoolerError(DbError):
    """A transaction pooler where a direct connection is needed."""


class LockError(DbError):
    """Somebody else held a lock for longer than we are prepared to wait."""


class TargetError(DbError):
    """A database that cannot take this app's migrations: missing rights, or signs of another tool's work."""


class MigrationError(DbError):
    """A revision failed. `app`, `revision`, `statement` (its first line) and `sqlstate` say where and how."""

    def __init__(self, message: str, *, app: str, revision: str, statement: str = "", sqlstate: str = "") -> None:
        super().__init__(message)
        self.app = app
        self.revision = revision
        self.statement = statement
        self.sqlstate = sqlstate


class SeedError(DbError):
    """Seeds that cannot be written: unknown set, refused environment, or a schema that is not there yet."""


class BootstrapError(DbError):
    """Roles, databases or extensions that cannot be brought about with the rights at hand."""


class LeadError(DbError, ValueError):
    """A lead whose fields do not fit; all of them in one message."""


class TimeZoneError(DbError, ValueError):
    """A datetime without a time zone where an instant is stored."""


class EmbeddingError(DbError, ValueError):
    """A vector of the wrong length, or with a component that is not a finite number."""
