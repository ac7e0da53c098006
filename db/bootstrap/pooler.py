"""The pooler's way to verifiers: a login of its own and a function that answers for applications' logins only.

The pooler logs in by client certificate (the role has no password) and asks
`SELECT uname, phash FROM pgbouncer.user_lookup($1)` in database postgres, so no password stands in its files.
"""

from __future__ import annotations

from db.bootstrap.catalogue import Catalogue

SCHEMA = "pgbouncer"

# Owners migrate over the direct port only; a superuser or a replication client has no business in a pool.
_BODY = """
    SELECT r.rolname::text, r.rolpassword
    FROM pg_catalog.pg_authid r
    WHERE r.rolname = i_username
      AND r.rolcanlogin
      AND NOT r.rolsuper
      AND NOT r.rolreplication
      AND NOT r.rolbypassrls
      AND (r.rolvaliduntil IS NULL OR r.rolvaliduntil > pg_catalog.now())
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_roles g
          WHERE g.rolname LIKE '%\\_owner' AND pg_catalog.pg_has_role(r.oid, g.oid, 'MEMBER')
      )
"""


def ensure_lookup(catalogue: Catalogue, name: str) -> None:
    """Role `name`, schema pgbouncer and pgbouncer.user_lookup(text) in this database."""
    if catalogue.value("SELECT 1 FROM pg_roles WHERE rolname = %s", name) is None:
        catalogue.change(f"created login {name}", "CREATE ROLE {} LOGIN", name)
    database = str(catalogue.value("SELECT current_database()"))
    if not catalogue.value(
        "SELECT EXISTS (SELECT FROM pg_database d, aclexplode(d.datacl) g WHERE d.datname = %s"
        " AND g.grantee = %s::regrole AND g.privilege_type = 'CONNECT')",
        database,
        name,
    ):
        catalogue.change(
            f"granted CONNECT on database {database} to {name}", "GRANT CONNECT ON DATABASE {} TO {}", database, name
        )
    if catalogue.value("SELECT 1 FROM pg_namespace WHERE nspname = %s", SCHEMA) is None:
        catalogue.change(f"created schema {SCHEMA}", "CREATE SCHEMA {}", SCHEMA)
    if not catalogue.value("SELECT has_schema_privilege(%s, %s, 'USAGE')", name, SCHEMA):
        catalogue.change(f"granted USAGE on {SCHEMA} to {name}", "GRANT USAGE ON SCHEMA {} TO {}", SCHEMA, name)
    _ensure_function(catalogue, name)


def _ensure_function(catalogue: Catalogue, name: str) -> None:
    as_wanted = catalogue.value(
        "SELECT p.prosrc = %s AND p.prosecdef AND p.provolatile = 's' AND p.proconfig = '{search_path=pg_catalog}'"
        " FROM pg_proc p WHERE p.pronamespace = %s::regnamespace AND p.proname = 'user_lookup'",
        _BODY,
        SCHEMA,
    )
    if not as_wanted:
        catalogue.change(
            f"defined {SCHEMA}.user_lookup",
            "CREATE OR REPLACE FUNCTION {}.user_lookup(i_username text, OUT uname text, OUT phash text)"
            " RETURNS SETOF record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS {body}",
            SCHEMA,
            body=_BODY,
        )
    function = f"{SCHEMA}.user_lookup(text)"
    if catalogue.value("SELECT has_function_privilege('public', %s, 'EXECUTE')", function):
        catalogue.change(
            f"took EXECUTE on {function} from PUBLIC", "REVOKE ALL ON FUNCTION {}.user_lookup(text) FROM PUBLIC", SCHEMA
        )
    if not catalogue.value("SELECT has_function_privilege(%s, %s, 'EXECUTE')", name, function):
        catalogue.change(
            f"granted EXECUTE on {function} to {name}",
            "GRANT EXECUTE ON FUNCTION {}.user_lookup(text) TO {}",
            SCHEMA,
            name,
        )
