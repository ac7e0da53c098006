"""Pending migrations on a copy with the real rows, and nothing of it in the database itself."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import docker
import pytest

from db import migrations, seeds
from ops.engine import Engine
from ops.rehearse import copied, rehearse
from ops.stack import Stack
from tests.db.conftest import Prepare, Prepared, silent

SUPERUSER = ("env", "PGHOST=/tmp", "PGUSER=postgres", "PGPASSWORD=admin of a test")
SECOND, THIRD = "0002_sites_by_name", "0003_json_shapes"


@pytest.fixture
def container(dovvybuddy: Prepared) -> Iterator[str]:
    """The name of the container of the tests' server."""
    client = docker.from_env()
    [name] = [
        str(it.name)
        for it in client.containers.list(filters={"label": f"pgstack.stack=test-db-{os.getpid()}"})
        if it.ports["5432/tcp"] and it.ports["5432/tcp"][0]["HostPort"] == str(dovvybuddy.server.port)
    ]
    yield name
    client.close()


@pytest.fixture
def run(container: str) -> Iterator[Callable[[Sequence[str]], str]]:
    """Commands in that container, as `pgstack` runs them in a stack's."""
    engine = Engine(docker.from_env())
    yield lambda command: engine.run(container, [*SUPERUSER, *command])
    engine.client.close()


@pytest.fixture
def dovvybuddy(prepare: Prepare) -> Prepared:
    """With the rows of its demo seeds, one revision below the newest."""
    prepared = prepare("dovvybuddy")
    migrations.upgrade("dovvybuddy", prepared.owner_url, report=silent)
    seeds.seed("dovvybuddy", prepared.owner_url, ["base", "demo"], environment="dev", report=silent)
    migrations.downgrade("dovvybuddy", prepared.owner_url, target="-1", report=silent)
    return prepared


ROWS = "SELECT (SELECT count(*) FROM dovvybuddy.dive_sites), (SELECT count(*) FROM dovvybuddy.content_embeddings)"


def test_pending_revisions_meet_the_real_rows_and_the_database_stays_as_it_was(
    dovvybuddy: Prepared, run: Callable[[Sequence[str]], str], lines: list[str]
) -> None:
    database = dovvybuddy.access.database

    with copied(run, dovvybuddy.owner_url, report=lines.append) as copy:
        assert migrations.upgrade("dovvybuddy", copy, report=lines.append) == (THIRD,)
        assert migrations.current("dovvybuddy", copy) == THIRD
        with dovvybuddy.server.connect(f"{database}_rehearsal") as admin:
            assert admin.execute(ROWS.encode()).fetchall() == dovvybuddy.rows(ROWS) != [(0, 0)]
            assert (
                admin.execute(
                    "SELECT FROM pg_database, aclexplode(datacl) g WHERE datname = current_database() AND g.grantee = 0"
                ).fetchall()
                == []
            )  # nothing for PUBLIC

    assert migrations.current("dovvybuddy", dovvybuddy.owner_url) == SECOND
    assert dovvybuddy.rows("SELECT FROM pg_database WHERE datname = %s", f"{database}_rehearsal") == []
    assert lines[0].startswith(f"copying {database} (")
    assert lines[-1].startswith(f"dovvybuddy: applied {THIRD} (")


def test_a_copy_is_dropped_though_the_rehearsal_failed_and_one_that_was_left_is_replaced(
    dovvybuddy: Prepared, run: Callable[[Sequence[str]], str]
) -> None:
    left = f"{dovvybuddy.access.database}_rehearsal"
    with dovvybuddy.server.connect() as admin:
        admin.execute(f'CREATE DATABASE "{left}"'.encode())

    with pytest.raises(ZeroDivisionError), copied(run, dovvybuddy.owner_url, report=silent):
        raise ZeroDivisionError

    assert dovvybuddy.rows("SELECT FROM pg_database WHERE datname = %s", left) == []


@dataclass(frozen=True)
class Deployed:
    """What the verb asks of a deployed stack; the tests' server is none."""

    owner_url: str
    postgres: str
    pulumi: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(environ=os.environ))

    def url(self, app: str, kind: str) -> str:
        assert (app, kind) == ("dovvybuddy", "direct")
        return self.owner_url

    def container(self, role: str) -> str:
        assert role == "postgres"
        return self.postgres

    def ca_file(self) -> None:
        return None


def test_the_verb_tells_how_long_each_revision_takes_and_undoes_them(
    dovvybuddy: Prepared, container: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed = Deployed(dovvybuddy.owner_url, container)
    monkeypatch.setattr(Stack, "read", lambda _: deployed)
    monkeypatch.setattr("ops.rehearse._AS_SUPERUSER", SUPERUSER)

    rehearse("dovvybuddy", undo=True)

    said = [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines()]
    assert [line for line in said if line.startswith("dovvybuddy: ")] == [
        f"dovvybuddy: applied {THIRD}",
        f"dovvybuddy: undid {THIRD}",
        f"dovvybuddy: 1 rehearsed; the database itself is as it was, at {SECOND}",
    ]
    migrations.upgrade("dovvybuddy", dovvybuddy.owner_url, report=silent)
    rehearse("dovvybuddy")
    assert capsys.readouterr().out == "dovvybuddy: nothing pending, nothing to rehearse\n"
