"""The statements that pending revisions will send, and the locks they will take on tables in use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from db.migrations import table_locks
from db.migrations.printed import upgrades
from db.migrations.revisions import HOME
from db.migrations.standing import Standing
from db.migrations.statements import Schema, Statement
from db.migrations.table_locks import TableLock


@dataclass(frozen=True)
class Step:
    """`locks` are those on tables that the database has now: on those that the run itself makes, nobody waits."""

    statement: Statement
    locks: tuple[TableLock, ...]


def foresee(standing: Standing, *, home: Path = HOME) -> dict[str, tuple[Step, ...]]:
    """The steps of each pending revision. Raises RevisionError where its SQL can't be printed without a database."""
    if not standing.pending:
        return {}
    schema = Schema(standing.app)
    sql = upgrades(standing.app, home=home)
    for revision in standing.applied:
        for statement in sql[revision.revision]:
            schema.learn(statement)
    made: set[str] = set()
    steps: dict[str, tuple[Step, ...]] = {}
    for revision in standing.pending:
        its = []
        for statement in sql[revision.revision]:
            before = set(schema.tables)
            locks = [it for it in table_locks.of(statement, schema) if it.table not in made]
            schema.learn(statement)
            made |= schema.tables - before
            its.append(Step(statement, tuple(it for it in locks if it.table not in made)))
        steps[revision.revision] = tuple(its)
    return steps
