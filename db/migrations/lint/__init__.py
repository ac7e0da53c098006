"""What of a revision's SQL would hurt a database in use: squawk's rules and ours where it has none.

Only what touches tables that were there before the revision counts: nobody waits for a new one. A rule that a statement
breaks on purpose is named in the file with the reason, `# pgstack: allow RULE: reason`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from db.migrations import table_locks
from db.migrations.findings import Finding
from db.migrations.lint import reasons, rules, squawk
from db.migrations.lint.rules import BLOCKING, Broken
from db.migrations.printed import downgrades, upgrades
from db.migrations.revisions import HOME, Revision, revisions
from db.migrations.statements import CONTROL, NAME, Schema, Statement


def lint(app: str, *, home: Path = HOME) -> list[Finding]:
    """What no reason was given for, in the order of the revisions.

    Raises RevisionError where the SQL can't be had.
    """
    ups, downs = upgrades(app, home=home), downgrades(app, home=home)
    given = reasons.given(app, home)
    schema = Schema(app)
    found: list[Finding] = []
    files = revisions(app, home=home)
    warnings = squawk.warnings([sql.get(file.revision, ()) for sql in (ups, downs) for file in files])
    for file, up, down in zip(files, warnings, warnings[len(files) :], strict=False):
        sql = ups[file.revision]
        undo = downs.get(file.revision, ())
        refused = [*_framing(file, sql), *_refused(file, sql, up, schema)]
        refused += _slow_to_undo(file, sql, undo, down, schema)
        told = [
            Finding(app, file.path.name, broken.rule, broken.says, it.headline, broken.recipe) for it, broken in refused
        ]
        found += reasons.unexcused(file, told, given.get(file.revision, {}))
    known = {file.revision for file in files}
    stale = [name for name in given if name not in known]
    return found + [Finding(app, reasons.VERDICTS, "unused-allow", f"there is no revision {name}") for name in stale]


def _slow_to_undo(
    file: Revision,
    done: Sequence[Statement],
    statements: Sequence[Statement],
    warned: Sequence[squawk.Warning],
    schema: Schema,
) -> Iterator[tuple[Statement, Broken]]:
    """What of a downgrade keeps others waiting; that it drops things is what it is for."""
    made = Schema(file.app)
    for it in done:
        made.learn(it)
    for statement, broken in (*_controls(statements), *_refused(file, statements, warned, copy.deepcopy(schema))):
        tables = schema.changed(statement)
        if broken.rule in rules.HOLDS_UP and not (tables and tables <= made.tables):
            yield statement, broken._replace(says=f"in downgrade, {broken.says}")


def _refused(
    file: Revision, statements: Sequence[Statement], warned: Sequence[squawk.Warning], schema: Schema
) -> Iterator[tuple[Statement, Broken]]:
    made: set[str] = set()  # a table that is not known to be new is in use: a partition, or one of another name before
    held: set[str] = set()
    replaced = _replaced(statements, schema)
    values: set[str] = set()
    for number, statement in enumerate(statements):
        if CONTROL.match(statement.words):
            continue
        tables, locks = schema.changed(statement), table_locks.of(statement, schema)
        heavy = [it for it in locks if it.table not in made and it.work and it.level in BLOCKING]
        said = rules.of_the_session(statement)
        if any(value in statement.text for value in values):
            says = "a value can't be used in the transaction that adds it: use it in the next revision"
            said.append(Broken("enum-value-used", says, "add-an-enum-value"))
        copies = rules.copies(statement, locks, made, schema)
        unknown = rules.of_the_unknown(statement, locks, schema)
        known = set(schema.tables)
        schema.learn(statement)
        if " if not exists " not in statement.words:
            made |= schema.tables - known
        if _comes_back(statement, statements[number + 1 :]):
            pass
        elif heavy or not tables or tables - made:
            said += _squawk(statement, [it for it in warned if it.at == number], heavy, replaced, schema)
            said += rules.of_drops(statement)
            # that something is dropped on purpose says nothing of what else the statement does
            if all(it.rule.startswith(("ban-drop-", "drops-dep")) for it in said):
                said += [] if said else rules.of_rows(statement)
                said += rules.of_time(statement, heavy, held, copies=copies)
        elif copies:
            said += rules.of_time(statement, heavy, held, copies=copies)
        said += [] if said else unknown
        yield from ((statement, it) for it in said)
        if file.transactional:
            held |= {it.table for it in locks if it.level in BLOCKING and it.table not in made}
        values |= set(re.findall(r"(?is)\A\s*alter\s+type\s.*?\sadd\s+value\s.*?('(?:[^']|'')*')", statement.text))


def _squawk(
    statement: Statement,
    warned: Sequence[squawk.Warning],
    heavy: Sequence[table_locks.TableLock],
    replaced: Collection[tuple[str, str]],
    schema: Schema,
) -> list[Broken]:
    """What squawk says, but where it does not know what earlier statements made or proved."""
    said = []
    for it in warned:
        empty = it.rule == "require-concurrent-index-creation" and " on only " in statement.words
        if (empty or it.rule == "adding-not-nullable-field") and not heavy:
            continue
        dropped = re.findall(rf"drop constraint (?:if exists )?({NAME})", statement.words)
        tables = schema.changed(statement)
        if it.rule == "ban-drop-constraint" and all((t, name) in replaced for name in dropped for t in tables):
            continue  # it comes back in another form
        dropping = "drop-a-column-or-a-table" if it.rule.startswith("ban-drop-") else ""
        said.append(Broken(it.rule, it.says, rules.RECIPES.get(it.rule, dropping)))
    return said


def _comes_back(statement: Statement, later: Sequence[Statement]) -> bool:
    """Whether what is dropped without its dependents is created anew in the same transaction."""
    dropped = re.match(rf"drop (?P<what>(?:view|trigger|function|procedure) (?:if exists )?{NAME})", statement.words)
    if dropped is None or re.search(r"\bcascade\b", statement.words):
        return False
    what = dropped["what"].replace("if exists ", "")
    return any(re.match(rf"create (?:or replace )?(?:constraint )?{re.escape(what)}[ (]", it.words) for it in later)


def _replaced(statements: Sequence[Statement], schema: Schema) -> set[tuple[str, str]]:
    """Table and name of constraints that come back in another form: under the same name, or as NOT NULL."""
    found = set()
    for it in statements:
        for table in schema.changed(it):
            found |= {(table, name) for name in re.findall(rf"add constraint ({NAME})", it.words)}
            columns = re.findall(rf"alter (?:column )?({NAME}) set not null", it.words)
            found |= {key for key, column in schema.not_null.items() if key[0] == table and column in columns}
    return found


def _framing(file: Revision, statements: Sequence[Statement]) -> Iterator[tuple[Statement, Broken]]:
    yield from _controls(statements)
    concurrent = [it for it in statements if re.search(r"\bconcurrently\b", it.words)]
    if concurrent and file.transactional:
        says = "it is refused inside a transaction: put it into `with op.get_context().autocommit_block():`"
        yield concurrent[0], Broken("concurrently-in-transaction", says, "add-an-index")
    elif not file.transactional and len(statements) > 1:
        says = (
            "outside a transaction a failure leaves half of the file standing: one statement, in a revision of its own"
        )
        yield statements[1], Broken("not-alone", says, "add-an-index")
    for it in concurrent:
        if " detach partition " in it.words:
            says = (
                "cut short by a timeout it leaves rows that are not found and blocks what follows: without CONCURRENTLY"
            )
            yield it, Broken("concurrent-detach", says, "drop-a-column-or-a-table")
        if re.match(r"(?:create (?:unique )?|drop )index concurrently (?!if )", it.words):
            says = "a run that was killed begins again: say IF NOT EXISTS or IF EXISTS (the runner drops invalid ones)"
            yield it, Broken("if-not-exists", says, "add-an-index")


def _controls(statements: Sequence[Statement]) -> Iterator[tuple[Statement, Broken]]:
    says = "what stands before it stays when the rest fails: leave it out"
    return ((it, Broken("transaction-control", says)) for it in statements if CONTROL.match(it.words))
