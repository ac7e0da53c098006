"""The SQL of revisions without a database: Alembic's offline mode (`--sql`), cut into statements."""

from __future__ import annotations

import io
import re
from itertools import groupby
from pathlib import Path

import alembic.command

from db.errors import RevisionError
from db.migrations import runner
from db.migrations.revisions import HOME, Revision, revisions
from db.migrations.statements import Statement, split

WITHOUT_FRAMES = "without_frames"
"""The attribute of Alembic's configuration that has it print no BEGIN and COMMIT of its own."""
_UP = re.compile(r"^-- Running upgrade \S* ?-> (\S+)$", re.MULTILINE)
_DOWN = re.compile(r"^-- Running downgrade (\S+) -> ?\S*$", re.MULTILINE)


def upgrades(app: str, *, home: Path = HOME) -> dict[str, tuple[Statement, ...]]:
    """What each revision's upgrade sends, by revision, oldest first.

    Raises RevisionError for a file that can't be loaded, or that asks the database: offline there is none to answer.
    """
    files = revisions(app, home=home)
    try:
        text = _printed(app, "base:head", home)
    except runner.LoadError:  # which concerns one file, whichever is printed
        raise
    except RevisionError:  # name the one that can't be printed
        for file in files:
            _one(app, file, home)
        raise
    return _by_revision(_UP, text)


def downgrades(app: str, *, home: Path = HOME) -> dict[str, tuple[Statement, ...]]:
    """What each reversible revision's downgrade sends, by revision. Raises RevisionError as `upgrades` does."""
    found: dict[str, tuple[Statement, ...]] = {}
    for reversible, run in groupby(revisions(app, home=home), key=lambda file: file.reversible):
        if reversible:
            files = list(run)
            text = _printed(app, f"{files[-1].revision}:{files[0].down_revision or 'base'}", home, down=True)
            found |= _by_revision(_DOWN, text)
    return found


def _one(app: str, file: Revision, home: Path) -> None:
    try:
        _printed(app, f"{file.down_revision or 'base'}:{file.revision}", home)
    except RevisionError as error:
        raise RevisionError(
            f"alembic/versions/{app}/{file.path.name}: its SQL can't be printed without a database ({error}):"
            f" {_instead(str(error))}"
        ) from error


def _instead(error: str) -> str:
    if "No literal value renderer" in error:
        return (
            'give each column of sa.table() its type, as in sa.column("id", sa.Uuid), and write JSON as SQL, as in'
            """ op.execute("UPDATE ... SET config = '{}'::jsonb")"""
        )
    lead = "op.get_bind() is no connection while SQL is printed: " if "'MockConnection'" in error else ""
    return f"{lead}ask within the SQL, or use in_batches"


def _printed(app: str, span: str, home: Path, *, down: bool = False) -> str:
    output = _Output()

    def command() -> None:
        config = runner.config(app, home, None)
        config.attributes[WITHOUT_FRAMES] = True
        config.output_buffer = output
        (alembic.command.downgrade if down else alembic.command.upgrade)(config, span, sql=True)

    runner.alone(app, home, command)
    return output.getvalue()


def _by_revision(running: re.Pattern[str], text: str) -> dict[str, tuple[Statement, ...]]:
    parts = running.split(text)[1:]
    return {name: tuple(split(sql)) for name, sql in zip(parts[::2], parts[1::2], strict=True)}


class _Output(io.StringIO):
    """Takes each statement with Alembic's semicolon, which a comment at its end would swallow."""

    def write(self, text: str) -> int:
        body, semicolon, end = text.rpartition(";")
        swallowed = not end.strip() and "--" in body.rpartition("\n")[2]
        return super().write(f"{body}\n{semicolon}{end}" if swallowed else text)
