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
    """What differs in an app's database; `unjudged` says why its schema could not be compared, and is else empty.

    `accepted` is drift that the repository gives a reason for (db.migrations.accepted).
    """

    app: str
    history: tuple[str, ...]
    drift: tuple[Difference, ...] = ()
    unjudged: str = ""
    accepted: tuple[tuple[Difference, str], ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the database is what the repository says."""
        return not (self.history or self.drift or self.unjudged)

    def lines(self) -> list[str]:
        """For people, one line each."""
        told = [*self.history, *([self.unjudged] if self.unjudged else [])]
        lines = [f"{self.app}: {line}" for line in told] + [str(it) for it in self.drift]
        accepted = [f"{self.app}: {it.kind} {it.name} {it.sentence}, accepted: {why}" for it, why in self.accepted]
        return accepted + (lines or [f"{self.app}: database and files agree"])

    def described(self) -> dict[str, Any]:
        """For scripts; `drift` is null where it could not be judged."""
        drift = [{**asdict(it), "text": str(it)} for it in self.drift]
        return {
            "agrees": self.agrees,
            "history": list(self.history),
            "drift": None if self.unjudged else drift,
            "unjudged": self.unjudged or None,
            "accepted": [{**asdict(it), "reason": why} for it, why in self.accepted],
        }


def check(app: str, url: str, *, ca_file: str | Path | None = None) -> Checked:
    """Compare the database of `url` with the repository; changes nothing and waits for no lock.

    Raises the errors of db.errors for what keeps it from being looked at at all; no message shows the password.
    """
    from db import connections, migrations  # noqa: PLC0415 - after what fails fast
    from db.errors import SnapshotError, TargetError  # noqa: PLC0415
    from db.migrations import accepted, drift, snapshot, standing  # noqa: PLC0415
    from db.urls import DatabaseURL  # noqa: PLC0415

    files = migrations.revisions(app)
    with closing(connections.connect(DatabaseURL.parse(url), ca_file=ca_file, name="pgstack check")) as connection:
        told: tuple[str, ...]
        it: standing.Standing | None = None
        try:
            it = standing.look(connection, app, files)
        except TargetError as error:  # whoever took that right may have done more, and the catalogue is everyone's
            told = (f"{error}; it is compared as if it were at {files[-1].revision}",)
        else:
            told = tuple(f"{pending.revision} is pending" for pending in it.pending) if it.agrees else (it.says,)
        found = snapshot.read(connection, app)
    try:
        expected = snapshot.load(app, vectors=found.vectors)
    except SnapshotError as error:
        return Checked(app, told, unjudged=f"drift can't be judged: {error}")
    if it is None or [file.revision for file in it.applied[-1:]] == [expected.revision]:
        reasons = accepted.reasons(app)
        differences = drift.compare(expected, found)
        return Checked(
            app,
            told,
            tuple(it for it in differences if f"{it.kind} {it.name}" not in reasons),
            accepted=tuple((it, why) for it in differences if (why := reasons.get(f"{it.kind} {it.name}"))),
        )
    if it.pending:
        reason = "until `pgstack migrate up`: the repository describes the newest revision's schema"
    elif it.kind == "current":
        reason = f"while {snapshot.FILE} is of {expected.revision}: `{snapshot.COMMAND}` writes it anew"
    else:
        reason = "against files that did not make it"
    return Checked(app, told, unjudged=f"drift can't be judged {reason}")
