"""Plain `alembic -n APP ...` goes by the same rules as a deployment, and fails in one line."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from db import apps, migrations
from tests.db.conftest import Prepare, Prepared, add_revision

CHECKOUT = Path(__file__).parents[2]


def alembic(*arguments: str, url: str | None = None, home: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if key != "POSTGRES_DIRECT_URL"}
    if url is not None:
        environ["POSTGRES_DIRECT_URL"] = url
    return subprocess.run(
        [sys.executable, "-m", "alembic", "-c", str(home / "alembic.ini"), *arguments],
        cwd=home,
        env=environ | {"PYTHONPATH": str(CHECKOUT)},
        text=True,
        capture_output=True,
        check=False,
    )


def test_upgrading_keeps_history_and_downgrading_reverts_it(maps: Prepared) -> None:
    up = alembic("-n", "maps", "upgrade", "head", url=maps.owner_url)
    down = alembic("-n", "maps", "downgrade", "-1", url=maps.owner_url)

    assert (up.returncode, down.returncode) == (0, 0), up.stderr + down.stderr
    assert "maps: applied 0001_initial_schema" in up.stderr
    assert maps.rows("SELECT revision, reverted_at IS NULL FROM maps.migration_history ORDER BY id") == [
        ("0001_initial_schema", True),
        ("0002_better_auth", True),
        ("0003_readers_see_no_tokens", False),
    ]
    assert alembic("-n", "maps", "current", url=maps.owner_url).stdout.strip() == "0002_better_auth"


@pytest.mark.parametrize("app", apps.names())
@pytest.mark.requirement(
    "panamia.stack.migrations",
    "panamia.stack.schema-source",
    "maps.stack.migrations",
    "bots.problem.mismatch",
    "bots.risks.drift",
    "panamia.migrations.edit",
)
def test_the_models_are_what_the_migrations_make(prepare: Prepare, app: str) -> None:
    prepared = prepare(app)
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)

    check = alembic("-n", app, "check", url=prepared.owner_url)

    assert check.stdout.strip() == "No new upgrade operations detected.", check.stderr


def test_looking_waits_for_no_lock_and_writes_nothing(maps: Prepared) -> None:
    done = alembic("-n", "maps", "current", url=maps.app_url)

    assert (done.returncode, done.stdout) == (0, "")
    assert maps.rows("SELECT FROM pg_class WHERE relnamespace = 'maps'::regnamespace") == []


def test_stamping_records_what_it_declares(maps: Prepared) -> None:
    alembic("-n", "maps", "stamp", "head", url=maps.owner_url)
    assert migrations.current("maps", maps.owner_url) == "0003_readers_see_no_tokens"
    assert migrations.plan("maps", maps.owner_url) == ()

    alembic("-n", "maps", "stamp", "base", url=maps.owner_url)
    assert len(migrations.plan("maps", maps.owner_url)) == 3


@pytest.mark.parametrize("app", apps.names())
def test_sql_can_be_printed_without_a_database(prepare: Prepare, app: str) -> None:
    """What is printed for an empty database can be run on one."""
    prepared = prepare(app)

    printed = alembic("-n", app, "upgrade", "head", "--sql")

    assert printed.returncode == 0, printed.stderr
    with psycopg.connect(prepared.owner_url, autocommit=True) as owner:
        owner.execute(f"SET search_path = {app}, extensions".encode())
        owner.execute(printed.stdout.encode())
    assert migrations.current(app, prepared.owner_url) == migrations.revisions(app)[-1].revision


@pytest.mark.parametrize(
    ("arguments", "url", "line"),
    [
        (("current",), None, f'FAILED: no app "alembic": name one with -n, of {", ".join(apps.names())}'),
        (
            ("-n", "maps", "current"),
            None,
            'FAILED: POSTGRES_DIRECT_URL is not set: eval "$(pgstack env maps)" sets it',
        ),
        (
            ("-n", "maps", "upgrade", "head"),
            "mysql://me:secret@host/db",
            'FAILED: the database URL "mysql://me:***@host/db" has the scheme "mysql": use postgresql',
        ),
    ],
)
def test_what_cannot_work_is_one_line(arguments: tuple[str, ...], url: str | None, line: str) -> None:
    done = alembic(*arguments, url=url)

    assert done.returncode != 0
    assert [it for it in (done.stdout + done.stderr).splitlines() if it] == [line]


def test_a_failing_revision_is_one_line(maps: Prepared, home: Path) -> None:
    add_revision(home, 'op.execute("SELECT nothing\\n FROM nowhere")')

    done = alembic("-n", "maps", "upgrade", "head", url=maps.owner_url, home=home)

    assert done.returncode != 0
    assert done.stdout.strip() == (
        'FAILED: revision 0004_further (maps) failed: SQLSTATE 42P01, relation "nowhere" does not exist;'
        " statement: SELECT nothing; it changed nothing itself (done before it: 0001_initial_schema, 0002_better_auth,"
        " 0003_readers_see_no_tokens); mend it and run again"
    )
