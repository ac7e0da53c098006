"""The way out of a difference: the statement that gives the database what the repository says, where there is one.

Statements are for a person to read and run, as the owner unless the line says that an administrator must; nothing here
runs them. Where what the database has is wanted, the way out is a revision that does the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from db.migrations import granting, names
from db.migrations.snapshot import MONTH, Definition, Objects, bounds

_DROPPED = {
    "view": "VIEW",
    "sequence": "SEQUENCE",
    "enum": "TYPE",
    "composite type": "TYPE",
    "range": "TYPE",
    "type": "TYPE",
    "domain": "DOMAIN",
    "statistics object": "STATISTICS",
    "function": "FUNCTION",
    "procedure": "PROCEDURE",
    "aggregate": "AGGREGATE",
    "window function": "FUNCTION",
    "extension": "EXTENSION",
}
_WITH_ROWS = ("table", "column", "materialized view", "stray schema", "stray object")
# What nothing in the app's schema is made of: the bootstrap says what there is of it.
AROUND = (
    *("role attribute", "role membership", "role setting", "database setting", "privilege", "database"),
    *("stray schema", "stray object", "event trigger", "publication", "extension member"),
)
_LOOK = "look what it holds and who made it: what was renamed is named back, a detached partition is attached again"
_TYPE = "docs/migrations.md#rename-a-column-or-change-its-type"
_ONLY = " ON ONLY "  # in the definition of an index of a partitioned table, of which nothing can be made concurrently
_DROP_INDEX = {False: "DROP INDEX CONCURRENTLY", True: "DROP INDEX"}
# What reads every row of a table that nobody else can write meanwhile, and the recipe that does it beside them.
_SLOW = (
    (r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)", "add-an-index"),
    (r" SET NOT NULL$", "make-a-column-not-null"),
    (r" ADD CONSTRAINT .* (?:UNIQUE|PRIMARY KEY|EXCLUDE) ", "add-a-unique-constraint"),
    (r" ADD CONSTRAINT .* CHECK ", "add-a-check"),
    (r" ADD CONSTRAINT .* FOREIGN KEY ", "add-a-foreign-key"),
)
_OWNED = {**_DROPPED, "table": "TABLE", "materialized view": "MATERIALIZED VIEW", "schema": "SCHEMA"}
_OF_TABLE = {"trigger": "TRIGGER", "policy": "POLICY", "rule": "RULE"}
# Properties that one clause of ALTER TABLE turns on or off.
_CLAUSES = {
    ("row security", "enabled"): "ENABLE ROW LEVEL SECURITY",
    ("row security", "None"): "DISABLE ROW LEVEL SECURITY",
    ("row security of the owner", "forced"): "FORCE ROW LEVEL SECURITY",
    ("row security of the owner", "None"): "NO FORCE ROW LEVEL SECURITY",
    ("persistence", "None"): "SET LOGGED",
    ("persistence", "unlogged"): "SET UNLOGGED",
    ("replica identity", "None"): "REPLICA IDENTITY DEFAULT",
    ("replica identity", "full"): "REPLICA IDENTITY FULL",
    ("replica identity", "nothing"): "REPLICA IDENTITY NOTHING",
}


def way_out(
    app: str,
    kind: str,
    name: str,
    detail: str,
    sides: tuple[Definition | None, Definition | None],
    repository: Objects,
) -> str:
    """What to do about one difference (see db.migrations.drift.Difference), in one line.

    `sides` are the object as the repository and as the database have it, `repository` is all that the former says.
    """
    (ours, theirs), tables = sides, repository.get("table", {})
    keep = ", or keep the change as a new revision"
    if kind == "grants":
        granted = granting.statements(app, name, detail, (ours or {}, theirs or {}), repository.get("grants", {}))
        return f"`{granted}`{_by(app, granted)}{keep}"
    if ours is None:
        return _too_much(app, kind, name, theirs or {}, tables)
    partitioned = _ONLY in str(ours.get("definition")) or "partitioned by" in tables.get(names.parted(name)[0], {})
    statement = (
        _restore(app, kind, name, ours, partitioned=partitioned)
        if theirs is None
        else _alter(app, kind, name, detail, ours)
    )
    if statement is None:
        return _without_statement(app, kind, name, detail) + ("" if kind == "extension" else keep)
    statement = " ".join(statement.split())
    # the snapshot names no month, the object's name does
    statement = re.sub(rf"(\w+_){MONTH}", lambda found: _month_of(found[1], name), statement)
    return f"`{statement}`{_by(app, statement)}{_waiting(statement)}{keep}"


def _without_statement(app: str, kind: str, name: str, detail: str) -> str:
    match kind, detail:
        case "column", "type":
            return f"changing it back converts every value and writes the table anew: do it as a revision ({_TYPE})"
        case "index", "state":
            attach = f"ALTER INDEX {names.quoted(app, names.parted(name)[1])} ATTACH PARTITION"
            return f"it is valid as soon as an index of each partition is attached to it ({attach} ...)"
        case "extension", _:
            return "the bootstrap makes it, and lets the groups use it: `pulumi up`"
    return f"do again what its revision does (alembic/versions/{app})"


def _by(app: str, statement: str) -> str:
    """Who must run it, if the owner may not."""
    future = "ALTER DEFAULT PRIVILEGES FOR ROLE "
    of_another = statement.startswith(future) and not statement.startswith(f"{future}{app}_owner ")
    of_superusers = " OWNER TO " in statement or statement.endswith("ENABLE TRIGGER ALL")
    return _administrator(app) if of_another or of_superusers else ""


def _waiting(statement: str) -> str:
    found = [anchor for slow, anchor in _SLOW if re.search(slow, statement) and "NOT VALID" not in statement]
    return f" (others wait while it reads every row; beside them: docs/migrations.md#{found[0]})" if found else ""


def _administrator(app: str) -> str:
    return f" by an administrator (pgstack psql {app} --admin)"


def _too_much(app: str, kind: str, name: str, theirs: Definition, tables: Mapping[str, Definition]) -> str:
    if kind in AROUND and "way out" in theirs:
        return f"`{theirs['way out']}`{_administrator(app)}"
    keep = f"if it is wanted, write the revision that makes it (pgstack migrate revision {app})"
    month = re.search(r"(?<=_)\d{4}_(?:0[1-9]|1[0-2])$", name)
    if kind == "table" and month and "part of" not in theirs and name[: month.start()] + MONTH in tables:
        parent = names.quoted(app, name[: month.start() - 1])
        attached = f"ALTER TABLE {parent} ATTACH PARTITION {names.quoted(app, name)} {bounds(month[0])}"
        return f"`{attached}` if it was detached by mistake; else drop it once nobody needs its rows"
    if kind in _WITH_ROWS:
        keep = "if it is wanted, it belongs into a database or a revision of its own" if kind in AROUND else keep
        return f"{_LOOK}; {keep}; drop it only once nobody needs its rows"
    if kind == "extension":
        keep = "if it is wanted, let the bootstrap make it (db/bootstrap/databases.py)"
    dropped = theirs.get("way out") or _drop(app, kind, name, theirs)
    by = _administrator(app) if kind == "extension" else ""
    return f"{keep}; else `{dropped}`{by}" if dropped else f"{keep}; else drop it"


def partition(app: str, parent: str, month: str, renamed: str | None) -> str:
    """What to do about a month without a partition, or with one of another name."""
    if renamed is not None:
        return f"`ALTER TABLE {names.quoted(app, renamed)} RENAME TO {names.quoted(f'{parent}_{month}')}`"
    year, number = month.split("_")
    return (
        f"`{app}.make_partitions()` makes those from this month on, `{app}.make_partition('{parent}',"
        f" '{year}-{number}-01')` one; if it was detached, attach it again"
    )


def _drop(app: str, kind: str, name: str, theirs: Definition) -> str | None:
    table, own = names.parted(name)
    if kind == "index":
        return f"{_DROP_INDEX[_ONLY in str(theirs.get('definition'))]} {names.quoted(app, own)}"
    if kind in _DROPPED:
        function, parenthesis, arguments = name.partition("(")
        called = names.quoted(function) if kind == "extension" else names.quoted(app, function)
        return f"DROP {_DROPPED[kind]} {called}{parenthesis}{arguments}"
    if kind in _OF_TABLE:
        return f"DROP {_OF_TABLE[kind]} {names.quoted(own)} ON {names.quoted(app, table)}"
    if kind == "constraint":
        return f"ALTER TABLE {names.quoted(app, table)} DROP CONSTRAINT {names.quoted(own)}"
    return None


def _restore(app: str, kind: str, name: str, ours: Definition, *, partitioned: bool) -> str | None:
    table, own = names.parted(name)
    statement: str | None = None
    match kind:
        case "index":
            statement = str(ours["definition"])
            if _ONLY in statement:
                statement = statement.replace(_ONLY, " ON ", 1)
            else:
                statement = statement.replace("INDEX ", "INDEX CONCURRENTLY ", 1)
            if "part of" in ours:
                statement += (
                    f"; ALTER INDEX {names.quoted(app, ours['part of'])} ATTACH PARTITION {names.quoted(app, own)}"
                )
        case "trigger" | "rule" | "statistics object":
            statement = str(ours["definition"]).rstrip(";")
        case "constraint":
            constraint, definition = names.quoted(own), str(ours["definition"])
            statement = f"ALTER TABLE {names.quoted(app, table)} ADD CONSTRAINT {constraint} {definition}"
            # a foreign key of a partitioned table can't be NOT VALID before PostgreSQL 18
            in_two = "CHECK" if partitioned else ("CHECK", "FOREIGN KEY")
            if definition.startswith(in_two) and not definition.endswith("NOT VALID"):
                statement += f" NOT VALID; ALTER TABLE {names.quoted(app, table)} VALIDATE CONSTRAINT {constraint}"
        case "view" | "materialized view":
            query = " ".join(str(ours["definition"]).split()).rstrip(";")
            statement = f"CREATE {kind.upper()} {names.quoted(app, name)} AS {query}"
        case "policy":
            to = ", ".join(names.role(app, role) for role in ours["to"])
            using, check = (f" {word} ({ours[key]})" if key in ours else "" for key, word in _POLICY.items())
            restrictive = " AS RESTRICTIVE" if "kind" in ours else ""
            statement = (
                f"CREATE POLICY {names.quoted(own)} ON {names.quoted(app, table)}{restrictive}"
                f" FOR {ours.get('for', 'ALL')} TO {to}{using}{check}"
            )
        case "enum":
            values = ", ".join(map(names.literal, ours["values"]))
            statement = f"CREATE TYPE {names.quoted(app, name)} AS ENUM ({values})"
    return statement


_POLICY = {"using": "USING", "check": "WITH CHECK"}


def _alter(app: str, kind: str, name: str, detail: str, ours: Definition) -> str | None:
    table, own = names.parted(name)
    value = ours.get(detail)
    statement: str | None = None
    match kind, detail:
        case "table", "comment":
            statement = f"COMMENT ON TABLE {names.quoted(app, name)} IS {names.literal(value)}"
        case _, "owner" if kind in _OWNED and "belongs to" not in ours:
            called, parenthesis, arguments = name.partition("(")
            called = names.quoted(*([called] if kind == "schema" else [app, called])) + parenthesis + arguments
            statement = f"ALTER {_OWNED[kind]} {called} OWNER TO {names.role(app, str(value))}"
        case "constraint", "enforced":
            statement = f"ALTER TABLE {names.quoted(app, table)} ENABLE TRIGGER ALL"
        case "table", _ if (detail, str(value)) in _CLAUSES:
            statement = f"ALTER TABLE {names.quoted(app, name)} {_CLAUSES[detail, str(value)]}"
        case "column", _:
            statement = _alter_column(names.quoted(app, table), names.quoted(own), detail, value)
        case "trigger", "fires" if value is None:
            statement = f"ALTER TABLE {names.quoted(app, table)} ENABLE TRIGGER {names.quoted(own)}"
        case "index", "state" if _ONLY not in str(ours["definition"]):
            statement = f"REINDEX INDEX CONCURRENTLY {names.quoted(app, own)}"
        case "index", "definition":
            statement = (
                f"{_drop(app, kind, name, ours)}; {_restore(app, kind, name, ours, partitioned=_ONLY in str(value))}"
            )
        case "constraint", "definition":
            constraint = f"CONSTRAINT {names.quoted(own)}"
            statement = f"ALTER TABLE {names.quoted(app, table)} DROP {constraint}, ADD {constraint} {value}"
    return statement


def _alter_column(table: str, column: str, detail: str, value: Any) -> str | None:
    clauses = {
        "default": "DROP DEFAULT" if value is None else f"SET DEFAULT {value}",
        "nullable": f"{'DROP' if value else 'SET'} NOT NULL",
        "statistics": f"SET STATISTICS {-1 if value is None else value}",
    }
    if detail == "comment":
        return f"COMMENT ON COLUMN {table}.{column} IS {names.literal(value)}"
    return f"ALTER TABLE {table} ALTER COLUMN {column} {clauses[detail]}" if detail in clauses else None


def _month_of(stem: str, name: str) -> str:
    found = re.search(rf"{re.escape(stem)}\d{{4}}_\d\d", name)
    return found[0] if found else f"{stem}{MONTH}"
