"""Migrations that a test adds to a copied checkout."""

from pathlib import Path

from tests.deployment import Stack

_TEXT = '''\
"""{purpose}.

Purpose: {purpose}
Ticket: N/A
Reversible: Yes
Rollback: alembic -n maps downgrade {parent}
"""

from alembic import op

revision = "{revision}"
down_revision = "{parent}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE maps.{table} (id int)")
    op.execute("{statement}")


def downgrade() -> None:
    op.execute("DROP TABLE maps.{table}")
'''


def migrations(stack: Stack) -> list[Path]:
    """Those of maps, oldest first."""
    return sorted((stack.home / "alembic/versions/maps").glob("0*.py"))


def add_migration(stack: Stack, table: str, statement: str = "SELECT 1") -> Path:
    """A new file after the newest; it creates `table`, then runs `statement`."""
    parent = migrations(stack)[-1].stem
    path = migrations(stack)[-1].with_name(f"{int(parent[:4]) + 1:04d}_{table}.py")
    text = {"purpose": f"try {table}", "parent": parent, "revision": path.stem, "table": table, "statement": statement}
    path.write_text(_TEXT.format(**text))
    return path
