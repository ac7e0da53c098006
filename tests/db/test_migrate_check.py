"""`pgstack migrate check APP --url URL`: a live database that is in no stack, against the repository."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from db import migrations
from db.errors import SnapshotError
from db.migrations import accepted
from ops import drift
from tests.db.conftest import Prepare, Prepared
from tests.db.conftest import home as home  # noqa: PLC0414  # a fixture, used by its name
from tests.db.test_transaction_pooler import pooler
from tests.deployment import CHECKOUT


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ops.main", "migrate", "check", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, text=True, capture_output=True, check=False)


@pytest.fixture
def maps(prepare: Prepare) -> Prepared:
    prepared = prepare("maps")
    migrations.upgrade("maps", prepared.owner_url, report=lambda _: None)
    return prepared


def alter(prepared: Prepared, statement: str) -> None:
    with closing(prepared.admin()) as connection:
        connection.execute(statement)


def test_a_database_that_is_what_the_repository_says_is_0(maps: Prepared) -> None:
    done = check("maps", "--url", maps.owner_url)

    assert (done.stdout, done.stderr, done.returncode) == ("maps: database and files agree\n", "", 0)


def test_drift_is_told_by_name_and_is_1(maps: Prepared) -> None:
    alter(maps, "DROP INDEX maps.ix_sessions_user_id; ALTER TABLE maps.users ALTER name DROP NOT NULL")

    done = check("maps", "--url", maps.owner_url)
    scripted = check("maps", "--url", maps.owner_url, "--json")

    assert (done.returncode, scripted.returncode) == (1, 1)
    assert done.stdout.splitlines() == [
        "maps: column users.name differs in its nullability: the repository says NOT NULL, the database has NULL. Way"
        " out: `ALTER TABLE maps.users ALTER COLUMN name SET NOT NULL` (others wait while it reads every row; beside"
        " them: docs/migrations.md#make-a-column-not-null), or keep the change as a new revision",
        "maps: index sessions.ix_sessions_user_id is missing: the repository has it, the database does not. Way out:"
        " `CREATE INDEX CONCURRENTLY ix_sessions_user_id ON maps.sessions USING btree (user_id)`, or keep the change as"
        " a new revision",
    ]
    told = json.loads(scripted.stdout)["maps"]
    assert not told["agrees"]
    assert [(it["kind"], it["name"], it["detail"]) for it in told["drift"]] == [
        ("column", "users.name", "nullable"),
        ("index", "sessions.ix_sessions_user_id", ""),
    ]
    assert [it["text"] for it in told["drift"]] == done.stdout.splitlines()


def test_a_database_at_an_older_revision_is_not_judged_by_the_newest_ones_snapshot(maps: Prepared) -> None:
    migrations.downgrade("maps", maps.owner_url, target="-1", report=lambda _: None)

    done = check("maps", "--url", maps.owner_url)

    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"maps: {migrations.revisions('maps')[-1].revision} is pending",
        "maps: drift can't be judged until `pgstack migrate up`: the repository describes the newest revision's schema",
    ]


@pytest.mark.parametrize("prepared_for", ["maps", "dovvybuddy"])
def test_a_database_without_tables_or_without_the_schema_has_everything_pending(
    prepare: Prepare, prepared_for: str
) -> None:
    done = check("maps", "--url", prepare(prepared_for).owner_url)

    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == ["maps: 0001_initial_schema is pending", "maps: 0002_better_auth is pending"]
    assert "drift can't be judged until" in done.stdout


def test_any_login_may_look_also_through_a_transaction_pooler(maps: Prepared, tmp_path: Path) -> None:
    with pooler(maps, tmp_path, size=2, login=maps.access.application) as url:
        for looking in (maps.readonly_url, url):
            assert check("maps", "--url", looking).stdout == "maps: database and files agree\n"


def test_drift_that_the_repository_gives_a_reason_for_is_told_and_fails_nothing(
    maps: Prepared, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    alter(maps, "CREATE SCHEMA monitoring; ALTER TABLE maps.users ALTER name DROP NOT NULL")
    file = home / "alembic/versions/maps/accepted.toml"
    file.write_text('"stray schema monitoring" = "the dashboards read from it"\n')
    monkeypatch.setattr(accepted, "reasons", functools.partial(accepted.reasons, home=home))

    found = drift.check("maps", maps.owner_url)

    assert not found.agrees
    assert [it.name for it in found.drift] == ["users.name"]
    assert found.lines()[0].startswith("maps: stray schema monitoring ")
    assert found.lines()[0].endswith(", accepted: the dashboards read from it")
    assert found.described()["accepted"][0]["reason"] == "the dashboards read from it"
    alter(maps, "ALTER TABLE maps.users ALTER name SET NOT NULL")
    assert drift.check("maps", maps.owner_url).agrees

    for text in ('"stray schema monitoring" = ""\n', "[schema]\n", "[schema\n"):
        file.write_text(text)
        with pytest.raises(SnapshotError, match=r"^alembic/versions/maps/accepted\.toml: .+$"):
            drift.check("maps", maps.owner_url)


def test_a_history_that_may_not_be_read_does_not_hide_why(maps: Prepared) -> None:
    alter(maps, "REVOKE SELECT ON maps.alembic_version, maps.migration_history FROM maps_readonly")
    done = check("maps", "--url", maps.readonly_url)

    newest = migrations.revisions("maps")[-1].revision
    assert (done.returncode, done.stderr) == (1, "")
    unread, *drift = done.stdout.splitlines()
    assert "maps_readonly_1 may not look into schema maps" in unread
    assert unread.endswith(f"grant that; it is compared as if it were at {newest}")
    assert [line.partition(" differ for ")[0] for line in drift] == [
        "maps: grants table alembic_version",
        "maps: grants table migration_history",
    ]

    alter(maps, "ALTER SCHEMA maps OWNER TO postgres")
    told = check("maps", "--url", maps.owner_url).stdout
    assert "maps: schema maps differs in its owner" in told


def test_a_history_that_disagrees_does_not_hide_drift(maps: Prepared) -> None:
    alter(maps, "DELETE FROM maps.migration_history WHERE revision = '0001_initial_schema'; DROP TABLE maps.sessions")

    told = check("maps", "--url", maps.owner_url).stdout

    assert "0001_initial_schema is applied but not recorded" in told
    assert "maps: table sessions is missing" in told


@pytest.mark.parametrize(
    ("statement", "login", "says"),
    [
        ("ALTER SCHEMA maps OWNER TO postgres", "owner_url", "maps: schema"),
        (
            "REVOKE ALL ON maps.alembic_version FROM maps_readonly, PUBLIC",
            "readonly_url",
            "maps: grants table alembic_version differ for readonly: in the database it lacks SELECT",
        ),
    ],
)
def test_a_history_that_was_closed_to_the_login_is_told_and_named_as_drift(
    maps: Prepared, statement: str, login: str, says: str
) -> None:
    alter(maps, statement)

    done = check("maps", "--url", getattr(maps, login))

    assert (done.returncode, done.stderr) == (1, "")
    first, *drift = done.stdout.splitlines()
    assert re.fullmatch(
        r"maps: maps_\w+_1 may not look into schema maps of database .*: give the URL of its owner.*; it is compared as"
        r" if it were at 0003_\w+",
        first,
    )
    assert [line for line in drift if line.startswith(says)], drift


def test_the_same_is_said_of_a_newer_and_a_foreign_database_as_by_plan(maps: Prepared) -> None:
    alter(maps, "UPDATE maps.alembic_version SET version_num = '0099_new'")
    assert check("maps", "--url", maps.owner_url).stdout.splitlines() == [
        "maps: it has 0099_new as well: this checkout is older (git pull)",
        "maps: drift can't be judged against files that did not make it",
    ]
    alter(maps, "ALTER TABLE maps.alembic_version RENAME version_num TO v")
    assert check("maps", "--url", maps.owner_url).stdout.splitlines() == [
        "maps: table maps.alembic_version has no column version_num: another tool made it",
        "maps: drift can't be judged against files that did not make it",
    ]


def test_a_refusal_of_the_server_that_no_verb_foresaw_is_one_line(maps: Prepared) -> None:
    alter(maps, "ALTER ROLE maps_owner_1 SET statement_timeout = '1ms'")

    done = check("maps", "--url", maps.owner_url)

    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == "pgstack: the database refused: canceling statement due to statement timeout (SQLSTATE 57014)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--url", "postgresql://me:secret@127.0.0.1:1/maps"], "name the app whose database it is"),
        (["maps", "--url", "mysql://me:secret@127.0.0.1/maps"], 'has the scheme "mysql"'),
        (["maps", "--ca", "ca.crt"], "--ca is for --url"),
        (["mops", "--url", "postgresql://me:secret@127.0.0.1:1/maps"], 'unknown app "mops"'),
    ],
)
def test_what_cannot_be_looked_at_is_one_line_without_the_password(arguments: list[str], said: str) -> None:
    done = check(*arguments)

    assert done.returncode != 0
    assert said in done.stderr
    assert "secret" not in done.stdout + done.stderr


def test_a_wrong_password_is_told_and_not_shown(maps: Prepared) -> None:
    done = check("maps", "--url", maps.owner_url.replace("owner%20of%20a%20test", "mistyped"))

    assert done.returncode == 1
    assert 'the password of "maps_owner_1" is wrong' in done.stderr
    assert "mistyped" not in done.stdout + done.stderr
