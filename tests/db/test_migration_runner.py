"""The migration runner on a real server: failures, concurrency, tampering, and the way back."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from db import apps, migrations
from db.errors import MigrationError, RevisionError
from db.migrations.revisions import UNFILLED
from db.migrations.runner import new
from tests.db.conftest import Prepare, Prepared, add_revision, silent

ALL = tuple(it.revision for it in migrations.revisions("maps"))
FIRST, SECOND, LAST = ALL
BREAKS = '''op.execute("CREATE TABLE maps.half_done ()")
    op.execute("""
        INSERT INTO maps.users (id, email, name)
        VALUES ('a', 'same@example.com', 'A'), ('b', 'same@example.com', 'B')
    """)'''
WORKS = 'op.execute("CREATE TABLE maps.half_done ()")'


def snapshot(prepared: Prepared) -> list[Any]:
    """What stands in the app's schema, and which revision it is at."""
    return [
        prepared.rows("SELECT relname, relkind FROM pg_class WHERE relnamespace = 'maps'::regnamespace ORDER BY 1, 2"),
        prepared.rows(
            "SELECT attrelid::regclass::text, attname, atttypid, attnotnull"
            " FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid"
            " WHERE relnamespace = 'maps'::regnamespace AND NOT attisdropped ORDER BY 1, 2"
        ),
        prepared.rows("SELECT version_num FROM maps.alembic_version"),
        prepared.rows("SELECT revision, checksum, reverted_at FROM maps.migration_history ORDER BY id"),
        prepared.rows("SELECT id, email FROM maps.users ORDER BY 1"),
    ]


def test_upgrading_reports_each_revision_and_a_second_time_does_nothing(maps: Prepared, lines: list[str]) -> None:
    assert [it.revision for it in migrations.plan("maps", maps.owner_url)] == [*ALL]
    assert migrations.current("maps", maps.owner_url) is None

    assert migrations.upgrade("maps", maps.owner_url, report=lines.append) == ALL

    assert [line.split(" (")[0] for line in lines] == [f"maps: applied {name}" for name in ALL]
    assert migrations.current("maps", maps.owner_url) == LAST
    assert migrations.plan("maps", maps.owner_url) == ()
    assert migrations.upgrade("maps", maps.owner_url, report=lines.append) == ()
    assert len(lines) == len(ALL)


def test_the_history_says_what_when_by_whom_and_how_long(migrated: Prepared) -> None:
    files = migrations.revisions("maps")

    rows = migrated.rows(
        "SELECT revision, checksum, applied_by, duration > '0' AND duration < '1 min', now() - applied_at < '1 min'"
        " FROM maps.migration_history ORDER BY id"
    )

    assert rows == [(it.revision, it.checksum, "maps_owner_1", True, True) for it in files]


@pytest.mark.parametrize("app", apps.names())
@pytest.mark.requirement(
    "panamia.migrations.apply",
    "dovvybuddy.rollback.downgrade",
    "dovvybuddy.summary.reproducible",
    "dovvybuddy.migrations.versioned",
    "dovvybuddy.testing.migration",
    "dovvybuddy.verification.migrate",
    "maps.scope.rollback",
)
def test_down_to_base_leaves_nothing_and_up_again_brings_it_back(prepare: Prepare, app: str) -> None:
    prepared = prepare(app)
    names = tuple(it.revision for it in migrations.revisions(app))
    query = (
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind IN ('r', 'i', 'S')"
        " AND c.relname !~ '^(alembic_version|migration_history)' ORDER BY 1"
    )
    migrations.upgrade(app, prepared.owner_url, report=silent)
    before = prepared.rows(query, app)

    assert migrations.downgrade(app, prepared.owner_url, target="base", report=silent) == names[::-1]
    assert prepared.rows(query, app) == []
    assert migrations.current(app, prepared.owner_url) is None
    assert prepared.rows(f"SELECT count(*) FROM {app}.migration_history WHERE reverted_by = %s", f"{app}_owner_1") == [
        (len(names),)
    ]
    assert prepared.rows("SELECT count(*) FROM pg_extension WHERE extname IN ('vector', 'uuid-ossp')") == [(2,)]

    assert migrations.upgrade(app, prepared.owner_url, report=silent) == names
    assert prepared.rows(query, app) == before


def test_a_target_is_reached_from_below_and_from_above(maps: Prepared) -> None:
    assert migrations.upgrade("maps", maps.owner_url, target=FIRST, report=silent) == (FIRST,)
    assert [it.revision for it in migrations.plan("maps", maps.owner_url)] == [*ALL[1:]]
    migrations.upgrade("maps", maps.owner_url, report=silent)
    assert migrations.downgrade("maps", maps.owner_url, target=FIRST, report=silent) == (*reversed(ALL[1:]),)
    assert migrations.current("maps", maps.owner_url) == FIRST


class TestAFailingRevision:
    def test_it_is_named_with_sqlstate_and_statement_and_leaves_the_database_as_it_was(
        self, migrated: Prepared, home: Path
    ) -> None:
        add_revision(home, BREAKS)
        before = snapshot(migrated)

        with pytest.raises(MigrationError) as failure:
            migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)

        error = failure.value
        assert (error.app, error.revision, error.sqlstate) == ("maps", "0004_further", "23505")
        assert error.statement == "INSERT INTO maps.users (id, email, name)"
        assert str(error) == (
            "revision 0004_further (maps) failed: SQLSTATE 23505,"
            ' duplicate key value violates unique constraint "uq_users_email"'
            " (Key (email)=(same@example.com) already exists.); statement: INSERT INTO maps.users (id, email, name);"
            " nothing was changed; mend it and run again"
        )
        assert snapshot(migrated) == before

    @pytest.mark.parametrize("rule", ["NOT NULL", "CHECK (id IS NOT NULL)"])
    def test_no_row_is_shown(self, migrated: Prepared, home: Path, rule: str) -> None:
        add_revision(
            home,
            f"""op.execute("CREATE TABLE maps.half_done (id text {rule}, password text)")
    op.execute("INSERT INTO maps.half_done VALUES (NULL, 'hunter2')")""",
        )

        with pytest.raises(MigrationError, match="violates") as failure:
            migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)

        assert "hunter2" not in str(failure.value).partition("; statement: ")[0]

    def test_it_runs_once_it_is_mended(self, migrated: Prepared, home: Path) -> None:
        add_revision(home, BREAKS)
        with pytest.raises(MigrationError):
            migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)
        add_revision(home, WORKS)

        assert migrations.upgrade("maps", migrated.owner_url, home=home, report=silent) == ("0004_further",)

    def test_revisions_before_it_stand_and_are_named(self, maps: Prepared, home: Path) -> None:
        add_revision(home, BREAKS)

        with pytest.raises(MigrationError, match=rf"it changed nothing itself \(done before it: {', '.join(ALL)}\)"):
            migrations.upgrade("maps", maps.owner_url, home=home, report=silent)

        assert migrations.current("maps", maps.owner_url) == LAST

    def test_an_error_that_is_not_the_servers_is_one_line_too(self, migrated: Prepared, home: Path) -> None:
        add_revision(home, 'raise RuntimeError("a line\\nand another")')

        with pytest.raises(MigrationError) as failure:
            migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)

        assert str(failure.value) == (
            "revision 0004_further (maps) failed: RuntimeError: a line and another; nothing was changed;"
            " mend it and run again"
        )

    def test_one_that_left_its_transaction_does_not_claim_that_nothing_was_changed(
        self, migrated: Prepared, home: Path
    ) -> None:
        body = (
            "with op.get_context().autocommit_block():\n"
            '        op.execute("CREATE INDEX CONCURRENTLY x ON maps.nowhere (a)")'
        )
        add_revision(home, body)

        with pytest.raises(MigrationError, match=r"SQLSTATE 42P01, .*; it leaves its transaction") as failure:
            migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)

        assert "nothing was changed" not in str(failure.value)

    def test_a_failing_downgrade_is_named_and_leaves_the_database_as_it_was(
        self, migrated: Prepared, home: Path
    ) -> None:
        add_revision(home, WORKS, undo='op.execute("DROP TABLE maps.half_done, maps.nowhere")')
        migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)
        before = snapshot(migrated)

        with pytest.raises(MigrationError, match="revision 0004_further") as failure:
            migrations.downgrade("maps", migrated.owner_url, target="-1", home=home, report=silent)

        assert failure.value.sqlstate == "42P01"
        assert snapshot(migrated) == before


def test_an_index_can_be_built_concurrently(migrated: Prepared, home: Path) -> None:
    body = (
        "with op.get_context().autocommit_block():\n"
        '        op.execute("CREATE INDEX CONCURRENTLY ix_users_name ON maps.users (name)")'
    )
    add_revision(home, body, undo='op.execute("DROP INDEX maps.ix_users_name")')

    assert migrations.upgrade("maps", migrated.owner_url, home=home, report=silent) == ("0004_further",)
    assert migrated.rows("SELECT FROM pg_index WHERE indexrelid = 'maps.ix_users_name'::regclass AND indisvalid")


def test_a_schema_is_made_where_the_login_may_as_in_a_database_of_ones_own(maps: Prepared) -> None:
    with closing(maps.admin()) as admin:
        admin.execute(f'DROP SCHEMA maps; GRANT CREATE ON DATABASE "{maps.access.database}" TO maps_owner')

    assert migrations.upgrade("maps", maps.owner_url, report=silent) == ALL


def test_a_new_revision_is_named_numbered_and_keeps_the_rules(migrated: Prepared, home: Path) -> None:
    path = new("maps", "Give users a theme", home=home)

    found = migrations.revisions("maps", home=home)[-1]
    assert (path.name, found.revision, found.down_revision) == (
        "0004_give_users_a_theme.py",
        "0004_give_users_a_theme",
        LAST,
    )
    assert "the previous release runs while and after this is applied" in path.read_text()
    with pytest.raises(RevisionError, match=r"0004_give_users_a_theme\.py \(maps\): Purpose is still the template's"):
        migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)
    path.write_text(path.read_text().replace(UNFILLED, "users choose how the site looks"))
    done = migrations.upgrade("maps", migrated.owner_url, home=home, report=silent, drafts=True)
    assert done == ("0004_give_users_a_theme",)


def test_a_file_that_cannot_be_loaded_is_named_with_its_line_and_nothing_is_changed(
    migrated: Prepared, home: Path
) -> None:
    path = new("maps", "Give users a theme", home=home)
    text = path.read_text().replace(UNFILLED, "users choose how the site looks")
    path.write_text(text.replace("import sqlalchemy as sa", "import a_module_nobody_has"))

    with pytest.raises(
        RevisionError, match=r"0004_give_users_a_theme \(maps\) can't be loaded: line \d+: ModuleNotFound"
    ):
        migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)
    assert migrations.current("maps", migrated.owner_url) == LAST


@pytest.mark.parametrize("message", ['say """quoted""" things', "a back\\slash", "two\nlines", "na\u00efve", "", "---"])
def test_a_message_that_could_not_head_a_file_writes_none(home: Path, message: str) -> None:
    before = sorted((home / "alembic/versions/maps").iterdir())
    with pytest.raises(RevisionError):
        new("maps", message, home=home)
    assert sorted((home / "alembic/versions/maps").iterdir()) == before


def test_a_message_too_long_for_the_name_of_a_file_is_one_line_and_the_longest_gives_one(home: Path) -> None:
    with pytest.raises(
        RevisionError, match=r'^"words words words wo\.\.\." has 300 characters, .* say it in 100 at most'
    ):
        new("maps", "words " * 50, home=home)

    assert new("maps", "a" * 100, home=home).read_text()


def test_a_new_revision_can_be_filled_in_from_the_models(maps: Prepared, home: Path) -> None:
    migrations.upgrade("maps", maps.owner_url, target=FIRST, report=silent)
    for name in ALL[1:]:
        (home / f"alembic/versions/maps/{name}.py").unlink()

    path = new("maps", "What is missing", url=maps.owner_url, home=home)

    text = path.read_text()
    assert "op.create_table('accounts'" in text
    assert "migration_history" not in text
