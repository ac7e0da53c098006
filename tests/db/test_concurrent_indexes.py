"""CREATE INDEX CONCURRENTLY, run again after whatever came between."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from db import migrations
from db.errors import MigrationError
from db.migrations import waits
from tests.db.conftest import Prepared, add_revision, silent
from tests.db.test_migration_conditions import LAST, await_rows


def run(prepared: Prepared, statement: str) -> None:
    with closing(prepared.admin()) as admin:
        admin.execute(statement.encode())


INDEX = (
    "with op.get_context().autocommit_block():\n"
    '        op.execute("CREATE %sINDEX CONCURRENTLY IF NOT EXISTS ix_users_name ON maps.users (name)")'
)
STATE = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('maps.ix_users_name')"


def test_one_that_gave_up_is_dropped_and_built_by_the_next_run(
    migrated: Prepared, home: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    add_revision(home, INDEX % "")

    with psycopg.connect(migrated.app_url) as writer, monkeypatch.context() as impatient:
        impatient.setattr(waits, "_PATIENCE", "100ms")
        writer.execute("INSERT INTO users (id, email) VALUES ('a', 'a@example.com')")
        with pytest.raises(MigrationError, match=r"SQLSTATE 55P03, .*; it leaves its transaction"):
            migrations.upgrade("maps", migrated.owner_url, home=home, report=lines.append)
    assert migrated.rows(STATE) == [(False,)]
    assert lines == []

    assert migrations.upgrade("maps", migrated.owner_url, home=home, report=lines.append) == ("0004_further",)
    assert migrated.rows(STATE) == [(True,)]
    assert lines[0] == "maps: dropping maps.ix_users_name, which an index build that did not end left invalid"


def test_one_that_rows_forbid_is_built_once_they_are_mended(migrated: Prepared, home: Path) -> None:
    add_revision(home, INDEX % "UNIQUE ")
    with psycopg.connect(migrated.app_url, autocommit=True) as writer:
        writer.execute("INSERT INTO users (id, email, name) VALUES ('a', 'a@example.com', 'A'), ('b', 'b', 'A')")
        with pytest.raises(MigrationError, match=r"SQLSTATE 23505"):
            migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)
        assert migrated.rows(STATE) == [(False,)]
        writer.execute("DELETE FROM users WHERE id = 'b'")

    migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)

    assert migrated.rows(STATE) == [(True,)]


@pytest.mark.parametrize(
    ("written", "there", "says"),
    [
        (
            "(name)",
            "CREATE INDEX ix_new ON maps.users (email)",
            "as `USING btree (email)`, and not as `USING btree (name)`",
        ),
        ("(name)", "CREATE UNIQUE INDEX ix_new ON maps.users (name)", "as `UNIQUE USING btree (name)`, and not as"),
        ("(name DESC)", "CREATE INDEX ix_new ON maps.users (name)", "and not as `USING btree (name DESC)`"),
        (
            "(name) WHERE name <> ' USING '",
            "CREATE INDEX ix_new ON maps.users (name)",
            "WHERE (name <> ' USING '::text)`",
        ),
        (
            "(name)",
            "CREATE INDEX ix_new ON maps.sessions (token)",
            "taken by something that is no index of maps.users",
        ),
        ("(name)", "CREATE VIEW maps.ix_new AS SELECT 1", "taken by something that is no index of maps.users"),
    ],
)
def test_a_name_that_another_index_has_is_refused_and_not_taken_for_ours(
    migrated: Prepared, home: Path, written: str, there: str, says: str
) -> None:
    run(migrated, there)
    statement = f"CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_new ON maps.users {written}"
    add_revision(home, f'with op.get_context().autocommit_block():\n        op.execute("{statement}")')

    with pytest.raises(MigrationError) as refused:
        migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert migrations.current("maps", migrated.owner_url) == LAST


@pytest.mark.parametrize(
    "definition",
    [
        "(lower(name) text_pattern_ops, email DESC NULLS LAST) INCLUDE (id) WITH (fillfactor=70)"
        " WHERE users.name <> ''",
        "USING gin (to_tsvector('simple', coalesce(name, '')))",
        '("email" COLLATE "C")',
    ],
)
def test_one_that_was_finished_but_not_recorded_is_passed_over(migrated: Prepared, home: Path, definition: str) -> None:
    run(migrated, f"CREATE INDEX ix_new ON maps.users {definition}")
    statement = f"create index concurrently if not exists\n ix_new -- again\n ON users {definition}"
    add_revision(home, f"with op.get_context().autocommit_block():\n        op.execute({statement!r})")

    assert migrations.upgrade("maps", migrated.owner_url, home=home, report=silent) == ("0004_further",)


def test_it_waits_for_writers_longer_than_a_table_lock_would(migrated: Prepared, home: Path) -> None:
    add_revision(home, INDEX % "")

    with psycopg.connect(migrated.app_url) as writer, ThreadPoolExecutor() as pool:
        writer.execute("INSERT INTO users (id, email) VALUES ('a', 'a@example.com')")
        upgrading = pool.submit(migrations.upgrade, "maps", migrated.owner_url, home=home, report=silent)
        await_rows(
            migrated,
            "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND query LIKE 'CREATE INDEX CONC%%'"
            " AND wait_event = 'virtualxid' AND now() - query_start > '0.5 s'",
        )
        writer.rollback()
        assert upgrading.result(30) == ("0004_further",)
    assert migrated.rows(STATE) == [(True,)]
