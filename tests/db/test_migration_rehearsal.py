"""Pending migrations on a copy with the real rows, and nothing of it in the database itself."""

import os
from collections.abc import Callable, Iterator, Sequence

import docker
import pytest

from db import migrations, seeds
from ops.engine import Engine
from ops.rehearse import copied
from tests.db.conftest import Prepare, Prepared

SECOND, THIRD = "0002_sites_by_name", "0003_json_shapes"


def silent(_: str) -> None:
    """Discard a report."""


@pytest.fixture
def run(dovvybuddy: Prepared) -> Iterator[Callable[[Sequence[str]], str]]:
    """Commands in the container of the tests' server, as `pgstack` runs them in a stack's."""
    engine = Engine(docker.from_env())
    [container] = [
        str(it.name)
        for it in engine.client.containers.list(filters={"label": f"pgstack.stack=test-db-{os.getpid()}"})
        if it.ports["5432/tcp"] and it.ports["5432/tcp"][0]["HostPort"] == str(dovvybuddy.server.port)
    ]
    superuser = ["env", "PGHOST=/tmp", "PGUSER=postgres", "PGPASSWORD=admin of a test"]
    yield lambda command: engine.run(container, [*superuser, *command])
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
