"""What of a revision's SQL would hurt a database in use: squawk's rules and ours where it has none.

Only what touches tables that were there before the revision counts: nobody waits for a new one. A rule that a revision
breaks on purpose is named in the file with the reason, `# pgstack: allow RULE: reason`; for revisions that were
released before there was a lint, which are never edited, in alembic/versions/<app>/verdicts.toml.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from db.errors import RevisionError
from db.migrations import squawk, table_locks
from db.migrations.findings import Finding
from db.migrations.printed import upgrades
from db.migrations.revisions import HOME, Revision, folder, revisions
from db.migrations.statements import CONTROL, NAME, Schema, Statement, every

VERDICTS = "verdicts.toml"
_ALLOW = re.compile(r"^\s*# pgstack: allow\b(?: (?P<rule>[a-z-]+): (?P<reason>\S.*))?", re.MULTILINE)
# the heading of docs/migrations.md that says how to do it instead
_RECIPES = {
    "adding-required-field": "add-a-column",
    "adding-field-with-default": "add-a-column",
    "adding-not-nullable-field": "make-a-column-not-null",
    "adding-foreign-key-constraint": "add-a-foreign-key",
    "adding-serial-primary-key-field": "add-a-unique-constraint",
    "constraint-missing-not-valid": "add-a-check",
    "disallowed-unique-constraint": "add-a-unique-constraint",
    "require-concurrent-index-creation": "add-an-index",
    "require-concurrent-index-deletion": "add-an-index",
    "require-concurrent-reindex": "add-an-index",
    "changing-column-type": "rename-a-column-or-change-its-type",
    "renaming-column": "rename-a-column-or-change-its-type",
    "renaming-table": "rename-a-column-or-change-its-type",
    "renaming-object": "rename-a-column-or-change-its-type",
    "ban-truncate-cascade": "drop-a-column-or-a-table",
    "require-concurrent-partition-detach": "drop-a-column-or-a-table",
}
_SESSION: tuple[tuple[str, str, str], ...] = (
    (
        "lock-timeout",
        r"set (?:local |session )?lock_timeout (?:=|to) (?:0|default)\b",
        "others queue behind a lock that is waited for: the runner keeps that short, and tries again",
    ),
    (
        "session-setting",
        r"set (?!local |transaction |constraints )|reset |discard |select (?:pg_catalog\.)?set_config ?\(.*, false\)",
        "it outlives the transaction and reaches the next revision: use SET LOCAL",
    ),
    (
        "session-state",
        r"(?:listen|unlisten|prepare|load|declare|deallocate) |select .*\bpg_(?:try_)?advisory_lock(?:_shared)? ?\(",
        "it belongs to the session, which goes on to the next revision",
    ),
    (
        "temporary-table",
        r"create (?:global |local )?temp(?:orary)? |select .* into temp",
        "it stays for the revisions after it and writes the catalogue: use a WITH query",
    ),
    ("explicit-lock", r"lock ", "a statement takes the lock it needs; one taken early is held longer"),
    ("unseen-statements", r"do (?:language )?|call ", "what it runs can't be linted: send the statements themselves"),
)
_LOSSES: tuple[tuple[str, str, str, str], ...] = (
    (
        "ban-truncate",
        r"truncate ",
        "every row is gone, and nobody reads or writes until the end",
        "drop-a-column-or-a-table",
    ),
    ("delete-every-row", r"delete from (?!.* where )", "every row is gone", "drop-a-column-or-a-table"),
    (
        "unbatched-write",
        r"(?:update|delete from|merge into) ",
        "its rows stay locked until the end of the transaction",
        "back-fill-rows",
    ),
    (
        "drops-object",
        r"drop (?!table|index|column)",
        "the release that still runs may use it, or it guards rows",
        "drop-a-column-or-a-table",
    ),
    (
        "opens-rows",
        r"alter table .*(?:disable row level security|no force row level security|disable (?:trigger|rule))",
        "rows or rules that were guarded no longer are",
        "drop-a-column-or-a-table",
    ),
)
_BLOCKING = ("ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE")


def lint(app: str, *, home: Path = HOME) -> list[Finding]:
    """What no reason was given for, in the order of the revisions.

    Raises RevisionError where the SQL can't be had.
    """
    sql = upgrades(app, home=home)
    given = _given(app, home)
    schema = Schema(app)
    found: list[Finding] = []
    files = revisions(app, home=home)
    warnings = squawk.warnings([sql[file.revision] for file in files])
    for file, warned in zip(files, warnings, strict=True):
        refused = list(_refused(file, sql[file.revision], warned, schema))
        found += _unexcused(file, refused, given.get(file.revision, {}))
    known = {file.revision for file in files}
    stale = [name for name in given if name not in known]
    return found + [Finding(app, VERDICTS, "unused-allow", f"there is no revision {name}") for name in stale]


def _refused(
    file: Revision, statements: Sequence[Statement], warned: Sequence[squawk.Warning], schema: Schema
) -> Iterator[Finding]:
    def finding(rule: str, says: str, statement: Statement | None, recipe: str) -> Finding:
        return Finding(file.app, file.path.name, rule, says, statement.headline if statement else "", recipe)

    made: set[str] = set()  # a table that is not known to be new is in use: a partition, or one of another name before
    added = {name for it in statements for name in re.findall(rf"add constraint ({NAME})", it.words)}
    replaced = added | schema.not_null.keys()
    yield from (finding(*it) for it in _framing(file, statements))
    altered: set[str] = set()
    for number, statement in enumerate(statements):
        tables, locks = schema.changed(statement), table_locks.of(statement, schema)
        heavy = [it for it in locks if it.table not in made and it.work and it.level in _BLOCKING]
        said = [(rule, says, "") for rule, pattern, says in _SESSION if re.match(pattern, statement.words)]
        known = set(schema.tables)
        schema.learn(statement)
        made |= schema.tables - known
        if not tables or tables - made:
            said += [
                (
                    it.rule,
                    it.says,
                    _RECIPES.get(it.rule, "drop-a-column-or-a-table" if it.rule.startswith("ban-drop-") else ""),
                )
                for it in warned
                if it.at == number and not _harmless(it.rule, statement, heavy, replaced)
            ]
            said += [] if said else _ours(statement, heavy, locks)
            if not said and "validate constraint" in statement.words and tables & altered:
                says = "it reads every row while an earlier statement's lock is held: validate in a revision of its own"
                said.append(("validate-alone", says, "add-a-check"))
        yield from (finding(rule, says, statement, recipe) for rule, says, recipe in said)
        altered |= {it.table for it in locks if it.level in _BLOCKING}


def _harmless(
    rule: str, statement: Statement, heavy: Sequence[table_locks.TableLock], replaced: Collection[str]
) -> bool:
    """Where squawk does not know what earlier revisions proved, or that a constraint comes back in another form."""
    if rule == "adding-not-nullable-field":
        return not heavy
    dropped = re.findall(rf"drop constraint (?:if exists )?({NAME})", statement.words)
    return rule == "ban-drop-constraint" and all(name in replaced for name in dropped)


def _ours(
    statement: Statement, heavy: Sequence[table_locks.TableLock], locks: Sequence[table_locks.TableLock]
) -> list[tuple[str, str, str]]:
    """What squawk says nothing of: rule, reason, recipe."""
    if statement.batched:
        endless = not re.search(r" and | on conflict", statement.words)
        says = "nothing in it passes over rows that are done: after {batch}, say `AND ...` what is still to be done"
        return [("endless-batches", says, "back-fill-rows")] if endless else []
    for rule, pattern, says, recipe in _LOSSES:
        if re.match(pattern, statement.words):
            return [(rule, says, recipe)]
    if heavy and heavy[0].work.startswith(table_locks.REWRITES):
        new_column = re.search(r" add (?!constraint)", statement.words)
        return [("table-rewrite", str(heavy[0]), "add-a-column" if new_column else "")]
    if heavy:
        return [("table-scan", str(heavy[0]), "add-a-check")]
    if any(it.table == table_locks.UNKNOWN for it in locks):
        return [("unseen-statements", "what it runs can't be linted: send the statements themselves", "")]
    return []


def _framing(file: Revision, statements: Sequence[Statement]) -> Iterator[tuple[str, str, Statement | None, str]]:
    for it in _written(file):
        if CONTROL.match(it.words):
            yield "transaction-control", "what stands before it stays when the rest fails: leave it out", it, ""
    concurrent = [it for it in statements if re.search(r"\bconcurrently\b", it.words)]
    if concurrent and file.transactional:
        says = "it is refused inside a transaction: put it into `with op.get_context().autocommit_block():`"
        yield "concurrently-in-transaction", says, concurrent[0], "add-an-index"
    elif not file.transactional and len(statements) > 1:
        says = (
            "outside a transaction a failure leaves half of the file standing: one statement, in a revision of its own"
        )
        yield "not-alone", says, statements[1], "add-an-index"
    for it in concurrent:
        if re.match(r"(?:create (?:unique )?|drop )index concurrently (?!if )", it.words):
            says = "a run that was killed begins again: say IF NOT EXISTS or IF EXISTS (the runner drops invalid ones)"
            yield "if-not-exists", says, it, "add-an-index"


def _written(file: Revision) -> Iterator[Statement]:
    """The statements in the texts that the file passes on; in the printed SQL, Alembic's own BEGIN and COMMIT stand."""
    for call in ast.walk(ast.parse(file.path.read_bytes())):
        for argument in call.args if isinstance(call, ast.Call) else ():
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield from every(argument.value)


def _unexcused(file: Revision, refused: Sequence[Finding], verdicts: dict[str, str]) -> list[Finding]:
    """What no reason was given for, and reasons that were given for nothing."""
    found = []
    excused = dict(verdicts)
    for allow in _ALLOW.finditer(file.path.read_bytes().decode()):
        if allow["rule"]:
            excused[allow["rule"]] = allow["reason"]
        else:
            says = f'"{allow[0].strip()}" gives no rule or no reason: write `# pgstack: allow RULE: reason`'
            found.append(Finding(file.app, file.path.name, "allow", says))
    found += [it for it in refused if it.rule not in excused]
    unused = excused.keys() - {it.rule for it in refused}
    return found + [
        Finding(file.app, file.path.name, "unused-allow", f"nothing in it breaks {rule}: take the reason away")
        for rule in sorted(unused)
    ]


def _given(app: str, home: Path) -> dict[str, dict[str, str]]:
    path = folder(app, home) / VERDICTS
    try:
        return tomllib.loads(path.read_text()) if path.exists() else {}
    except tomllib.TOMLDecodeError as error:
        raise RevisionError(f"{path.relative_to(home)}: {error}") from error
