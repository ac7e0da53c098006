"""What Alembic runs for one app: for `alembic -n APP ...` and for db.migrations alike, under db.migrations.session."""

import importlib

import sqlalchemy
from alembic import context
from alembic.util import CommandError

from db import apps
from db.errors import DbError
from db.migrations.history import TABLE
from db.migrations.printed import WITHOUT_FRAMES
from db.migrations.session import Job, Steps

config = context.config
app = config.config_ini_section
if app not in apps.names():
    raise CommandError(f'no app "{app}": name one with -n, of {", ".join(apps.names())}')
metadata = importlib.import_module(f"db.apps.{app}.models").Base.metadata
if stray := [table.name for table in metadata.tables.values() if table.schema != app]:
    raise CommandError(f"models of {app} outside its schema: {', '.join(stray)}; their MetaData needs schema={app!r}")


partitions: set[str] = set()


def ours(name: str | None, kind: str, _: object) -> bool:
    """Compare the app's own schema only; the bookkeeping in it has no model, nor have partitions."""
    return name == app if kind == "schema" else not (kind == "table" and (name == TABLE or name in partitions))


def differs(_context: object, _inspected: object, _ours: object, found: object, wanted: object) -> bool | None:
    """Whether an enum has other values; None leaves other types to Alembic.

    The search_path hides the schema of a type that is read from the catalogue, so it is not compared.
    """
    if not (isinstance(found, sqlalchemy.Enum) and isinstance(wanted, sqlalchemy.Enum)):
        return None
    return (found.name, found.enums) != (wanted.name, wanted.enums)


options = {
    "target_metadata": metadata,
    "version_table_schema": config.get_main_option("version_table_schema"),
    "include_schemas": True,
    "include_name": ours,
    "compare_server_default": True,
    "compare_type": differs,
    "transaction_per_migration": True,
}


def migrate(connection: sqlalchemy.Connection, steps: Steps) -> None:
    """One run of the command on a connection that fulfils the conditions."""
    # the search_path makes the app's schema the default one, and comparing would then look for tables without schema
    connection.dialect.default_schema_name = "public"
    found = connection.scalars(
        sqlalchemy.text(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relispartition AND n.nspname = :app"
        ),
        {"app": app},
    )
    partitions.update(found)
    connection.rollback()  # the transaction of each migration is Alembic's
    context.configure(connection=connection, on_version_apply=steps.applied, **options)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    # another parameter style than psycopg's, which would double each percent sign in what is printed
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},
        literal_binds=True,
        transactional_ddl=not config.attributes.get(WITHOUT_FRAMES, False),
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    try:
        job = Job.of(config)
        config.attributes["job"] = job  # for what a revision reports
        job.run(context.script, migrate)
    except DbError as error:
        if config.cmd_opts is None:
            raise
        raise CommandError(str(error)) from error  # the command line shows it as one line
