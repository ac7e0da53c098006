"""Entity-relationship diagrams of the applications, drawn from their models: `make docs` writes docs/schemas/<app>.md.

Mermaid's erDiagram (https://mermaid.js.org/syntax/entityRelationshipDiagram.html), which GitHub and GitLab show.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from sqlalchemy import Column, ForeignKeyConstraint, MetaData, Table, UniqueConstraint
from sqlalchemy.dialects import postgresql

from db import apps

FOLDER = Path(__file__).parents[1] / "docs/schemas"
_SHORT = {
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "TIMESTAMP WITHOUT TIME ZONE": "timestamp",
    "DOUBLE PRECISION": "float8",
}


def page(app: str) -> str:
    """The page of `app`: its diagram, and what each table is for, by the models. Raises UnknownAppError."""
    apps.folder(app)
    base = importlib.import_module(f"db.apps.{app}.models").Base
    purposes = sorted((it.local_table.name, it.class_.__doc__ or "") for it in base.registry.mappers)
    return "\n".join(
        [
            f"# Schema of {app}",
            "Drawn from the models by `make docs`. PK: primary key, FK: foreign key, UK: unique, null: may be NULL.",
            "",
            "```mermaid",
            *diagram(base.metadata),
            "```",
            "",
            "| table | what a row is |",
            "| --- | --- |",
            *(f"| {name} | {' '.join(doc.split())} |" for name, doc in purposes),
            "",
        ]
    )


def diagram(metadata: MetaData) -> list[str]:
    """The lines of an erDiagram: tables by name, their columns in order, then one line a foreign key."""
    tables = sorted(metadata.tables.values(), key=lambda table: table.name)
    lines = ["erDiagram"]
    for table in tables:
        lines.append(f"  {table.name} {{")
        lines += [f"    {_column(table, column)}" for column in table.columns]
        lines.append("  }")
    return lines + sorted(_relation(table, key) for table in tables for key in table.foreign_key_constraints)


def _column(table: Table, column: Column[object]) -> str:
    full = column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    shown = _SHORT.get(full, full.lower().rpartition(".")[2]).replace(" ", "_").replace(",", "")  # Mermaid: no dot
    unique = any(
        isinstance(it, UniqueConstraint) and [each.name for each in it.columns] == [column.name]
        for it in table.constraints
    )
    keys = [key for key, has in (("PK", column.primary_key), ("FK", column.foreign_keys), ("UK", unique)) if has]
    optional = ' "null"' if column.nullable else ""
    return f"{shown} {column.name}{' ' if keys else ''}{', '.join(keys)}{optional}"


def _relation(table: Table, key: ForeignKeyConstraint) -> str:
    """Crow's foot: at least one parent unless the columns are nullable, many children."""
    parent = "|o" if any(column.nullable for column in key.columns) else "||"
    return f'  {key.referred_table.name} {parent}--o{{ {table.name} : "{", ".join(key.column_keys)}"'


def main() -> None:
    """Write every application's page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for app in apps.names():
        (FOLDER / f"{app}.md").write_text(page(app))


if __name__ == "__main__":
    main()
