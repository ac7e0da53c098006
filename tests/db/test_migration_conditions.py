"""Under which conditions migrations run: one at a time, on files that were never edited, as the owner, directly."""

import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import alembic.config
import psycopg
import pytest
import tenacity

from db import apps, migrations
from db.errors import HistoryError, LoginError, MigrationError, RevisionError, TargetError, UnknownAppError
from db.migrations import lock, waits
from db.migrations.standing import standing
from tests.db.conftest import Prepare, Prepared, add_revision, silent

CHECKOUT = Path(__file__).parents[2]
ALL = tuple(it.revision for it in migrations.revisions("maps"))
FIRST, SECOND, LAST = ALL
WORKS = 'op.execute("CREATE TABLE maps.half_done ()")'
EVERYTHING = (
    "SELECT version_num, (SELECT count(*) FROM maps.migration_history),"
    " (SELECT array_agg(relname ORDER BY 1) FROM pg_class WHERE relnamespace = 'maps'::regnamespace)"
    " FROM maps.alembic_version"
)


class TestTwoAtOnce:
    def test_one_works_and_the_other_finds_nothing_to_do(self, maps: Prepared) -> None:
        program = (
            "import sys; from db import migrations\n"
            "print('done', *migrations.upgrade('maps', sys.argv[1], report=print))"
        )
        both = [
            subprocess.Popen([sys.executable, "-c", program, maps.owner_url], stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        outputs = sorted(process.communicate(timeout=60)[0].splitlines()[-1] for process in both)

        assert [process.returncode for process in both] == [0, 0]
        assert outputs == ["done", f"done {' '.join(ALL)}"]
        assert maps.rows("SELECT count(*) FROM maps.migration_history") == [(len(ALL),)]

    def test_the_waiter_names_who_holds_the_lock_and_goes_on_when_it_is_free(
        self, maps: Prepared, lines: list[str]
    ) -> None:
        with closing(psycopg.connect(maps.owner_url, autocommit=True, application_name="the other")) as other:
            said = threading.Event()

            def report(line: str) -> None:
                lines.append(line)
                said.set()

            with lock.held(other, "migrations of maps", silent), ThreadPoolExecutor() as pool:
                waiting = pool.submit(migrations.upgrade, "maps", maps.owner_url, report=report)
                assert said.wait(20)
                assert not waiting.done()
                pid = other.info.backend_pid
                other.execute("SELECT pg_advisory_unlock(%s)", (lock.key("migrations of maps"),))
                assert waiting.result(20) == ALL
                other.execute("SELECT pg_advisory_lock(%s)", (lock.key("migrations of maps"),))

        assert lines[0].startswith(f"waiting for migrations of maps, held by maps_owner_1 (pid {pid}, the other)")

    def test_a_killed_migration_strands_no_lock_and_the_next_run_completes(
        self, migrated: Prepared, home: Path
    ) -> None:
        add_revision(home, 'op.execute("CREATE TABLE maps.half_done (); SELECT pg_sleep(60)")')
        program = (
            "import sys, pathlib; from db import migrations\n"
            "migrations.upgrade('maps', sys.argv[1], home=pathlib.Path(sys.argv[2]))"
        )
        process = subprocess.Popen([sys.executable, "-c", program, migrated.owner_url, str(home)])
        await_rows(migrated, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = %s")
        process.send_signal(signal.SIGKILL)
        process.wait()
        # the server sees a dead client when it next writes to it: the sleep stands for any long statement
        with closing(migrated.admin()) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = %s",
                (migrated.access.database,),
            )
        add_revision(home, WORKS)

        assert migrations.upgrade("maps", migrated.owner_url, home=home, report=silent) == ("0004_further",)


@tenacity.retry(
    retry=tenacity.retry_if_result(lambda rows: not rows),
    stop=tenacity.stop_after_delay(20),
    wait=tenacity.wait_fixed(0.05),
)
def await_rows(prepared: Prepared, query: str) -> list[Any]:
    return prepared.rows(query, prepared.access.database)


def test_a_table_that_others_hold_is_tried_again_until_it_is_free(
    migrated: Prepared, home: Path, lines: list[str]
) -> None:
    add_revision(home, 'op.execute("ALTER TABLE maps.users ADD COLUMN theme text")')
    said = threading.Event()

    def report(line: str) -> None:
        lines.append(line)
        said.set()

    with closing(psycopg.connect(migrated.app_url)) as reader, ThreadPoolExecutor() as pool:
        reader.execute("SELECT FROM users")  # ACCESS SHARE until the transaction ends
        upgrading = pool.submit(migrations.upgrade, "maps", migrated.owner_url, home=home, report=report)
        assert said.wait(20)
        reader.rollback()
        assert upgrading.result(30) == ("0004_further",)

    assert lines[0] == "maps: a table is locked by others, trying again (1 so far)"


def test_a_table_that_stays_locked_ends_in_one_line(
    migrated: Prepared, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "ATTEMPTS", 2)
    add_revision(home, 'op.execute("ALTER TABLE maps.users ADD COLUMN theme text")')

    with closing(psycopg.connect(migrated.app_url)) as reader:
        reader.execute("SELECT FROM users")
        with pytest.raises(MigrationError, match="SQLSTATE 55P03, canceling statement due to lock timeout"):
            migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)


class TestAppliedRevisionsAreNeverEdited:
    def test_every_difference_is_reported_by_name_and_nothing_is_changed(self, maps: Prepared, home: Path) -> None:
        add_revision(home, WORKS)
        migrations.upgrade("maps", maps.owner_url, home=home, report=silent)
        before = maps.rows(EVERYTHING)
        for name in (FIRST, SECOND):
            path = home / f"alembic/versions/maps/{name}.py"
            path.write_text(path.read_text() + "\n# an afterthought\n")
        (home / "alembic/versions/maps/0004_further.py").unlink()
        add_revision(home, WORKS, name="0004_other")

        with pytest.raises(HistoryError) as failure:
            migrations.upgrade("maps", maps.owner_url, home=home, report=silent)

        message = str(failure.value)
        assert f"{FIRST} was edited after it was applied" in message
        assert f"{SECOND} was edited after it was applied" in message
        assert "it has 0004_further but not 0004_other: it was migrated from another branch" in message
        assert "\n" not in message
        assert maps.rows(EVERYTHING) == before

    def test_one_that_was_edited_before_it_is_applied_is_refused_too(self, maps: Prepared, home: Path) -> None:
        path = home / f"alembic/versions/maps/{SECOND}.py"
        path.write_text(path.read_text() + "\n# an afterthought\n")

        with pytest.raises(
            RevisionError, match=rf"nothing was changed: alembic/versions/maps/{SECOND}\.py: edited: it is"
        ):
            migrations.upgrade("maps", maps.owner_url, home=home, report=silent)
        assert migrations.current("maps", maps.owner_url) is None

    def test_a_file_with_crlf_is_refused_at_run_time_too(self, maps: Prepared, home: Path) -> None:
        path = add_revision(home, WORKS)
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

        with pytest.raises(RevisionError, match=r"^migrations of maps: 0004_further\.py: line 1 ends in CRLF or CR"):
            migrations.upgrade("maps", maps.owner_url, home=home, report=silent)
        assert migrations.current("maps", maps.owner_url) is None

    def test_one_without_a_sum_is_a_draft_and_refused_by_name_where_data_lasts(
        self, migrated: Prepared, home: Path, lines: list[str]
    ) -> None:
        add_revision(home, WORKS, summed=False)

        with pytest.raises(RevisionError) as refused:
            migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)
        assert str(refused.value) == (
            "nothing was changed: alembic/versions/maps/0004_further.py: additional: checksums.txt has no line for it:"
            " `pgstack migrate sum maps` adds it once the file is finished"
        )
        migrations.upgrade("maps", migrated.owner_url, home=home, report=lines.append, drafts=True)
        assert lines[0] == "maps: 0004_further.py is a draft: checksums.txt has no line for it"
        assert migrations.downgrade("maps", migrated.owner_url, target="-1", home=home, report=silent)

    def test_a_sum_file_that_is_gone_refuses_every_file(self, maps: Prepared, home: Path) -> None:
        (home / "alembic/versions/maps/checksums.txt").unlink()

        with pytest.raises(RevisionError) as refused:
            migrations.upgrade("maps", maps.owner_url, home=home, report=silent)
        assert all(f"{name}.py: additional" in str(refused.value) for name in ALL)
        assert migrations.current("maps", maps.owner_url) is None

    def test_a_version_that_was_set_by_hand_is_noticed(self, migrated: Prepared) -> None:
        with closing(migrated.admin()) as admin:
            admin.execute("UPDATE maps.alembic_version SET version_num = %s", (FIRST,))

        with pytest.raises(HistoryError, match=f"{SECOND} is recorded as applied but the database is at {FIRST}"):
            migrations.upgrade("maps", migrated.owner_url, report=silent)

    def test_a_record_that_was_lost_is_noticed(self, migrated: Prepared) -> None:
        with closing(migrated.admin()) as admin:
            admin.execute("DELETE FROM maps.migration_history WHERE revision = %s", (FIRST,))

        with pytest.raises(HistoryError, match=f"{FIRST} is applied but not recorded in migration_history"):
            migrations.plan("maps", migrated.owner_url)

    @pytest.mark.parametrize(
        "statement",
        [
            f"UPDATE maps.alembic_version SET version_num = '{FIRST}'",
            "DELETE FROM maps.alembic_version",
            f"INSERT INTO maps.alembic_version VALUES ('{FIRST}')",
            f"DELETE FROM maps.migration_history WHERE revision = '{LAST}'",
            "DELETE FROM maps.migration_history",
            "DROP TABLE maps.alembic_version",
            "DROP TABLE maps.migration_history",
        ],
    )
    def test_the_way_out_of_what_was_changed_by_hand_is_the_command_that_is_told(
        self, migrated: Prepared, monkeypatch: pytest.MonkeyPatch, statement: str
    ) -> None:
        with closing(migrated.admin()) as admin:
            admin.execute(statement.encode())
        found = standing("maps", migrated.owner_url)
        assert found.kind == "inconsistent"
        [command] = re.findall(r"`alembic ([^`]*)`", found.says)
        assert command == f"-n maps stamp --purge {LAST}"

        monkeypatch.setenv("POSTGRES_DIRECT_URL", migrated.owner_url)
        alembic.config.main(["-c", str(CHECKOUT / "alembic.ini"), *command.split()])

        assert standing("maps", migrated.owner_url).kind == "current"


class TestWhatIsRefusedBeforeAnythingIsTried:
    def test_an_unknown_revision(self, maps: Prepared) -> None:
        with pytest.raises(RevisionError, match=f'maps has no revision "0009": there are {", ".join(ALL)}, head and'):
            migrations.upgrade("maps", maps.owner_url, target="0009", report=silent)

    def test_an_unknown_app(self, maps: Prepared) -> None:
        with pytest.raises(UnknownAppError, match=f'unknown app "mops": the apps are {", ".join(apps.names())}'):
            migrations.upgrade("mops", maps.owner_url, report=silent)

    def test_more_steps_down_than_there_are(self, migrated: Prepared) -> None:
        with pytest.raises(RevisionError, match="maps: "):
            migrations.downgrade("maps", migrated.owner_url, target="-9", report=silent)

    @pytest.mark.parametrize("login", ["app_url", "readonly_url"])
    def test_a_login_that_does_not_own_the_schema(self, maps: Prepared, login: str) -> None:
        with pytest.raises(TargetError, match=r"may not create in schema maps of database .* need the owner's URL"):
            migrations.upgrade("maps", getattr(maps, login), report=silent)

    def test_the_database_of_another_app(self, prepare: Prepare) -> None:
        other = prepare("dovvybuddy")

        with pytest.raises(TargetError, match=r"has no schema maps and dovvybuddy_owner_1 may not create it"):
            migrations.upgrade("maps", other.owner_url, report=silent)
        migrations.upgrade("dovvybuddy", other.owner_url, report=silent)
        with pytest.raises(
            TargetError, match=r"has no schema maps but tables of others \(dovvybuddy\.alembic_version\)"
        ):
            migrations.upgrade("maps", other.owner_url, report=silent)

    def test_a_database_with_another_tools_version_table(self, maps: Prepared) -> None:
        with closing(maps.admin()) as admin:
            admin.execute("CREATE TABLE public.alembic_version (version_num varchar(32))")

        with pytest.raises(TargetError, match=r"has a table public\.alembic_version"):
            migrations.upgrade("maps", maps.owner_url, report=silent)

    def test_a_wrong_password(self, maps: Prepared) -> None:
        url = maps.owner_url.replace("owner%20of%20a%20test", "wrong")

        with pytest.raises(LoginError, match='the password of "maps_owner_1" is wrong') as failure:
            migrations.upgrade("maps", url, report=silent)

        assert "wrong@" not in str(failure.value)


def test_a_run_whose_lock_was_lost_does_not_begin_another_revision(maps: Prepared) -> None:
    def lose_the_lock(_: str) -> None:
        maps.rows(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'pgstack migrations lock' AND datname = current_database()"
        )

    with pytest.raises(MigrationError, match=f"revision {SECOND}") as failure:
        migrations.upgrade("maps", maps.owner_url, report=lose_the_lock)

    assert "\n" not in str(failure.value)
    assert migrations.current("maps", maps.owner_url) == FIRST
