"""Drizzle definitions of the applications' tables: `python -m db.drizzle` writes docs/drizzle/<app>.ts.

Made from the models, which the tests hold equal to the migrations. Everything stands in a `pgSchema`, as in the
database. Migrations stay Alembic's: `drizzle-kit push` drops what its files do not have, schemas included.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR
from sqlalchemy.dialects import postgresql

from db import apps
from db.migrations.revisions import HOME

FOLDER = HOME / "docs/drizzle"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_SIMPLE: tuple[tuple[type[sa.types.TypeEngine[Any]], str, str], ...] = (
    (postgresql.JSONB, "jsonb", ""),
    (sa.Uuid, "uuid", ""),
    (sa.Boolean, "boolean", ""),
    (sa.BigInteger, "bigint", '{ mode: "number" }'),
    (sa.SmallInteger, "smallint", ""),
    (sa.Integer, "integer", ""),
    (sa.Text, "text", ""),
    (sa.Double, "doublePrecision", ""),
    (sa.Date, "date", ""),
)


def definitions(app: str) -> str:
    """The text of docs/drizzle/<app>.ts. Raises UnknownAppError."""
    apps.folder(app)
    metadata = importlib.import_module(f"db.apps.{app}.models").Base.metadata
    return _Writer(app, metadata).text()


def main() -> None:
    """Write every app's file; with --check only name those that are not what the models say, and exit with 1."""
    stale = []
    for app in apps.names():
        path, text = FOLDER / f"{app}.ts", definitions(app)
        if not path.exists() or path.read_text() != text:
            stale.append(str(path.relative_to(HOME)))
            if "--check" not in sys.argv:
                FOLDER.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    if "--check" in sys.argv and stale:
        sys.exit(f"not what the models say: {', '.join(stale)}; run `make docs`")


class _Writer:
    """Collects one app's statements and, on the way, what they import."""

    def __init__(self, app: str, metadata: sa.MetaData) -> None:
        self.app, self.metadata = app, metadata
        self.core = {"pgSchema"}
        self.hosts: set[str] = set()
        self.custom: dict[str, str] = {}
        self.enums: dict[str, str] = {}
        self.needs_sql = self.needs_cuid = False

    def text(self) -> str:
        tables = [self._table(table) for table in self.metadata.sorted_tables]
        types = [
            f"export type {_pascal(name)} = typeof {_camel(name)}.$inferSelect;\n"
            f"export type New{_pascal(name)} = typeof {_camel(name)}.$inferInsert;"
            for name in (table.name for table in self.metadata.sorted_tables)
        ]
        imports = [f'import {{ {", ".join(sorted(self.core))} }} from "drizzle-orm/pg-core";']
        if self.needs_sql:
            imports.insert(0, 'import { sql } from "drizzle-orm";')
        if self.needs_cuid:
            imports.insert(0, 'import { createId } from "@paralleldrive/cuid2";')
        imports += [f'import * as {host} from "./{host}";' for host in sorted(self.hosts)]
        schema = f"export const {self.app}Schema = pgSchema({json.dumps(self.app)});"
        head = _HEAD.format(app=self.app)
        parts = ["\n".join(imports), schema, *self.custom.values(), *self.enums.values(), *tables, "\n".join(types)]
        return head + "\n\n".join(parts) + "\n"

    def _table(self, table: sa.Table) -> str:
        columns = "\n".join(f"    {_key(column)}: {self._column(column)}," for column in table.columns)
        rules = "\n".join(f"    {rule}," for rule in self._rules(table))
        if rules:
            self.core.add(
                "type PgTableExtraConfigValue"
            )  # said, not inferred: tables that refer to each other (TS7022)
        extra = f",\n  (table): PgTableExtraConfigValue[] => [\n{rules}\n  ]" if rules else ""
        head = f"export const {_camel(table.name)} = {self.app}Schema.table("
        return f"{head}\n  {json.dumps(table.name)},\n  {{\n{columns}\n  }}{extra},\n);"

    def _column(self, column: sa.Column[Any]) -> str:
        text = self._type(column)
        if column.primary_key and len(column.table.primary_key.columns) == 1:
            text += ".primaryKey()"
        elif not column.nullable:
            text += ".notNull()"
        if column.identity is not None:
            text += ".generatedAlwaysAsIdentity()"
        elif column.computed is not None:
            text += f".generatedAlwaysAs({self._sql(str(column.computed.sqltext))})"
        elif isinstance(column.server_default, sa.DefaultClause):
            text += self._default(column.server_default)
        if isinstance(column.default, sa.ColumnDefault) and getattr(column.default.arg, "__name__", "") == "new_id":
            self.needs_cuid = True
            text += ".$defaultFn(() => createId())"
        return text

    def _type(self, column: sa.Column[Any]) -> str:
        name, kind = json.dumps(column.name), column.type
        if isinstance(kind, sa.types.TypeDecorator):
            kind = kind.load_dialect_impl(_DIALECT)
        if isinstance(kind, sa.Enum) and kind.native_enum and kind.name:
            enum = _camel(kind.name)
            listed = ", ".join(json.dumps(value) for value in kind.enums)
            self.enums[enum] = f"export const {enum} = {self.app}Schema.enum({json.dumps(kind.name)}, [{listed}]);"
            return f"{enum}({name})"
        if isinstance(kind, sa.TIMESTAMP | sa.DateTime):
            self.core.add("timestamp")
            zone = "withTimezone: true, " if kind.timezone else ""
            return f'timestamp({name}, {{ {zone}mode: "date" }})'
        if isinstance(kind, VECTOR):
            self.core.add("vector")
            return f"vector({name}, {{ dimensions: {kind.dim} }})"
        if isinstance(kind, sa.ARRAY):
            item = sa.Column(column.name, kind.item_type)
            return f"{self._type(item)}.array()"
        for known, function, options in _SIMPLE:
            if isinstance(kind, known):
                self.core.add(function)
                return f"{function}({name}{', ' if options else ''}{options})"
        return f"{self._custom(kind.compile(_DIALECT))}({name})"

    def _custom(self, sql_type: str) -> str:
        """A column builder for a type that Drizzle has no name for."""
        self.core.add("customType")
        function = _camel(re.sub(r"\W+", "_", sql_type.lower()).strip("_")) + "Type"
        data = "Uint8Array" if sql_type == "BYTEA" else "string"
        self.custom[function] = (
            f"const {function} = customType<{{ data: {data} }}>({{ dataType: () => {json.dumps(sql_type.lower())} }});"
        )
        return function

    def _default(self, default: sa.DefaultClause) -> str:
        argument = default.arg
        text = argument if isinstance(argument, str) else str(argument.compile(dialect=_DIALECT))
        if text == "now()":
            return ".defaultNow()"
        if text in {"true", "false"} or re.fullmatch(r"-?\d+", text):
            return f".default({text})"
        if match := re.fullmatch(r"'([^']*)'(?:::([\w.]+))?", text):  # a text, an enum's value, or JSON
            return f".default({match[1] if match[2] == 'jsonb' else json.dumps(match[1])})"
        return f".default({self._sql(text)})"

    def _rules(self, table: sa.Table) -> Iterator[str]:
        by_name = sorted(table.constraints, key=lambda it: str(it.name))
        for constraint in by_name:
            name = json.dumps(_DIALECT.identifier_preparer.format_constraint(constraint))
            if isinstance(constraint, sa.PrimaryKeyConstraint) and len(constraint.columns) > 1:
                self.core.add("primaryKey")
                yield f"primaryKey({{ name: {name}, columns: [{_listed(constraint.columns)}] }})"
            elif isinstance(constraint, sa.UniqueConstraint):
                self.core.add("unique")
                yield f"unique({name}).on({_listed(constraint.columns)})"
            elif isinstance(constraint, sa.CheckConstraint):
                self.core.add("check")
                yield f"check({name}, {self._sql(str(constraint.sqltext))})"
            elif isinstance(constraint, sa.ForeignKeyConstraint):
                yield self._foreign_key(constraint, name)
        yield from (self._index(index) for index in sorted(table.indexes, key=lambda it: str(it.name)))

    def _foreign_key(self, constraint: sa.ForeignKeyConstraint, name: str) -> str:
        self.core.add("foreignKey")
        referred = constraint.referred_table
        # a table that names itself by its constant would have no type yet (TS7022)
        there = "table" if referred is constraint.table else _camel(referred.name)
        if referred.schema != self.app:
            self.hosts.add(str(referred.schema))
            there = f"{referred.schema}.{there}"
        far = ", ".join(f"{there}.{_key(element.column)}" for element in constraint.elements)
        text = f"foreignKey({{ name: {name}, columns: [{_listed(constraint.columns)}], foreignColumns: [{far}] }})"
        action = (constraint.ondelete or "").lower().partition(" (")[0]  # Drizzle knows no SET NULL of some columns
        return text + (f".onDelete({json.dumps(action)})" if action else "")

    def _index(self, index: sa.Index) -> str:
        function = "uniqueIndex" if index.unique else "index"
        self.core.add(function)
        options = index.dialect_options["postgresql"]
        classes = options["ops"] or {}
        parts = []
        for expression in index.expressions:
            if isinstance(expression, sa.Column):
                operators = f".op({json.dumps(classes[expression.key])})" if expression.key in classes else ""
                parts.append(f"table.{_key(expression)}{operators}")
            else:
                parts.append(self._sql(str(expression)))
        method = options["using"] or None
        text = f"{function}({json.dumps(index.name)})"
        text += f".using({json.dumps(method)}, {', '.join(parts)})" if method else f".on({', '.join(parts)})"
        where = options["where"]
        return text + (f".where({self._sql(str(where))})" if where is not None else "")

    def _sql(self, text: str) -> str:
        self.needs_sql = True
        return "sql`" + text.replace("\\", "\\\\").replace("`", "\\`").replace("${", "\\${") + "`"


def _key(column: sa.Column[Any]) -> str:
    """The property's name: what a model's `info` says a client calls it, else the column's in camelCase."""
    return str(column.info.get("typescript") or _camel(column.name))


def _listed(columns: Iterable[sa.Column[Any]]) -> str:
    return ", ".join(f"table.{_key(column)}" for column in columns)


def _camel(name: str) -> str:
    first, *rest = name.strip("_").split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _pascal(table: str) -> str:
    """A row's type: `verification_tokens` holds `VerificationToken`s."""
    words = _camel(table)
    words = words[:1].upper() + words[1:]
    for plural, one in (("Statuses", "Status"), ("ies", "y"), ("s", "")):
        if words.endswith(plural) and not words.endswith(("History", "ss")):
            return words.removesuffix(plural) + one
    return words


_HEAD = """\
// Generated from db/apps/{app}/models.py by `make docs`: edit the model, not this file.
//
// NEVER run `drizzle-kit push` against this database: it drops every table, and with a schema filter the whole schema,
// that its own files do not name. The schema changes by migrations only: alembic/versions/{app}.

"""

if __name__ == "__main__":
    main()
