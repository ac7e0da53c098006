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


class SnapshotError(DbError):
    """The repository's snapshot of a schema that is missing, or is no snapshot."""


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


class RestorePointError(DbError):
    """A restore point that can't be named so, or that the archive did not get in time."""


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


class TextError(DbError, ValueError):
    """A text that PostgreSQL cannot store: it holds a NUL byte, or half of a surrogate pair."""


class TransactionError(DbError):
    """A unit of work that cannot be run as one: it ended its own transaction, or hid a failed statement."""


class RetriesExhaustedError(TransactionError):
    """Every attempt at a unit of work met a transient failure; `sqlstate` is the last one's. Nothing is written."""

    def __init__(self, message: str, *, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class AmbiguousCommitError(TransactionError):
    """The connection was lost while COMMIT ran: the unit of work is either wholly written or not at all."""


class TenancyError(DbError):
    """Rows of organizations used without saying whose, or as two organizations at once."""


class SoftDeleteError(DbError):
    """A row that cannot be deleted or restored: it is not in the database, or a live row has taken its place."""


class DocumentError(DbError, ValueError):
    """JSON that does not fit its model; the message names the column and the field, never the value."""


class EncryptionError(DbError, ValueError):
    """Base of what can go wrong with encrypted values."""


class KeyringError(EncryptionError):
    """DB_ENCRYPTION_KEYS is missing or malformed; the message shows no key."""


class UnknownKeyError(EncryptionError):
    """A value was encrypted with a key that is not in the keyring."""


class DecryptionError(EncryptionError):
    """A value that was changed since it was encrypted, belongs to another row, or never was one of ours."""


class PageError(DbError, ValueError):
    """A page that cannot be served: number or size out of bounds, or a query whose order is not definite."""


class CursorError(DbError, ValueError):
    """A cursor that is malformed, was changed, or belongs to another ordering."""


class BulkError(DbError):
    """Rows that the server or the table's columns refuse; `sqlstate` is the server's. None of them is written."""

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class SearchError(DbError, ValueError):
    """A search text that cannot be searched for."""


class AuditError(DbError):
    """A question about the past of a table that keeps none, or about no moment in particular."""
