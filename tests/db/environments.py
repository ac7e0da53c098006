"""The databases that this project's schemas have to live in, each with what it refuses (docs/environments.md).

An environment is a server, the identity that bootstraps it, and what its provider has put there before. What a provider
refuses is refused here by PostgreSQL itself, to a role that is no superuser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from psycopg import sql

from tests.db import packaged_servers
from tests.db.cold_start import sleeping
from tests.db.conftest import Prepared, Server, container, start_server

PASSWORD = "provider of a test"
API_ROLES = ("anon", "authenticated", "service_role")  # Supabase's, whose requests come from the internet


@dataclass(frozen=True)
class Environment:
    """A server to prepare databases on.

    `pooled`: applications come through a transaction pooler; `vectors`: it has pgvector; `suspend` sends a server that
    sleeps to sleep; `api_grants`: what role postgres creates is open to API_ROLES.
    """

    name: str
    server: Server
    pooled: bool = False
    vectors: bool = True
    api_grants: bool = False
    suspend: Callable[[], None] = lambda: None

    @contextmanager
    def application_url(self, prepared: Prepared, folder: Path) -> Iterator[str]:
        """The URL by which the application of `prepared` connects here."""
        from tests.db.test_transaction_pooler import neighbours, pooler  # noqa: PLC0415  # only where there is one

        if not self.pooled:
            yield prepared.app_url
            return
        with pooler(prepared, folder, size=2, login=prepared.access.application) as url, neighbours(url):
            yield url


@contextmanager
def start(name: str) -> Iterator[Environment]:
    """The environment called `name`, until the end. Raises KeyError for a name that is none."""
    with ENVIRONMENTS[name](name) as environment:
        yield environment


@contextmanager
def _own(name: str, *, pooled: bool = False, vectors: bool = True) -> Iterator[Environment]:
    """This project's image; a superuser bootstraps."""
    with start_server(vector=vectors) as server:
        yield Environment(name, server, pooled, vectors)


@contextmanager
def _version(name: str, major: int) -> Iterator[Environment]:
    """PostgreSQL `major`; a superuser bootstraps."""
    with container(files=packaged_servers.files(major)) as server:
        yield Environment(name, server, vectors=major in packaged_servers.WITH_VECTOR)


@contextmanager
def _neon(name: str, *, major: int | None = None) -> Iterator[Environment]:
    """No superuser, but a role that makes roles and databases, and that no policy binds; a pooler in front."""
    files = packaged_servers.files(major) if major else None
    with container(files=files, superuser="cloud_admin") as server:
        vectors = major is None or major in packaged_servers.WITH_VECTOR
        yield Environment(name, _owned_by_neon(server), pooled=True, vectors=vectors)


def _owned_by_neon(server: Server) -> Server:
    with closing(server.connect()) as admin:
        admin.execute(_role("neondb_owner", "LOGIN CREATEROLE CREATEDB BYPASSRLS"))
    return replace(server, identity=_identity(server, "neondb_owner"))


@contextmanager
def _cold_start(name: str) -> Iterator[Environment]:
    """As on Neon, where a server without work is stopped, and started by the next connect, which may fail."""
    with container(superuser="cloud_admin") as server, sleeping((server.host, server.port)) as proxy:
        seen = replace(_owned_by_neon(server), port=proxy.port)
        identity = {**seen.bootstraps, "port": str(proxy.port)}
        yield Environment(name, replace(seen, identity=identity), suspend=proxy.suspend)


@contextmanager
def _supabase(name: str, *, grants: bool, vector: bool) -> Iterator[Environment]:
    """`grants`: tables of role postgres are open to the API's roles by default; `vector`: the extension is there."""
    with container(files=packaged_servers.files(17), superuser="supabase_admin") as server:
        with closing(server.connect()) as admin:
            admin.execute(_SUPABASE_ROLES.replace("PASSWORD_HERE", PASSWORD))
            admin.execute("CREATE DATABASE provided OWNER postgres")
        with closing(server.connect("provided")) as admin:
            admin.execute(_SUPABASE_DATABASE)
            if grants:
                admin.execute(_SUPABASE_GRANTS)
            if vector:
                admin.execute("CREATE EXTENSION vector SCHEMA extensions")
        yield Environment(
            name,
            replace(server, identity=_identity(server, "postgres"), template="provided"),
            pooled=True,
            api_grants=grants,
        )


def _role(name: str, attributes: str) -> sql.Composed:
    return sql.SQL("CREATE ROLE {} " + attributes + " PASSWORD {}").format(sql.Identifier(name), sql.Literal(PASSWORD))


def _identity(server: Server, role: str) -> dict[str, str]:
    return {"host": server.host, "port": str(server.port), "user": role, "password": PASSWORD}


# Supabase's own roles, as its image makes them: github.com/supabase/postgres, migrations/db/init-scripts
_SUPABASE_ROLES = """
CREATE ROLE postgres LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS PASSWORD 'PASSWORD_HERE';
ALTER ROLE postgres SET statement_timeout = '2min';
CREATE ROLE anon NOLOGIN NOINHERIT;
CREATE ROLE authenticated NOLOGIN NOINHERIT;
CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
CREATE ROLE authenticator LOGIN NOINHERIT PASSWORD 'PASSWORD_HERE';
GRANT anon, authenticated, service_role TO authenticator, postgres;
CREATE ROLE supabase_auth_admin LOGIN NOINHERIT CREATEROLE PASSWORD 'PASSWORD_HERE';
CREATE ROLE supabase_storage_admin LOGIN NOINHERIT CREATEROLE PASSWORD 'PASSWORD_HERE';
ALTER DATABASE postgres OWNER TO postgres;
"""
_SUPABASE_DATABASE = """
CREATE SCHEMA extensions AUTHORIZATION postgres;
GRANT USAGE ON SCHEMA extensions TO anon, authenticated, service_role;
CREATE EXTENSION "uuid-ossp" SCHEMA extensions;
CREATE EXTENSION pgcrypto SCHEMA extensions;
CREATE SCHEMA auth AUTHORIZATION supabase_admin;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text);
ALTER TABLE auth.users OWNER TO supabase_auth_admin;
CREATE SCHEMA storage AUTHORIZATION supabase_admin;
CREATE TABLE storage.objects (id uuid PRIMARY KEY, name text);
ALTER TABLE storage.objects OWNER TO supabase_storage_admin;
CREATE SCHEMA realtime AUTHORIZATION supabase_admin;
GRANT USAGE ON SCHEMA auth, storage, realtime, public TO postgres, anon, authenticated, service_role;
CREATE PUBLICATION supabase_realtime;
ALTER PUBLICATION supabase_realtime OWNER TO postgres;
"""
_SUPABASE_GRANTS = """
ALTER DEFAULT PRIVILEGES FOR ROLE postgres, supabase_admin
    GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres, supabase_admin
    GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres, supabase_admin
    GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
"""

ENVIRONMENTS: dict[str, Callable[[str], AbstractContextManager[Environment]]] = {
    "direct": _own,
    "pooler": partial(_own, pooled=True),
    "without-vector": partial(_own, vectors=False),
    "neon-like": _neon,
    "neon-like-15": partial(_neon, major=15),  # where a member of a role may always become it
    "supabase-like": partial(_supabase, grants=True, vector=True),
    "supabase-like-no-vector-yet": partial(_supabase, grants=True, vector=False),
    "supabase-like-closed": partial(_supabase, grants=False, vector=True),
    "supabase-like-closed-no-vector-yet": partial(_supabase, grants=False, vector=False),
    "cold-start": _cold_start,
    "postgresql-15": partial(_version, major=15),
    "postgresql-17": partial(_version, major=17),
    "postgresql-18": partial(_version, major=18),
}
