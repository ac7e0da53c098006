"""Runs Alembic for one app; the rules it runs under are in db.migrations.session, and apply to its command line too."""

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import alembic.command
import alembic.config
from alembic.util import CommandError

from db import apps, connections
from db.errors import DbError, RevisionError
from db.migrations import history, standing
from db.migrations.revisions import HOME, Revision, applicable, folder, reached, revisions
from db.migrations.session import Job
from db.urls import DatabaseURL


class LoadError(RevisionError):
    """A migration file that Python can't import."""


_PLAIN = re.compile(r"[ !#-\[\]-~]+")  # printable ASCII but the quotation mark and the backslash
_LONGEST = 100  # characters of a message: a file is named after it, and so is what Python compiles of it
_one_at_a_time = threading.Lock()  # Alembic's `context` is one per process


def upgrade(
    app: str,
    url: str,
    *,
    ca_file: str | Path | None,
    target: str,
    report: Callable[[str], None],
    home: Path,
    drafts: bool,
    embeddings: str,
) -> tuple[str, ...]:
    """See db.migrations.upgrade."""
    applicable(app, target, home=home)
    job = Job(app, DatabaseURL.parse(url), ca_file, report, home, drafts=drafts, embeddings=embeddings)
    return _run(job, lambda config: alembic.command.upgrade(config, target))


def downgrade(
    app: str, url: str, *, ca_file: str | Path | None, target: str, report: Callable[[str], None], home: Path
) -> tuple[str, ...]:
    """See db.migrations.downgrade."""
    if not re.fullmatch(r"-\d+", target):
        reached(app, target, home=home)
    job = Job(app, DatabaseURL.parse(url), ca_file, report, home, drafts=True)
    return _run(job, lambda config: alembic.command.downgrade(config, target))


def current(app: str, url: str, *, ca_file: str | Path | None) -> str | None:
    """See db.migrations.current."""
    apps.folder(app)
    with closing(connections.connect(DatabaseURL.parse(url), ca_file=ca_file)) as connection:
        return history.current(connection, app)


def plan(app: str, url: str, *, ca_file: str | Path | None, target: str, home: Path) -> tuple[Revision, ...]:
    """See db.migrations.plan."""
    wanted = reached(app, target, home=home)
    found = standing.standing(app, url, ca_file=ca_file, home=home)
    found.require()
    return wanted[len(found.applied) :]


def new(
    app: str, message: str, *, url: str | None = None, ca_file: str | Path | None = None, home: Path = HOME
) -> Path:
    """Write the next revision's file, named after `message`; with `url`, filled in from models against database."""
    files = revisions(app, home=home)
    if not _PLAIN.fullmatch(message):
        raise RevisionError(f"{message!r} can't head a file: say in plain words, of ASCII, what the revision does")
    if len(message) > _LONGEST:
        raise RevisionError(
            f'"{message[:20]}..." has {len(message)} characters, too many for the name of a file: say it in {_LONGEST}'
            " at most, and the rest as the file's Purpose"
        )
    slug = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")
    if not slug:
        raise RevisionError(f'"{message}" gives no name for a revision: say in a few words what it does')
    name = f"{len(files) + 1:04d}_{slug}"
    job = None if url is None else Job(app, DatabaseURL.parse(url), ca_file, home=home, writes=False)
    alembic.command.revision(config(app, home, job), message, rev_id=name, autogenerate=url is not None)
    return folder(app, home) / f"{name}.py"


def config(app: str, home: Path, job: Job | None) -> alembic.config.Config:
    """Alembic's configuration for `app`; `job` is what alembic/env.py runs under, None where only SQL is printed."""
    made = alembic.config.Config(home / "alembic.ini", ini_section=app)
    made.attributes["job"] = job
    return made


def alone(app: str, home: Path, command: Callable[[], None]) -> None:
    """Run one of Alembic's commands, one at a time. Raises errors of db.errors for what it says, and for its files."""
    with _one_at_a_time:
        try:
            command()
        except CommandError as error:
            raise RevisionError(f"{app}: {' '.join(str(error).split())}") from error
        except DbError:
            raise
        except Exception as error:
            raise _unloadable(app, home, error) or error from error


def _run(job: Job, command: Callable[[alembic.config.Config], None]) -> tuple[str, ...]:
    alone(job.app, job.home, lambda: command(config(job.app, job.home, job)))
    return tuple(job.done)


def _unloadable(app: str, home: Path, error: Exception) -> RevisionError | None:
    """What a migration file raised when Alembic loaded or printed it; None if it was no such file."""
    files = {str(file.path): file for file in revisions(app, home=home)}
    frames = [it for it in traceback.extract_tb(error.__traceback__) if it.filename in files]
    if not frames:
        return None
    revision, line = files[frames[-1].filename].revision, frames[-1].lineno
    words = f"line {line}: {type(error).__name__}: {' '.join(str(error).split())}"
    if any(it.name == "<module>" for it in frames):
        return LoadError(
            f"revision {revision} ({app}) can't be loaded: {words}; nothing was changed; mend it and run again"
        )
    return RevisionError(words)
