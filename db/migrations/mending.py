"""The way out of a difference: the statement that gives the database what the repository says, where there is one.

Statements are for a person to read and run as the owner; nothing here runs them. Where what the database has is wanted,
the way out is a revision that does the same.
"""

from __future__ import annotations

import re
from typing import Any

from psycopg import sql

from db.migrations.snapshot import MONTH, Definition

_DROPPED = {
    "view": "VIEW",
    "sequence": "SEQUENCE",
    "enum": "TYPE",
    "composite type": "TYPE",
    "range": "TYPE",
    "type": "TYPE",
    "domain": "DOMAIN",
    "statistics object": "STATISTICS",
    "index": "INDEX CONCURRENTLY",
    "function": "FUNCTION",
    "procedure": "PROCEDURE",
    "aggregate": "AGGREGATE",
    "window function": "FUNCTION",
}
_WITH_ROWS = ("table", "column", "materialized view", "stray schema")
_LOOK = "look what it holds and who made it: what was renamed is named back, a detached partition is attached again"
_ALONG = " (PostgreSQL takes grants on its columns along: check again, which tells what to give back)"
_TYPE = "docs/migrations.md#rename-a-column-or-change-its-type"
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


def way_out(app: str, kind: str, name: str, detail: str, ours: Definition | None, theirs: Definition | None) -> str:
    """What to do about one difference (see db.migrations.drift.Difference), in one line."""
    if kind == "grants":
        granted = _grant(app, name, detail, ours or {}, theirs or {})
        along = _ALONG if "REVOKE" in granted and " ON TABLE " in granted else ""
        return f"`{granted}`{along}, or keep the change as a new revision"
    if ours is None:
        return _too_much(app, kind, name)
    if (kind, detail) == ("column", "type") and theirs is not None:
        return f"changing it back converts every value and writes the table anew: do either as a revision ({_TYPE})"
    statement = _restore(app, kind, name, ours) if theirs is None else _alter(app, kind, name, detail, ours)
    if statement is None:
        if kind == "extension":
            return "the bootstrap makes it, and lets the groups use it: `pulumi up`"
        return f"do again what its revision does (alembic/versions/{app}), or keep the change as a new revision"
    statement = " ".join(statement.split())
    # the snapshot names no month, the object's name does
    statement = re.sub(rf"(\w+_){MONTH}", lambda found: _month_of(found[1], name), statement)
    return f"`{statement}`, or keep the change as a new revision"


def _too_much(app: str, kind: str, name: str) -> str:
    keep = f"if it is wanted, write the revision that makes it (pgstack migrate revision {app})"
    if kind in _WITH_ROWS:
        return f"{_LOOK}; {keep}; drop it only once nobody needs its rows"
    dropped = _drop(app, kind, name)
    return f"{keep}; else {f'`{dropped}`' if dropped else 'drop it'}"


def partition(app: str, parent: str, month: str) -> str:
    """What to do about a month without a partition."""
    year, number = month.split("_")
    return (
        f"`{app}.make_partitions()` makes those from this month on, `{app}.make_partition('{parent}',"
        f" '{year}-{number}-01')` one; if it was detached, attach it again"
    )


def _drop(app: str, kind: str, name: str) -> str | None:
    if kind in _DROPPED:
        own = name.partition(".")[2] if kind == "index" else name
        function, parenthesis, arguments = own.partition("(")
        return f"DROP {_DROPPED[kind]} {_quoted(app, function)}{parenthesis}{arguments}"
    table, _, own = name.partition(".")
    if kind in _OF_TABLE:
        return f"DROP {_OF_TABLE[kind]} {_quoted(own)} ON {_quoted(app, table)}"
    if kind == "constraint":
        return f"ALTER TABLE {_quoted(app, table)} DROP CONSTRAINT {_quoted(own)}"
    if kind in {"stray object", "further object"}:
        what, _, identity = name.rpartition(" ") if "(" not in name else name.partition(" ")
        return f"DROP {what.upper()} {identity}"
    return None


def _restore(app: str, kind: str, name: str, ours: Definition) -> str | None:
    table, _, own = name.partition(".")
    statement: str | None = None
    match kind:
        case "index":
            statement = str(ours["definition"]).replace("INDEX ", "INDEX CONCURRENTLY ", 1)
        case "trigger" | "rule" | "statistics object":
            statement = str(ours["definition"]).rstrip(";")
        case "constraint":
            constraint, definition = _quoted(own), str(ours["definition"])
            statement = f"ALTER TABLE {_quoted(app, table)} ADD CONSTRAINT {constraint} {definition}"
            if definition.startswith(("CHECK", "FOREIGN KEY")) and not definition.endswith("NOT VALID"):
                statement += f" NOT VALID; ALTER TABLE {_quoted(app, table)} VALIDATE CONSTRAINT {constraint}"
        case "view" | "materialized view":
            query = " ".join(str(ours["definition"]).split()).rstrip(";")
            statement = f"CREATE {kind.upper()} {_quoted(app, name)} AS {query}"
        case "policy":
            to = ", ".join(_role(app, role) for role in ours["to"])
            using, check = (f" {word} ({ours[key]})" if key in ours else "" for key, word in _POLICY.items())
            statement = (
                f"CREATE POLICY {_quoted(own)} ON {_quoted(app, table)}{' AS RESTRICTIVE' if 'kind' in ours else ''}"
                f" FOR {ours.get('for', 'ALL')} TO {to}{using}{check}"
            )
        case "enum":
            values = ", ".join(map(_literal, ours["values"]))
            statement = f"CREATE TYPE {_quoted(app, name)} AS ENUM ({values})"
    return statement


def _grant(app: str, name: str, role: str, ours: Definition, theirs: Definition) -> str:
    of, _, rest = name.removeprefix("materialized ").removeprefix("window ").partition(" ")
    has, should = set(theirs.get(role, ())), set(ours.get(role, ()))
    columns = prefix = ""
    if of == "future":
        what, _, maker = rest.partition(" of ")
        kind, _, anywhere = what.partition(" ")
        place = "" if anywhere else f" IN SCHEMA {_quoted(app)}"
        prefix, on = f"ALTER DEFAULT PRIVILEGES FOR ROLE {_role(app, maker)}{place} ", kind.upper()
    elif of == "column":
        table, _, column = rest.partition(".")
        columns, on = f" ({_quoted(column)})", _quoted(app, table)
    elif of == "schema":
        on = f"SCHEMA {_quoted(rest)}"
    else:
        own, parenthesis, arguments = rest.partition("(")
        words = {"view": "TABLE", "aggregate": "FUNCTION"}
        on = f"{words.get(of, of.upper())} {_quoted(app, own)}{parenthesis}{arguments}"

    def listed(privileges: set[str]) -> str:
        return ", ".join(f"{it.removesuffix(_OPTION)}{columns}" for it in sorted(privileges))

    told = []
    if has - should:
        told.append(f"{prefix}REVOKE {listed(has - should)} ON {on} FROM {_role(app, role)}")
    plain, passed_on = ({it for it in should - has if it.endswith(_OPTION) is option} for option in (False, True))
    if plain:
        told.append(f"{prefix}GRANT {listed(plain)} ON {on} TO {_role(app, role)}")
    if passed_on:
        told.append(f"{prefix}GRANT {listed(passed_on)} ON {on} TO {_role(app, role)}{_OPTION}")
    return "; ".join(told)


_OPTION = " WITH GRANT OPTION"
_POLICY = {"using": "USING", "check": "WITH CHECK"}


def _alter(app: str, kind: str, name: str, detail: str, ours: Definition) -> str | None:
    table, _, own = name.partition(".")
    value = ours.get(detail)
    statement: str | None = None
    match kind, detail:
        case "table", "comment":
            statement = f"COMMENT ON TABLE {_quoted(app, name)} IS {_literal(value)}"
        case "table", "owner":
            statement = f"ALTER TABLE {_quoted(app, name)} OWNER TO {_role(app, str(value))}"
        case "table", _ if (detail, str(value)) in _CLAUSES:
            statement = f"ALTER TABLE {_quoted(app, name)} {_CLAUSES[detail, str(value)]}"
        case "column", _:
            statement = _alter_column(_quoted(app, table), _quoted(own), detail, value)
        case "trigger", "fires" if value is None:
            statement = f"ALTER TABLE {_quoted(app, table)} ENABLE TRIGGER {_quoted(own)}"
        case "index", "state":
            statement = f"REINDEX INDEX CONCURRENTLY {_quoted(app, own)}"
        case "index", "definition":
            statement = f"DROP INDEX CONCURRENTLY {_quoted(app, own)}; {_restore(app, kind, name, ours)}"
        case "constraint", "definition":
            constraint = f"CONSTRAINT {_quoted(own)}"
            statement = f"ALTER TABLE {_quoted(app, table)} DROP {constraint}, ADD {constraint} {value}"
    return statement


def _alter_column(table: str, column: str, detail: str, value: Any) -> str | None:
    clauses = {
        "default": "DROP DEFAULT" if value is None else f"SET DEFAULT {value}",
        "nullable": f"{'DROP' if value else 'SET'} NOT NULL",
        "statistics": f"SET STATISTICS {-1 if value is None else value}",
    }
    if detail == "comment":
        return f"COMMENT ON COLUMN {table}.{column} IS {_literal(value)}"
    return f"ALTER TABLE {table} ALTER COLUMN {column} {clauses[detail]}" if detail in clauses else None


def _month_of(stem: str, name: str) -> str:
    found = re.search(rf"{re.escape(stem)}\d{{4}}_\d\d", name)
    return found[0] if found else f"{stem}{MONTH}"


def _role(app: str, name: str) -> str:
    group = f"{app}_{name}" if name in {"owner", "app", "readonly"} else name
    return group if group == "PUBLIC" else _quoted(group)


def _quoted(*names: str) -> str:
    return ".".join(it if re.fullmatch("[a-z_][a-z0-9_]*", it) else sql.Identifier(it).as_string(None) for it in names)


def _literal(value: object) -> str:
    return sql.Literal(value).as_string(None)
