"""What a database is to this checkout, as `pgstack migrate plan` tells it."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from db import migrations
from db.errors import TargetError
from db.migrations.foresight import foresee
from db.migrations.standing import Kind, standing
from tests.db.conftest import Prepared, add_revision, silent

CHECKOUT = Path(__file__).parents[2]
FIRST, SECOND, THIRD = "0001_initial_schema", "0002_better_auth", "0003_readers_see_no_tokens"
WORKS = 'op.execute("CREATE TABLE maps.half_done ()")'


def plan(*arguments: str, home: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "ops.main", "migrate", "plan", *arguments],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(home)},
        text=True,
        capture_output=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


class TestWhatADatabaseIs:
    def test_an_empty_one_gets_everything(self, maps: Prepared) -> None:
        found = standing("maps", maps.owner_url)

        assert (found.kind, found.revision) == ("empty", None)
        assert [it.revision for it in found.pending] == [FIRST, SECOND, THIRD]
        steps = foresee(found)
        assert all(not step.locks for it in steps.values() for step in it), "nobody waits for tables that are new"

    def test_an_older_one_gets_the_rest_and_waits_are_foretold(self, maps: Prepared) -> None:
        migrations.upgrade("maps", maps.owner_url, target=FIRST, report=silent)

        done = plan("maps", "--url", maps.owner_url)

        assert done.returncode == 0
        lines = done.stdout.splitlines()
        assert lines[0] == "maps: older (2 pending)"
        assert lines[1].startswith(f"  {SECOND}  sign-up, sign-in and linked accounts")
        index = lines.index("    CREATE INDEX ix_sessions_user_id ON maps.sessions (user_id)")
        assert lines[index + 1] == "      -- SHARE on maps.sessions: others can only read it, while it reads every row"
        assert "CREATE INDEX ix_accounts_user_id" not in done.stdout
        whole = plan("maps", "--sql", "--url", maps.owner_url).stdout
        assert "CREATE INDEX ix_accounts_user_id ON maps.accounts (user_id);" in whole

    def test_a_current_one_gets_nothing(self, migrated: Prepared) -> None:
        done = plan("maps", "--url", migrated.owner_url)

        assert (done.returncode, done.stdout) == (0, "maps: current (nothing pending)\n")

    def test_a_draft_is_told_from_a_finished_one(self, migrated: Prepared, home: Path) -> None:
        for source in ("db", "ops"):
            shutil.copytree(CHECKOUT / source, home / source)
        for summed, notes in (
            (True, "(reversible)"),
            (False, "(reversible; a draft, for dev and preview only: it has no"),
        ):
            (home / "alembic/versions/maps/checksums.txt").write_bytes(
                (CHECKOUT / "alembic/versions/maps/checksums.txt").read_bytes()
            )
            add_revision(home, WORKS, summed=summed)
            assert f"  0004_further  a test  {notes}" in plan("maps", "--url", migrated.owner_url, home=home).stdout

    def test_a_newer_one_says_what_this_checkout_lacks(self, migrated: Prepared, home: Path) -> None:
        add_revision(home, WORKS)
        migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)

        done = plan("maps", "--url", migrated.owner_url)

        assert done.returncode == 1
        assert done.stdout == "maps: newer (it has 0004_further as well: this checkout is older (git pull))\n"

    def test_one_of_another_branch_names_what_each_has(self, migrated: Prepared, home: Path) -> None:
        path = add_revision(home, WORKS)
        migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)
        path.unlink()
        add_revision(home, WORKS, name="0003_other")

        found = standing("maps", migrated.owner_url, home=home)

        assert (found.kind, found.pending) == ("diverged", ())
        assert found.says == (
            "it has 0004_further but not 0003_other: it was migrated from another branch: check that out (a dev stack"
            " can also be made anew: pgstack reset)"
        )

    def test_an_edited_file_is_named(self, migrated: Prepared, home: Path) -> None:
        path = home / f"alembic/versions/maps/{FIRST}.py"
        path.write_text(path.read_text() + "# an afterthought\n")

        found = standing("maps", migrated.owner_url, home=home)

        assert found.kind == "edited"
        assert found.says.startswith(f"{FIRST} was edited after it was applied (")

    @pytest.mark.parametrize(
        ("made", "kind", "says"),
        [
            (
                "CREATE TABLE maps.users (); CREATE TABLE maps.wp_posts ()",
                "foreign",
                "schema maps has table users, wp_posts but no record of migrations: another tool made them",
            ),
            (
                "CREATE TABLE maps.alembic_version AS SELECT 'ae10' AS version_num;"
                " GRANT SELECT ON maps.alembic_version TO maps_owner",
                "foreign",
                "it was migrated by other files than these: ae10",
            ),
            (
                "CREATE TABLE maps.alembic_version (v int)",
                "foreign",
                "table maps.alembic_version has no column version_num: another tool made it",
            ),
            ("CREATE TABLE public.unrelated ()", "empty", "nothing was migrated yet, 3 pending"),
            (
                "DROP SCHEMA maps; CREATE SCHEMA auth; CREATE TABLE auth.users ()",
                "empty",
                "nothing was migrated yet, 3 pending",
            ),
        ],
    )
    def test_one_that_is_not_ours_is_left_alone(self, maps: Prepared, made: str, kind: Kind, says: str) -> None:
        with closing(maps.admin()) as admin:
            admin.execute(made.encode())

        found = standing("maps", maps.owner_url)

        assert (found.kind, found.says) == (kind, says)

    @pytest.mark.parametrize(
        "made", ["DROP SCHEMA maps; CREATE TABLE public.users ()", "CREATE TABLE public.alembic_version ()"]
    )
    def test_tables_of_others_are_named_and_end_with_1(self, maps: Prepared, made: str) -> None:
        with closing(maps.admin()) as admin:
            admin.execute(made.encode())

        done = plan("maps", "--url", maps.owner_url)

        assert done.returncode == 1
        assert done.stdout.startswith("maps: foreign (database ")
        with pytest.raises(TargetError) as refused:
            migrations.upgrade("maps", maps.owner_url, report=silent)
        assert f"maps: foreign ({str(refused.value).removesuffix('. Nothing was changed')})\n" == done.stdout

    def test_one_that_the_login_may_not_look_into_is_one_line(self, maps: Prepared) -> None:
        with closing(maps.admin()) as admin:
            admin.execute("CREATE TABLE maps.alembic_version (version_num text)")

        with pytest.raises(
            TargetError, match=r"^maps_owner_1 may not look into schema maps of database .*: give the URL"
        ):
            standing("maps", maps.owner_url)

    def test_scripts_get_the_same_as_json(self, maps: Prepared) -> None:
        migrations.upgrade("maps", maps.owner_url, target=FIRST, report=silent)

        told = json.loads(plan("maps", "--json", "--url", maps.owner_url).stdout)["maps"]

        assert (told["is"], told["revision"], [it["revision"] for it in told["pending"]]) == (
            "older",
            FIRST,
            [SECOND, THIRD],
        )
        locks = [lock for it in told["pending"][0]["statements"] for lock in it["locks"]]
        assert {"table": "maps.sessions", "level": "SHARE", "work": "reads every row"} in locks

    def test_a_file_that_asks_the_database_is_still_listed(self, migrated: Prepared, home: Path) -> None:
        add_revision(home, 'op.get_bind().exec_driver_sql("SELECT 1").scalar_one()')

        found = standing("maps", migrated.owner_url, home=home)

        assert [it.revision for it in found.pending] == ["0004_further"]


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--url", "postgresql://me@127.0.0.1/maps"), 2, "--url is one database: name the application it is for"),
        (("maps", "--ca", "ca.crt"), 2, "--ca is for --url: a stack knows its own"),
        (("mops", "--url", "postgresql://me@127.0.0.1/maps"), 2, 'pgstack: unknown app "mops": the apps are '),
        (("maps", "--url", "mysql://me:secret@host/db"), 1, 'pgstack: the database URL "mysql://me:***@host/db" has'),
        (("maps", "--url", "postgresql://me:secret@127.0.0.1:1/db"), 1, "pgstack: "),
    ],
)
def test_what_cannot_be_is_one_line(arguments: tuple[str, ...], code: int, line: str) -> None:
    done = plan(*arguments)

    assert done.returncode == code
    assert line in " ".join(done.stderr.replace("│", " ").split())
    assert "secret" not in done.stderr
