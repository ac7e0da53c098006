"""The SQL of revisions without a database: Alembic's offline mode (`--sql`), cut into statements."""

from __future__ import annotations

import io
import re
from pathlib import Path

import alembic.command

from db.errors import RevisionError
from db.migrations import runner
from db.migrations.revisions import HOME, Revision, revisions
from db.migrations.statements import Statement, split

_RUNNING = re.compile(r"^-- Running upgrade \S* ?-> (\S+)$", re.MULTILINE)


def upgrades(app: str, *, home: Path = HOME) -> dict[str, tuple[Statement, ...]]:
    """What each revision's upgrade sends, by revision, oldest first.

    Raises RevisionError for a file that can't be loaded, or that asks the database: offline there is none to answer.
    """
    files = revisions(app, home=home)
    try:
        text = _between(app, "base", "head", home)
    except runner.LoadError:  # which concerns one file, whichever is printed
        raise
    except RevisionError:  # name the one that can't be printed
        for file in files:
            _one(app, file, home)
        raise
    parts = _RUNNING.split(text)[1:]
    return {name: tuple(split(sql)) for name, sql in zip(parts[::2], parts[1::2], strict=True)}


def _one(app: str, file: Revision, home: Path) -> None:
    try:
        _between(app, file.down_revision or "base", file.revision, home)
    except RevisionError as error:
        raise RevisionError(
            f"alembic/versions/{app}/{file.path.name}: its SQL can't be printed without a database ({error}): ask"
            " within the SQL, or use in_batches"
        ) from error


def _between(app: str, start: str, end: str, home: Path) -> str:
    output = io.StringIO()

    def command() -> None:
        config = runner.config(app, home, None)
        config.output_buffer = output
        alembic.command.upgrade(config, f"{start}:{end}", sql=True)

    runner.alone(app, home, command)
    return output.getvalue()
