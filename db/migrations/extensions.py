"""Extensions, as migrations see them: put there by the bootstrap, or still to be created, or absent."""

from __future__ import annotations

import sqlalchemy
from alembic import context, op

from db.settings import embeddings

SCHEMA = "extensions"


def available(name: str) -> bool:
    """Whether to use extension `name`: where the server can offer it, or, of vector, as the job or DB_EMBEDDINGS says.

    True when only SQL is printed (`--sql`), unless embeddings are to be JSONB.
    """
    job = context.config.attributes.get("job")  # None where SQL is printed
    chosen = embeddings(job.embeddings if job else "auto") if name == "vector" else "auto"
    if chosen != "auto":
        return chosen == "vector"
    if context.is_offline_mode():
        return True
    found = op.get_bind().scalar(
        sqlalchemy.text("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = :name)"), {"name": name}
    )
    return bool(found)


def ensure(name: str) -> None:
    """Create extension `name` unless it is there, and make its schema part of this transaction's search_path.

    CREATE EXTENSION IF NOT EXISTS is silent where the extension stands in a schema that the path does not name; its
    types and operators would then not resolve.
    """
    op.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}" WITH SCHEMA {SCHEMA}')
    if context.is_offline_mode():
        return
    op.get_bind().execute(
        sqlalchemy.text(
            "SELECT set_config('search_path', current_setting('search_path') || ', ' || quote_ident(n.nspname), true)"
            " FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
            " WHERE e.extname = :name AND n.nspname <> ALL (current_schemas(true))"
        ),
        {"name": name},
    )
