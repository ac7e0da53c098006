"""What squawk has no rule for: statements that lose rows, change who may do what, or reach beyond the revision.

Patterns are matched with the beginning of a statement's `words` (db.migrations.statements).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from db.migrations import table_locks
from db.migrations.statements import NAME, Schema, Statement

BLOCKING = ("ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE")
"""The locks that readers or writers wait for."""
UNSEEN = "what it runs can't be linted: send the statements themselves"


class Broken(NamedTuple):
    """`recipe` is the heading of docs/migrations.md that says how to do it instead, or ""."""

    rule: str
    says: str
    recipe: str = ""


ONE_REASON_EACH = {
    *("ban-drop-column", "ban-drop-table", "ban-drop-schema", "ban-drop-database", "ban-truncate"),
    *("ban-truncate-cascade", "delete-every-row", "deletes-rows", "unbatched-write", "drops-dependents"),
    *("ban-drop-constraint", "detaches-rows", "opens-rows"),
}
"""A reason for one of these is a reason for one statement; any other holds for the whole file."""
HOLDS_UP = {
    *("adding-required-field", "adding-field-with-default", "adding-not-nullable-field", "changing-column-type"),
    *("adding-foreign-key-constraint", "adding-serial-primary-key-field", "disallowed-unique-constraint"),
    *("constraint-missing-not-valid", "require-concurrent-index-creation", "require-concurrent-reindex"),
    *("table-rewrite", "table-scan", "slow-after-lock", "unbatched-write", "delete-every-row"),
    *("transaction-control", "lock-timeout", "session-setting", "session-state", "explicit-lock", "unseen-statements"),
}
"""What a downgrade is told of: it, too, runs while others work."""
RECIPES = {
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
}
"""Of squawk's rules."""
_SESSION: tuple[tuple[str, str, str], ...] = (
    (
        "session-setting",
        r"set (?!local |transaction |constraints )|reset |discard |select .*\bset_config ?\(",
        "it outlives the transaction and reaches the next revision, or hides what it sets: use SET LOCAL",
    ),
    (
        "session-setting",
        r"set local (?:role|session|session_replication_role|row_security)\b",
        "who acts, and which triggers and policies hold, is not a migration's to change",
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
    ("unseen-statements", r"do (?:language )?|call |copy ", UNSEEN),
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
        "deletes-rows",
        r"delete from |merge into .* then delete\b",
        "its rows are gone for good, and stay locked until the end of the transaction",
        "back-fill-rows",
    ),
    (
        "unbatched-write",
        r"(?:update|merge into) |insert into (?=.* select ).* on conflict .*do update ",
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
        r"alter table .*(?:disable row level security|no force row level security|disable (?:trigger|rule))"
        r"|(?:alter default privileges .*)?grant (?!.* on (?:function|procedure|routine)s? ).* to (?:.*, )?public\b",
        "rows or rules that were guarded no longer are",
        "drop-a-column-or-a-table",
    ),
    (
        "owners-rights",
        r"create (?:or replace )?(?:recursive )?view (?!.*\bsecurity_invoker = (?:true|on|1)\b)"
        r"|create materialized view |alter view .*(?:security_invoker = (?!true|on|1)|reset \(.*security_invoker)"
        r"|(?:create|alter) .*\bsecurity definer\b",
        "it reads with its owner's rights, past row-level security and grants; a view: WITH (security_invoker = true)",
        "",
    ),
    (
        "detaches-rows",
        r"alter table .* (?:detach partition|no inherit) ",
        "its rows are no longer found in the table",
        "drop-a-column-or-a-table",
    ),
    (
        "changes-policy",
        r"(?:create|alter) policy |alter table .*(?:enable|force) row level security",
        "the release that still runs sees other rows from that moment on",
        "",
    ),
    (
        "changes-rights",
        r"revoke (?!.* on (?:all )?(?:function|procedure|routine)s? )|alter .* owner to "
        r"|(?:alter default privileges .*)?grant (?!.* on (?:all )?(?:function|procedure|routine)s? )",
        "others may do, or the release that still runs may no longer do, what that takes",
        "",
    ),
    ("changes-statements", r"create (?:or replace )?rule ", "other statements run than the release sends", ""),
    (
        "restarts-sequence",
        r"alter (?:sequence|table) .*(?:\brestart\b|(?<!no )\bcycle\b)",
        "keys that were given are given again",
        "",
    ),
)
_LONGEST_WAIT = 5000
"""Milliseconds of lock_timeout: as long as the runner's own last attempts wait."""
_MADE_OF_ROWS = r"create (?:unlogged )?(?:table|materialized view) .*\bas \(?(?:select|values|with|table) "
_UNITS = {"": 1, "us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_SETS_TIMEOUT = re.compile(
    r"\s*set\s+(?:local\s+|session\s+)?lock_timeout\s*(?:=|\bto\b)\s*'?\s*(\w+?)\s*([a-z]*)\s*'?$", re.I
)


def of_the_session(statement: Statement) -> list[Broken]:
    """What outlives the revision, or keeps from seeing what it does; wherever its tables come from."""
    if "lock_timeout" in statement.words and (set_to := _SETS_TIMEOUT.match(statement.text)):
        number, unit = set_to[1], set_to[2].lower()
        wait = float(number) * _UNITS.get(unit, 0) if number.isdecimal() else 0
        if not 0 < wait <= _LONGEST_WAIT:
            says = "others queue behind a lock that is waited for: the runner keeps that short, and tries again"
            return [Broken("lock-timeout", says)]
    return [Broken(rule, says) for rule, pattern, says in _SESSION if re.match(pattern, statement.words)][:1]


def of_drops(statement: Statement) -> list[Broken]:
    """What a drop takes along."""
    if re.match(r"(?:drop|alter .* drop|truncate) .*(?<!on delete )(?<!on update )cascade\b", statement.words):
        return [Broken("drops-dependents", "CASCADE takes along what is not named: drop that by its name", "")]
    if dropped := re.match(rf"drop table (?:if exists )?{NAME}(?:, {NAME})+", statement.words):
        says = "one reason can't be that of all: a statement for each"
        return [Broken("drops-dependents", f"{dropped[0]}: {says}", "drop-a-column-or-a-table")]
    return []


def of_rows(statement: Statement) -> list[Broken]:
    """What loses rows or objects, or changes what those who are at work may see and do."""
    if statement.batched:
        return _of_batches(statement)
    return [
        Broken(rule, says, recipe) for rule, pattern, says, recipe in _LOSSES if re.match(pattern, statement.words)
    ][:1]


def _of_batches(statement: Statement) -> list[Broken]:
    words = statement.words
    if not re.search(r" and | on conflict", words) or not re.search(r"\btrue\b", words):  # {batch}, in print
        says = "nothing in it passes over rows that are done: after {batch}, say `AND ...` what is still to be done"
        return [Broken("endless-batches", says, "back-fill-rows")]
    if re.search(r"\b(?:delete|truncate)\b", words):
        return [Broken("deletes-rows", "rows are gone for good", "drop-a-column-or-a-table")]
    return []


def of_time(
    statement: Statement, heavy: Sequence[table_locks.TableLock], held: Collection[str], *, copies: bool
) -> list[Broken]:
    """What takes long while others wait.

    `heavy` are the locks under which every row is read or written, of those that others mind; `held` the tables that
    earlier statements hold such a lock on; `copies` whether the statement reads other tables' rows.
    """
    if heavy and heavy[0].work.startswith(table_locks.REWRITES):
        new_column = re.search(r" add (?!constraint)", statement.words)
        return [Broken("table-rewrite", str(heavy[0]), "add-a-column" if new_column else "")]
    if heavy:
        return [Broken("table-scan", str(heavy[0]), "add-a-check")]
    if held and copies:
        says = (
            f"others wait meanwhile for {', '.join(sorted(held))}, which a statement before has locked: put it into a"
            " revision of its own"
        )
        validates = "validate constraint" in statement.words
        return [Broken("slow-after-lock", says, "add-a-check" if validates else "split-a-table")]
    return []


def of_the_unknown(statement: Statement, locks: Sequence[table_locks.TableLock], schema: Schema) -> list[Broken]:
    """What the text does not tell."""
    if re.search(r"\((?:delete from|update|insert into|merge into) ", statement.words):
        return [Broken("unseen-statements", "it writes within a query: send that as a statement of its own")]
    calls = re.match(rf"(?:insert|select|values|with) |{_MADE_OF_ROWS}", statement.words)
    if any(it.table == table_locks.UNKNOWN and not it.work for it in locks) or (calls and schema.called(statement)):
        return [Broken("unseen-statements", UNSEEN)]
    return []


def copies(statement: Statement, locks: Sequence[table_locks.TableLock], made: Collection[str], schema: Schema) -> bool:
    """Whether `statement` goes through all rows of a table that is not among `made`."""
    if any(it.work and it.table not in made for it in locks):
        return True
    if statement.words.endswith(" with no data"):
        return False
    if not re.match(rf"insert into .*(?:\bselect|\btable) |select .* into |{_MADE_OF_ROWS}", statement.words):
        return False
    read = re.findall(rf"\b(?:from|join|(?<!create )(?<!unlogged )table) (?:only )?({NAME})(?! \()", statement.words)
    return any(schema.name(name) not in made for name in read)
