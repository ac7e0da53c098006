"""One app's database: who may connect, its schemas, extensions, and the privileges on what its owner will create."""

from __future__ import annotations

from db.bootstrap import AppAccess
from db.bootstrap.catalogue import Catalogue
from db.bootstrap.roles import groups
from db.errors import BootstrapError

EXTENSION_SCHEMA = "extensions"
REQUIRED = ("uuid-ossp", "pg_trgm")
OPTIONAL = ("vector",)  # without it embeddings are JSONB (db.vectors)

# What each group gets on objects that the owner will create: kind, privileges. TRUNCATE, REFERENCES and TRIGGER stay
# with the owner. EXECUTE goes to the application only: a SECURITY DEFINER function would let the read-only login write.
_DEFAULTS = {
    "app": (
        ("TABLES", ("SELECT", "INSERT", "UPDATE", "DELETE")),
        ("SEQUENCES", ("SELECT", "USAGE")),
        ("FUNCTIONS", ("EXECUTE",)),
    ),
    "readonly": (("TABLES", ("SELECT",)), ("SEQUENCES", ("SELECT",))),
}
_KINDS = {"TABLES": "r", "SEQUENCES": "S", "FUNCTIONS": "f"}  # pg_default_acl.defaclobjtype


def ensure_database(catalogue: Catalogue, access: AppAccess) -> None:
    """The database, owned by the administrator: an owner of it could drop it. Run in another database."""
    name = access.database
    if catalogue.value("SELECT 1 FROM pg_database WHERE datname = %s", name) is None:
        # template0: template1 may hold what somebody put there
        catalogue.change(f"created database {name}", "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", name)
        close_to_public(catalogue, name)
    owner, application, readonly = groups(access.app)
    # TEMPORARY: bulk writes go through temporary tables; a report needs none
    for group, privileges in (
        (owner, ("CONNECT", "TEMPORARY")),
        (application, ("CONNECT", "TEMPORARY")),
        (readonly, ("CONNECT",)),
    ):
        for privilege in privileges:
            if not _granted(catalogue, "pg_database", "datname", "datacl", name, group, privilege):
                catalogue.change(
                    f"granted {privilege} on database {name} to {group}",
                    f"GRANT {privilege} ON DATABASE {{}} TO {{}}",
                    name,
                    group,
                )


def close_to_public(catalogue: Catalogue, database: str) -> None:
    """Nobody connects to `database` who was not given it; by default PostgreSQL lets everyone in."""
    open_to_all = catalogue.value(
        "SELECT EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE grantee = 0)"
        " FROM pg_database WHERE datname = %s",
        database,
    )
    if open_to_all:
        catalogue.change(f"closed database {database} to PUBLIC", "REVOKE ALL ON DATABASE {} FROM PUBLIC", database)


def ensure_contents(catalogue: Catalogue, access: AppAccess, embeddings: str) -> tuple[list[str], tuple[str, ...]]:
    """Schemas, extensions and privileges inside the database.

    Returns the schemas that hold the extensions, for the search_path, and the optional extensions that are missing.
    """
    owner, application, readonly = groups(access.app)
    if others := _schemas_of_others(catalogue):
        catalogue.report(
            f"database {access.database} stays open to PUBLIC: others work in it too (schemas {', '.join(others)})"
        )
    else:
        close_to_public(catalogue, access.database)
        _close_public_schema(catalogue)
    _ensure_schema(catalogue, EXTENSION_SCHEMA, None)
    _ensure_schema(catalogue, access.app, owner)
    _ensure_usage(catalogue, access.app, (application, readonly))
    schemas = [EXTENSION_SCHEMA]
    missing = []
    for extension in (*REQUIRED, *OPTIONAL):
        if extension == "vector" and embeddings == "jsonb":
            continue
        schema = _ensure_extension(catalogue, extension, access.database, embeddings)
        if schema is None:
            missing.append(extension)
        elif schema not in schemas:  # somebody created it elsewhere before us; it is found there by the search_path
            schemas.append(schema)
    for schema in schemas:
        _ensure_usage(catalogue, schema, (owner, application, readonly))
    _ensure_default_privileges(catalogue, access.app)
    return schemas, tuple(missing)


def _schemas_of_others(catalogue: Catalogue) -> list[str]:
    """Schemas of a provider or of other applications, whose logins may have no right but PUBLIC's to connect.

    Supabase's services are such. None on a cluster whose superuser bootstraps: that one is ours.
    """
    if catalogue.is_superuser():
        return []
    found = catalogue.rows(
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> ALL (%s)"
        " AND pg_get_userbyid(nspowner) <> nspname || '_owner' ORDER BY 1",
        ["information_schema", "public", EXTENSION_SCHEMA],
    )
    return [name for (name,) in found]


def _close_public_schema(catalogue: Catalogue) -> None:
    granted = catalogue.rows(
        "SELECT g.privilege_type FROM pg_namespace n,"
        " aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) g"
        " WHERE n.nspname = 'public' AND g.grantee = 0 AND pg_has_role(n.nspowner, 'USAGE')"
    )
    if granted:
        catalogue.change("closed schema public to PUBLIC", "REVOKE ALL ON SCHEMA public FROM PUBLIC")


def _ensure_schema(catalogue: Catalogue, name: str, owner: str | None) -> None:
    held_by = catalogue.value("SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %s", name)
    if held_by is None and owner is None:
        catalogue.change(f"created schema {name}", "CREATE SCHEMA {}", name)
    elif held_by is None and owner is not None:
        catalogue.change(f"created schema {name}", "CREATE SCHEMA {} AUTHORIZATION {}", name, owner)
    elif owner is not None and held_by != owner:
        catalogue.change(f"gave schema {name} to {owner}", "ALTER SCHEMA {} OWNER TO {}", name, owner)


def _ensure_usage(catalogue: Catalogue, schema: str, names: tuple[str, ...]) -> None:
    for name in names:
        if not catalogue.value("SELECT has_schema_privilege(%s, %s, 'USAGE')", name, schema):
            catalogue.change(f"granted USAGE on {schema} to {name}", "GRANT USAGE ON SCHEMA {} TO {}", schema, name)


def _ensure_extension(catalogue: Catalogue, name: str, database: str, embeddings: str) -> str | None:
    """The schema the extension stands in, None where the server does not have an optional one."""
    query = "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = %s"
    schema = catalogue.value(query, name)
    if schema is None:
        if not catalogue.value("SELECT 1 FROM pg_available_extensions WHERE name = %s", name):
            if name in OPTIONAL and embeddings == "auto":
                return None
            cure = (
                "install pgvector, or set DB_EMBEDDINGS to jsonb (of a stack: pgstack:embeddings)"
                if name == "vector"
                else "install its contrib package"
            )
            raise BootstrapError(f"the server of database {database} lacks extension {name}: {cure}")
        catalogue.change(
            f"created extension {name} in {database}", "CREATE EXTENSION {} WITH SCHEMA {}", name, EXTENSION_SCHEMA
        )
        schema = catalogue.value(query, name)
    return str(schema)


def _ensure_default_privileges(catalogue: Catalogue, app: str) -> None:
    owner, _, _ = groups(app)
    everyone_executes = catalogue.value(
        "SELECT NOT EXISTS (SELECT FROM pg_default_acl WHERE defaclrole = %s::regrole AND defaclnamespace = 0"
        " AND defaclobjtype = 'f')",
        owner,
    )
    if everyone_executes:
        catalogue.change(
            f"took EXECUTE on functions of {owner} from PUBLIC",
            "ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
            owner,
        )
    for suffix, defaults in _DEFAULTS.items():
        group = f"{app}_{suffix}"
        for kind, wanted in defaults:
            rows = catalogue.rows(
                "SELECT g.privilege_type FROM pg_default_acl d, aclexplode(d.defaclacl) g"
                " WHERE d.defaclrole = %s::regrole AND d.defaclnamespace = %s::regnamespace"
                " AND d.defaclobjtype = %s AND g.grantee = %s::regrole",
                owner,
                app,
                _KINDS[kind],
                group,
            )
            has = {row[0] for row in rows}
            lacking = [privilege for privilege in wanted if privilege not in has]
            if lacking:
                privileges = ", ".join(lacking)
                catalogue.change(
                    f"future {kind.lower()} of {app} give {privileges} to {group}",
                    f"ALTER DEFAULT PRIVILEGES FOR ROLE {{}} IN SCHEMA {{}} GRANT {privileges} ON {kind} TO {{}}",
                    owner,
                    app,
                    group,
                )


def _granted(catalogue: Catalogue, table: str, key: str, acl: str, name: str, group: str, privilege: str) -> bool:
    """Whether `group` itself was given `privilege`; has_..._privilege would also count what PUBLIC has."""
    return bool(
        catalogue.value(
            f"SELECT EXISTS (SELECT FROM {table} o, aclexplode(o.{acl}) g"  # noqa: S608  # names of catalogue columns
            f" WHERE o.{key} = %s AND g.grantee = %s::regrole AND g.privilege_type = %s)",
            name,
            group,
            privilege,
        )
    )
