"""One live database against the repository: its history against the files, its schema against the snapshot."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from db.migrations.drift import Difference


@dataclass(frozen=True)
class Checked:
    """What differs in an app's database; `unjudged` says why its schema could not be compared, and is else empty."""

    app: str
    history: tuple[str, ...]
    drift: tuple[Difference, ...] = ()
    unjudged: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the database is what the repository says."""
        return not (self.history or self.drift or self.unjudged)

    def lines(self) -> list[str]:
        """For people, one line each."""
        told = [*self.history, *([self.unjudged] if self.unjudged else [])]
        lines = [f"{self.app}: {line}" for line in told] + [str(it) for it in self.drift]
        return lines or [f"{self.app}: database and files agree"]

    def described(self) -> dict[str, Any]:
        """For scripts; `drift` is null where it could not be judged."""
        drift = [{**asdict(it), "text": str(it)} for it in self.drift]
        return {
            "agrees": self.agrees,
            "history": list(self.history),
            "drift": None if self.unjudged else drift,
            "unjudged": self.unjudged or None,
        }


def check(app: str, url: str, *, ca_file: str | Path | None = None) -> Checked:
    """Compare the database of `url` with the repository; changes nothing and waits for no lock.

    Raises the errors of db.errors for what keeps it from being looked at at all; no message shows the password.
    """
    from psycopg.errors import InsufficientPrivilege  # noqa: PLC0415 - after what fails fast

    from db import connections, migrations  # noqa: PLC0415
    from db.errors import HistoryError, SnapshotError  # noqa: PLC0415
    from db.migrations import drift, history, snapshot  # noqa: PLC0415
    from db.urls import DatabaseURL  # noqa: PLC0415

    files = migrations.revisions(app)
    told: list[str] = []
    unread = ""
    with closing(connections.connect(DatabaseURL.parse(url), ca_file=ca_file, name="pgstack check")) as connection:
        try:
            history.compare(connection, app, files)
        except HistoryError as error:
            told = [str(error)]
        except InsufficientPrivilege as error:  # drift too, and the reason is among what is told
            unread = f"{connection.info.user} may not read its history ({error.diag.message_primary})"
        found = snapshot.read(connection, app)
    at, names = found.revision, [it.revision for it in files]
    if unread:
        at = files[-1].revision
        told = [f"{unread}: it is compared as if it were at {at}"]
    elif at is None or at in names:
        told += [f"{name} is pending" for name in names[names.index(at) + 1 if at else 0 :]]
    try:
        expected = snapshot.load(app, vectors=found.vectors)
    except SnapshotError as error:
        return Checked(app, tuple(told), unjudged=f"drift can't be judged: {error}")
    if at == expected.revision:
        return Checked(app, tuple(told), tuple(drift.compare(expected, found)))
    if told:
        reason = (
            "drift can't be judged until `pgstack migrate up`: the repository describes the newest revision's schema"
        )
    else:
        reason = (
            f"drift can't be judged: {snapshot.FILE} is of {expected.revision}: `{snapshot.COMMAND}` writes it anew"
        )
    return Checked(app, tuple(told), unjudged=reason)
