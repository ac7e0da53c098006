"""What a gate refuses about a migration file, as one line that leads on."""

from __future__ import annotations

from dataclasses import dataclass

RECIPES = "docs/migrations.md"


@dataclass(frozen=True)
class Finding:
    """`rule` is what a reason may be given for, `statement` the SQL it is about ("" for the whole file)."""

    app: str
    file: str
    rule: str
    says: str
    statement: str = ""
    recipe: str = ""
    """The heading's anchor in docs/migrations.md, "" where there is no other way to do it."""

    def __str__(self) -> str:
        way_out = f"; do it like {RECIPES}#{self.recipe}" if self.recipe else ""
        statement = f" ({self.statement})" if self.statement else ""
        return f"alembic/versions/{self.app}/{self.file}: {self.rule}: {self.says}{statement}{way_out}"
