"""A real PostgreSQL for these tests, and a fresh database of an app in it.

PGSTACK_TEST_ADMIN (a superuser's conninfo) and PGSTACK_TEST_ADMIN_WITHOUT_VECTOR name servers that run already; without
them containers of the images of a deployed stack are started and removed again.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import psycopg
import pytest
import tenacity
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from db import apps, migrations, seeds
from db.bootstrap import AppAccess, Bootstrapped, Login, bootstrap
from db.migrations import sums
from db.migrations.revisions import checksum
from tests.deployment import Stack

_numbers = itertools.count(1)  # of databases, so that no two tests share one
Connection = psycopg.Connection[tuple[Any, ...]]
PASSWORDS = {"owner": "owner of a test", "app": "app of a test", "readonly": "reader of a test"}
_SERVER_STARTS_WITHIN = 60  # seconds
SUPERUSER = "postgres"

# As root: removes what the test wants missing, then becomes the image's postgres (uid 999).
_RUN = """
set -e
data=/test/data
[ -z "$WITHOUT" ] || find / -xdev -name "$WITHOUT.control" -delete
install -d -o 999 -g 999 -m 0700 $data
printf %s "$ADMIN_PASSWORD" > /tmp/admin && chown 999 /tmp/admin
as="setpriv --reuid=999 --regid=999 --clear-groups env HOME=/tmp PATH=$SERVER/bin:$PATH"
$as initdb -D $data -U $ADMIN --encoding=UTF8 --locale=C.UTF-8 --auth=scram-sha-256 --pwfile=/tmp/admin
echo 'host all all all scram-sha-256' >> $data/pg_hba.conf
exec $as postgres -D $data -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off -c max_connections=200
"""


@dataclass(frozen=True)
class Server:
    """A server for tests: `admin` are a superuser's connection keywords, host and port are those for TCP."""

    admin: dict[str, str]
    host: str
    port: int
    identity: dict[str, str] | None = None
    """Keywords of the role that bootstraps, where that is not the superuser: a provider gives none."""
    template: str | None = None
    """The database that the provider makes new ones of, given to `identity`; None where the bootstrap makes them."""

    @property
    def bootstraps(self) -> dict[str, str]:
        """Whoever bootstraps here."""
        return self.identity or self.admin

    def connect(self, database: str = "postgres") -> Connection:
        """As the superuser, in autocommit."""
        keywords: dict[str, Any] = {**self.admin, "dbname": database}
        return psycopg.connect(**keywords, autocommit=True)

    def url(self, login: Login, database: str) -> str:
        """A URL by which `login` connects."""
        password = login.password.replace(" ", "%20")
        return f"postgresql://{login.name}:{password}@{self.host}:{self.port}/{database}"


@contextmanager
def start_server(*, vector: bool = True) -> Iterator[Server]:
    """A running server, with or without pgvector's files."""
    given = os.environ.get("PGSTACK_TEST_ADMIN" if vector else "PGSTACK_TEST_ADMIN_WITHOUT_VECTOR")
    if given:
        admin = {key: str(value) for key, value in conninfo_to_dict(given).items()}
        with psycopg.connect(given) as connection:
            port = connection.execute("SHOW port").fetchone()
        assert port is not None
        local = admin.get("host", "/").startswith("/")
        yield Server(admin, *(("127.0.0.1", int(port[0])) if local else (admin["host"], int(admin["port"]))))
        return
    with container(without="" if vector else "vector") as server:
        yield server


@contextmanager
def container(*, without: str = "", files: Path | None = None, superuser: str = SUPERUSER) -> Iterator[Server]:
    """A server in a container, without the extension `without`; `files` is the folder of another version's server."""
    image = os.environ.get("PGSTACK_TEST_POSTGRES_IMAGE")
    if not image:
        pytest.fail("no server to test with: set PGSTACK_TEST_POSTGRES_IMAGE (`make test` does) or PGSTACK_TEST_ADMIN")
    engine = docker.from_env()
    container = engine.containers.run(
        image,
        entrypoint=["/bin/sh", "-c", _RUN],
        user="0",
        detach=True,
        environment={
            "ADMIN": superuser,
            "ADMIN_PASSWORD": "admin of a test",
            "WITHOUT": without,
            "SERVER": "/other" if files else "/usr/lib/postgresql/16",
        },
        volumes={str(files): {"bind": "/other", "mode": "ro"}} if files else {},
        ports={"5432/tcp": ("127.0.0.1", 0)},  # 0: the engine chooses
        tmpfs={"/test": "mode=0755"},
        labels={"pgstack.stack": f"test-db-{os.getpid()}"},
    )
    try:
        container.reload()
        published = container.ports["5432/tcp"] or []
        port = published[0]["HostPort"]
        admin = {"host": "127.0.0.1", "port": port, "user": superuser, "password": "admin of a test"}
        server = Server(admin, "127.0.0.1", int(port))
        try:
            _await_answer(server)
        except psycopg.OperationalError as error:
            pytest.fail(f"the test's server did not start: {error}\n{container.logs().decode()}")
        yield server
    finally:
        container.remove(force=True, v=True)
        engine.close()


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(psycopg.OperationalError),
    stop=tenacity.stop_after_delay(_SERVER_STARTS_WITHIN),
    wait=tenacity.wait_fixed(0.1),
    reraise=True,
)
def _await_answer(server: Server) -> None:
    server.connect().close()


@pytest.fixture(scope="session", autouse=True)
def images(request: pytest.FixtureRequest) -> Iterator[None]:
    """Name the images that a stack was deployed with, unless the environment names servers or images itself."""
    with pytest.MonkeyPatch.context() as environment:
        if not os.environ.keys() & {"PGSTACK_TEST_ADMIN", "PGSTACK_TEST_POSTGRES_IMAGE"}:
            stack: Stack = request.getfixturevalue("stack")
            for role in ("postgres", "pooler"):
                image = stack.container(role).attrs["Config"]["Image"]
                environment.setenv(f"PGSTACK_TEST_{role.upper()}_IMAGE", image)
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With `--environment`: each of its tests once in each environment."""
    from tests.db.environments import ENVIRONMENTS  # noqa: PLC0415  # it imports this module

    wanted: list[str] = metafunc.config.getoption("--environment")
    if wanted and "route" in metafunc.fixturenames:
        every = list(ENVIRONMENTS) if "all" in wanted else wanted
        metafunc.parametrize("server", every, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--environment`: only what takes a `route`, so what is the data layer's."""
    if config.getoption("--environment"):
        kept = [item for item in items if "route" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(
            items=[item for item in items if "route" not in getattr(item, "fixturenames", ())]
        )
        items[:] = kept


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server of the environment that `--environment` names, else this project's own, with pgvector."""
    from tests.db import environments  # noqa: PLC0415  # it imports this module

    with environments.start(getattr(request, "param", "direct")) as environment:
        yield environment.server


@pytest.fixture(scope="session")
def server_without_vector() -> Iterator[Server]:
    """A server whose files lack pgvector, so that pg_available_extensions does not list it."""
    with start_server(vector=False) as started:
        yield started


@dataclass(frozen=True)
class Prepared:
    """A bootstrapped database of one app, in which nothing is migrated yet."""

    server: Server
    access: AppAccess
    outcome: Bootstrapped

    @property
    def owner_url(self) -> str:
        return self.server.url(self.access.owner, self.access.database)

    @property
    def app_url(self) -> str:
        return self.server.url(self.access.application, self.access.database)

    @property
    def readonly_url(self) -> str:
        return self.server.url(self.access.readonly, self.access.database)

    def admin(self) -> Connection:
        """The superuser in this database."""
        return self.server.connect(self.access.database)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the superuser sees."""
        with closing(self.admin()) as connection:
            return connection.execute(query, values).fetchall()


Prepare = Callable[..., Prepared]


def access_for(app: str, database: str) -> AppAccess:
    """The first generation of logins of `app`."""
    return AppAccess(
        app=app,
        database=database,
        owner=Login(f"{app}_owner_1", PASSWORDS["owner"]),
        application=Login(f"{app}_app_1", PASSWORDS["app"]),
        readonly=Login(f"{app}_readonly_1", PASSWORDS["readonly"]),
    )


@contextmanager
def preparing(server: Server) -> Iterator[Prepare]:
    """Bootstraps fresh databases, dropped in the end: prepare("maps"), or elsewhere prepare("maps", other)."""
    made: list[Prepared] = []

    def prepared(app: str, on: Server = server) -> Prepared:
        host = apps.host(app) if app in apps.names() else app
        if host != app:
            return guest(app, prepared(host, on))
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        database = f"test_{os.getpid()}_{worker}_{next(_numbers)}"
        access = access_for(app, database)
        provide(on, database)
        made.append(Prepared(on, access, bootstrap(on.bootstraps, [access], report=lambda _: None)))
        return made[-1]

    yield prepared
    for done in made:
        with closing(done.server.connect()) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(done.access.database))
            )


def provide(server: Server, database: str) -> None:
    """What a provider does before it hands over a database; nothing where the bootstrap makes it."""
    if server.template is not None:
        with closing(server.connect()) as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    sql.Identifier(database),
                    sql.Identifier(server.template),
                    sql.Identifier(server.bootstraps["user"]),
                )
            )


@pytest.fixture(scope="module")
def prepare(server: Server) -> Iterator[Prepare]:
    """`preparing` on the server of these tests."""
    with preparing(server) as prepared:
        yield prepared


def guest(app: str, host: Prepared) -> Prepared:
    """Bootstraps a guest into the database of `host`, which is migrated and gets its demo seeds."""
    migrations.upgrade(host.access.app, host.owner_url, report=lambda _: None)
    seeds.seed(host.access.app, host.owner_url, ["demo"], environment="dev", report=lambda _: None)
    access = access_for(app, host.access.database)
    return Prepared(host.server, access, bootstrap(host.server.bootstraps, [access], report=lambda _: None))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of alembic.ini and alembic/ to which a test may add revisions."""
    checkout = Path(__file__).parents[2]
    for source in (checkout / "alembic.ini", *sorted((checkout / "alembic").rglob("*"))):
        if source.is_file() and source.suffix != ".pyc":
            target = tmp_path / "home" / source.relative_to(checkout)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return tmp_path / "home"


def silent(_: str) -> None:
    """Discard a report."""


@pytest.fixture
def maps(prepare: Prepare) -> Prepared:
    """A new database of maps, not migrated."""
    return prepare("maps")


@pytest.fixture
def migrated(maps: Prepared) -> Prepared:
    """The same at the newest revision."""
    migrations.upgrade("maps", maps.owner_url, report=silent)
    return maps


def add_revision(
    home: Path,
    body: str,
    *,
    name: str = "0004_further",
    after: str = "0003_readers_see_no_tokens",
    undo: str = 'op.execute("DROP TABLE maps.half_done")',
    app: str = "maps",
    summed: bool = True,
) -> Path:
    """Write a revision of `app` with `body` and `undo` as the statements of upgrade and downgrade, and its sum."""
    path = home / "alembic/versions" / app / f"{name}.py"
    path.write_text(
        f'''"""A further change.

Purpose: a test
Ticket: N/A
Reversible: Yes
Rollback: alembic -n {app} downgrade -1
"""

from alembic import op

revision = "{name}"
down_revision = "{after}"


def upgrade() -> None:
    {body}


def downgrade() -> None:
    {undo}
'''
    )
    if summed:
        add_sum(path)
    return path


def add_sum(path: Path) -> None:
    """Write the line of the migration file `path` into its sum file, as `pgstack migrate sum` does."""
    file = path.parent / sums.NAME
    others = [line for line in file.read_text().splitlines() if not line.endswith(f"  {path.name}")]
    file.write_text("\n".join([*others, f"{checksum(path.read_text())}  {path.name}", ""]))


@pytest.fixture
def lines() -> list[str]:
    """Collects what a run reports; pass `lines.append`."""
    return []


@pytest.fixture(scope="module")
def library(prepare: Prepare) -> Prepared:
    """A database with the tables of tests/db/library.py."""
    from tests.db.library import create  # noqa: PLC0415  # it imports this module

    return create(prepare("maps"))


@pytest.fixture(scope="module", params=["direct", "pooled"])
def route(library: Prepared, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application's URL of `library`: straight to the server, and through a PgBouncer of 2 server connections.

    Other clients work through the same two meanwhile, so that a test's transactions follow each other on either.
    """
    from tests.db.test_transaction_pooler import neighbours, pooler  # noqa: PLC0415  # it imports this module

    if request.param == "direct":
        yield library.app_url
        return
    with (
        pooler(library, tmp_path_factory.mktemp("pooler"), size=2, login=library.access.application) as url,
        neighbours(url),
    ):
        yield url


@pytest.fixture
def clean(library: Prepared) -> Iterator[None]:
    """Neither rows nor shared engines are left for the next test."""
    from db.engine import dispose  # noqa: PLC0415  # not every test needs it
    from tests.db.library import empty  # noqa: PLC0415  # it imports this module

    empty(library)
    yield
    dispose()
