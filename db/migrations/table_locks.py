"""Which locks a statement takes on which tables, and what it reads or rewrites while it holds them.

After the manual: 13.3.1 for what each level blocks, and each command's page for what it takes. The tests compare this
with pg_locks for every statement of every revision (tests/db/test_migration_locks.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from db.migrations.statements import ALTER, INDEX, NAME, TABLE, TRUNCATE, Schema, Statement, actions

BLOCKS = {
    "ACCESS EXCLUSIVE": "nobody else reads or writes it",
    "EXCLUSIVE": "others can only read it",
    "SHARE ROW EXCLUSIVE": "others can only read it",
    "SHARE": "others can only read it",
    "SHARE UPDATE EXCLUSIVE": "others read and write it; other DDL waits",
    "ROW EXCLUSIVE": "others read and write it, but not the same rows",
    "ROW SHARE": "others read and write it",
    "ACCESS SHARE": "others read and write it",
}
STRENGTH = tuple(reversed(BLOCKS))
REWRITES, READS = "rewrites every row", "reads every row"
UNKNOWN = "?"
"""The table of a lock that the statement's text does not tell."""


@dataclass(frozen=True)
class TableLock:
    """`level` as in LOCK TABLE; `work` is what the statement does to each row meanwhile, "" for a change of moments."""

    table: str
    level: str
    work: str = ""

    def __str__(self) -> str:
        if self.table == UNKNOWN:
            return "takes locks that its text does not tell: rehearse it"
        return f"{self.level} on {self.table}: {BLOCKS[self.level]}{f', while it {self.work}' if self.work else ''}"


_STATEMENTS: tuple[tuple[str, str, str], ...] = (
    (rf"create (?:or replace )?(?:constraint )?trigger .*? on (?P<table>{NAME})", "SHARE ROW EXCLUSIVE", ""),
    (rf"(?:drop|alter) trigger .*? on (?P<table>{NAME})", "ACCESS EXCLUSIVE", ""),
    (rf"(?:create|alter|drop) policy .*? on (?P<table>{NAME})", "ACCESS EXCLUSIVE", ""),
    (rf"(?:create(?: or replace)?|drop) rule .*? (?:to|on) (?P<table>{NAME})", "ACCESS EXCLUSIVE", ""),
    (rf"comment on table (?P<table>{NAME})", "SHARE UPDATE EXCLUSIVE", ""),
    (rf"comment on column (?P<table>{NAME})\.\w+", "SHARE UPDATE EXCLUSIVE", ""),
    (rf"create statistics .*? from (?P<table>{NAME})", "SHARE UPDATE EXCLUSIVE", ""),
    (rf"(?:insert into|update(?: only)?|delete from(?: only)?|merge into) (?P<table>{NAME})", "ROW EXCLUSIVE", ""),
    (rf"copy (?P<table>{NAME})", "ROW EXCLUSIVE", ""),
    (rf"vacuum .*?full.*? (?P<table>{NAME})$", "ACCESS EXCLUSIVE", REWRITES),
    (rf"vacuum (?:.* )?(?P<table>{NAME})$", "SHARE UPDATE EXCLUSIVE", READS),
    (rf"cluster (?:verbose )?(?P<table>{NAME})", "ACCESS EXCLUSIVE", REWRITES),
    (rf"analyze (?P<table>{NAME})", "SHARE UPDATE EXCLUSIVE", ""),
    (rf"refresh materialized view concurrently (?P<table>{NAME})", "EXCLUSIVE", ""),
    (rf"refresh materialized view (?P<table>{NAME})", "ACCESS EXCLUSIVE", REWRITES),
    (rf"reindex table concurrently (?P<table>{NAME})", "SHARE UPDATE EXCLUSIVE", READS),
    (rf"reindex table (?P<table>{NAME})", "SHARE", READS),
)
_NONE = re.compile(
    r"(?:create (?:or replace )?(?:function|procedure|aggregate|type|domain|schema|extension|sequence|role|collation)"
    r"|(?:drop|alter) (?:function|procedure|aggregate|type|domain|schema|extension|sequence|view|default privileges)"
    r"|grant|revoke|comment|set|reset|security label|create (?:or replace )?view|create operator|select set_config)\b"
)
_WEAK = re.compile(  # ALTER TABLE, SHARE UPDATE EXCLUSIVE
    r"validate constraint|alter (?:column )?\S+ (?:set statistics|set \(|reset \()|set \(|reset \(|cluster on"
    r"|set without cluster"
)
_VOLATILE = re.compile(
    r"default .*\b(?:random|clock_timestamp|gen_random_uuid|uuid_generate_v\d\w*|nextval|timeofday)\b"
)
_DOMAIN = re.compile(r"alter domain .*(?:add .*\)$|set not null|validate constraint)")  # but not: NOT VALID
_ATTACH_INDEX = re.compile(rf"alter index (?P<index>{NAME}) attach partition (?P<part>{NAME})")
_REINDEX = re.compile(rf"reindex (?:\(.*\) )?index concurrently (?P<index>{NAME})")
_READ = re.compile(r"select (?!.*\b(?:for (?:no key )?update|for (?:key )?share|into)\b)(?!.*[\w\"] \()")
_DROP_TABLES = re.compile(rf"drop table (?:if exists )?(?P<tables>{NAME}(?:, {NAME})*)")
_LOCK = re.compile(rf"lock (?:table )?(?:only )?(?P<table>{NAME})(?: in (?P<level>.*?) mode)?")
_INDEX_DROP = re.compile(rf"drop index (?P<concurrently>concurrently )?(?:if exists )?(?P<indexes>{NAME}(?:, {NAME})*)")


def of(statement: Statement, schema: Schema) -> list[TableLock]:
    """The strongest lock on each table that was there before, in the order they are taken.

    `schema` is what stands before the statement. A lock on UNKNOWN where the text does not tell which.
    """
    strongest: dict[str, TableLock] = {}
    for lock in _taken(statement.words, schema):
        before = strongest.get(lock.table)
        if before is None or STRENGTH.index(before.level) < STRENGTH.index(lock.level):
            work = lock.work or (before.work if before else "")
            strongest[lock.table] = TableLock(lock.table, lock.level, work)
        elif lock.work and not before.work:
            strongest[lock.table] = TableLock(lock.table, before.level, lock.work)
    return list(strongest.values())


def _taken(words: str, schema: Schema) -> Iterator[TableLock]:  # noqa: PLR0912  # one branch a kind of statement
    if table := TABLE.match(words):
        if table["parent"]:
            yield TableLock(schema.name(table["parent"]), "ACCESS EXCLUSIVE")
        yield from _referenced(words, schema, but=schema.name(table["table"]))
    elif index := INDEX.match(words):
        level, table_name = "SHARE UPDATE EXCLUSIVE" if index["concurrently"] else "SHARE", schema.name(index["table"])
        empty = " on only " in words and table_name in schema.partitioned
        yield TableLock(table_name, level, "" if empty else READS)
    elif dropped := _INDEX_DROP.match(words):
        for name in actions(dropped["indexes"]):
            level = "SHARE UPDATE EXCLUSIVE" if dropped["concurrently"] else "ACCESS EXCLUSIVE"
            yield TableLock(schema.indexes.get(schema.name(name), UNKNOWN), level)
    elif found := _REINDEX.match(words):
        table_name = schema.indexes.get(schema.name(found["index"]), UNKNOWN)
        yield TableLock(table_name, "SHARE UPDATE EXCLUSIVE", READS)
    elif found := _ATTACH_INDEX.match(words):
        for name in (found["index"], found["part"]):
            yield TableLock(schema.indexes.get(schema.name(name), UNKNOWN), "ACCESS SHARE")
    elif words.startswith("alter table all in tablespace "):
        yield TableLock(UNKNOWN, "ACCESS EXCLUSIVE", REWRITES)
    elif _DOMAIN.match(words):
        yield TableLock(UNKNOWN, "SHARE", READS)
    elif found := TRUNCATE.match(words):
        yield from (TableLock(name, "ACCESS EXCLUSIVE") for name in sorted(schema.changed(Statement(words, words))))
    elif alter := ALTER.match(words):
        for action in actions(alter["actions"]):
            yield from _altered(schema.name(alter["table"]), action, schema)
    elif gone := _DROP_TABLES.match(words):
        for name in map(schema.name, actions(gone["tables"])):
            yield TableLock(name, "ACCESS EXCLUSIVE")
            for other, _ in schema.references.get(name, {}).values():
                yield TableLock(other, "ACCESS EXCLUSIVE")
    elif locked := _LOCK.match(words):
        yield TableLock(schema.name(locked["table"]), (locked["level"] or "access exclusive").upper())
    else:
        for pattern, level, work in _STATEMENTS:
            if found := re.match(pattern, words):
                yield TableLock(schema.name(found["table"]), level, work)
                return
        if not _NONE.match(words) and not _READ.match(words):
            yield TableLock(UNKNOWN, "ACCESS SHARE")


def _referenced(words: str, schema: Schema, *, but: str) -> Iterator[TableLock]:
    for name in re.findall(rf"references ({NAME})", words):
        if schema.name(name) != but:
            yield TableLock(schema.name(name), "SHARE ROW EXCLUSIVE")


def _altered(table: str, action: str, schema: Schema) -> Iterator[TableLock]:
    yield from _referenced(action, schema, but=table)
    if attached := re.match(rf"attach partition ({NAME})", action):
        yield TableLock(table, "SHARE UPDATE EXCLUSIVE")
        yield TableLock(schema.name(attached[1]), "ACCESS EXCLUSIVE", READS)
    elif detached := re.match(rf"detach partition ({NAME})( concurrently)?", action):
        yield TableLock(table, "SHARE UPDATE EXCLUSIVE" if detached[2] else "ACCESS EXCLUSIVE")
        yield TableLock(schema.name(detached[1]), "ACCESS EXCLUSIVE")
    elif _WEAK.match(action):
        yield TableLock(table, "SHARE UPDATE EXCLUSIVE", READS if action.startswith("validate") else "")
        if found := re.match(rf"validate constraint ({NAME})", action):
            yield from (TableLock(it, "ROW SHARE") for it in _pointed_at(table, schema, constraint=found[1]))
    elif re.match(r"(?:enable|disable) (?:replica |always )?trigger", action):
        yield TableLock(table, "SHARE ROW EXCLUSIVE")
    elif re.match(rf"add (?:constraint {NAME} )?foreign key", action):
        yield TableLock(table, "SHARE ROW EXCLUSIVE", "" if action.endswith("not valid") else READS)
    else:
        yield TableLock(table, "ACCESS EXCLUSIVE", _work(table, action, schema))
        if dropped := re.match(rf"drop (constraint |column )?(?:if exists )?({NAME})", action):
            kind = "constraint" if dropped[1] == "constraint " else "column"
            yield from (TableLock(it, "ACCESS EXCLUSIVE") for it in _pointed_at(table, schema, **{kind: dropped[2]}))


def _pointed_at(table: str, schema: Schema, *, constraint: str = "", column: str = "") -> Iterator[str]:
    """Tables that a foreign key of `table` refers to: that of a name, or those that a column is part of."""
    for name, (other, definition) in schema.references.get(table, {}).items():
        columns = definition.partition("references")[0]
        if other != table and (name == constraint or (column and re.search(rf"\b{re.escape(column)}\b", columns))):
            yield other


def _work(table: str, action: str, schema: Schema) -> str:
    """What an ALTER TABLE under ACCESS EXCLUSIVE does to each row."""
    if re.match(r"set (?:un)?logged|set tablespace|set access method", action):
        return REWRITES
    if re.match(rf"alter (?:column )?{NAME} (?:set data )?type ", action):
        return f"{REWRITES}, unless the old type is stored alike"
    if column := re.match(rf"alter (?:column )?({NAME}) set not null", action):
        return "" if (table, column[1]) in schema.proven else READS
    if re.match(r"add (?:constraint|check|unique|primary|exclude)\b", action):
        return "" if action.endswith("not valid") or " using index " in action else READS
    if re.match(rf"alter (?:column )?{NAME} set expression ", action):
        return REWRITES
    return _new_column(action, schema) if action.startswith("add ") else ""


def _new_column(action: str, schema: Schema) -> str:
    stored = re.search(r"generated .*stored|generated .*identity|\b(?:small|big)?serial\d?\b", action)
    kind = re.match(rf"add (?:column )?(?:if not exists )?{NAME} (?P<type>{NAME})", action)
    if stored or _VOLATILE.search(action) or (kind and schema.name(kind["type"]) in schema.domains):
        return REWRITES
    return READS if re.search(r"\bcheck \(|\bunique\b|\breferences\b", action) else ""
