"""The pages of docs/schemas are what `make docs` would write now."""

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import ENUM

from db import apps, diagrams


@pytest.mark.parametrize("app", apps.names())
def test_the_committed_page_of_each_app_is_current(app: str) -> None:
    assert (diagrams.FOLDER / f"{app}.md").read_text() == diagrams.page(app), "run `make docs` and commit what it wrote"


def test_no_page_is_left_of_an_app_that_is_gone() -> None:
    assert {path.stem for path in diagrams.FOLDER.glob("*.md")} == set(apps.names())


def test_a_diagram_shows_keys_nullability_and_relations() -> None:
    metadata = MetaData()
    Table("authors", metadata, Column("id", Integer, primary_key=True), Column("email", Text, unique=True))
    Table(
        "books",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("author_id", ForeignKey("authors.id"), nullable=False),
        Column("editor_id", ForeignKey("authors.id")),
        Column("mood", ENUM("dull", "fine", name="mood", schema="library")),
    )
    assert diagrams.diagram(metadata) == [
        "erDiagram",
        "  authors {",
        "    integer id PK",
        '    text email UK "null"',
        "  }",
        "  books {",
        "    integer id PK",
        "    integer author_id FK",
        '    integer editor_id FK "null"',
        '    mood mood "null"',
        "  }",
        '  authors |o--o{ books : "editor_id"',
        '  authors ||--o{ books : "author_id"',
    ]
