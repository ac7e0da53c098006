"""A file that differs from what was applied is accepted by name, with a reason that stays."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from db import migrations
from db.errors import HistoryError, RevisionError
from db.migrations.repair import repair
from tests.db.conftest import Prepared, add_revision, add_sum, silent

CHECKOUT = Path(__file__).parents[2]
FIRST, FURTHER = "0001_initial_schema", "0004_further"
WORKS = 'op.execute("CREATE TABLE maps.half_done ()")'


def test_a_repair_says_who_when_and_why_and_migrations_go_on(migrated: Prepared, home: Path, lines: list[str]) -> None:
    path = add_revision(home, WORKS)
    migrations.upgrade("maps", migrated.owner_url, home=home, report=silent)
    draft = migrations.revisions("maps", home=home)[-1].checksum
    path.write_text(path.read_text() + "# said better\n")
    add_sum(path)
    with pytest.raises(HistoryError, match=f"{FURTHER} was edited after it was applied"):
        migrations.plan("maps", migrated.owner_url, home=home)

    reason = "a comment was added in review"
    repair("maps", migrated.owner_url, FURTHER, reason=reason, home=home, report=lines.append)

    assert lines == [f"maps: {FURTHER} is accepted as the file has it now: {reason}"]
    assert migrations.upgrade("maps", migrated.owner_url, home=home, report=silent) == ()
    assert migrated.rows(
        "SELECT checksum, applied_by, reverted_by, now() - reverted_at < '1 min' FROM maps.migration_history"
        " WHERE revision = %s ORDER BY id",
        FURTHER,
    ) == [
        (draft, "maps_owner_1", f"maps_owner_1 (repair: {reason})", True),
        (migrations.revisions("maps", home=home)[-1].checksum, "maps_owner_1", None, None),
    ]
    assert migrations.downgrade("maps", migrated.owner_url, target="-1", home=home, report=silent) == (FURTHER,)


@pytest.mark.parametrize(
    ("revision", "reason", "says"),
    [
        (FIRST, " ", "a repair needs a reason"),
        ("0009_gone", "why", f'maps has no revision "0009_gone": there are {FIRST}, '),
        (FIRST, "why", rf"{FIRST} \(maps\) is applied as the file has it: there is nothing to repair"),
        (FURTHER, "why", rf"{FURTHER} \(maps\) is not applied there: there is nothing to repair"),
    ],
)
def test_a_repair_of_nothing_is_refused_and_changes_nothing(
    migrated: Prepared, home: Path, revision: str, reason: str, says: str
) -> None:
    add_revision(home, WORKS)
    before = migrated.rows("SELECT * FROM maps.migration_history ORDER BY id")

    with pytest.raises(RevisionError, match=says):
        repair("maps", migrated.owner_url, revision, reason=reason, home=home, report=silent)
    assert migrated.rows("SELECT * FROM maps.migration_history ORDER BY id") == before


def test_a_committed_file_that_was_edited_is_brought_back_and_not_repaired(migrated: Prepared, home: Path) -> None:
    path = home / f"alembic/versions/maps/{FIRST}.py"
    path.write_text(path.read_text() + "# an afterthought\n")

    with pytest.raises(RevisionError, match=rf"maps/{FIRST}\.py: edited: it is not what checksums\.txt says"):
        repair("maps", migrated.owner_url, FIRST, reason="why not", home=home, report=silent)


def test_it_is_one_command(migrated: Prepared) -> None:
    with closing(migrated.admin()) as admin:
        admin.execute("UPDATE maps.migration_history SET checksum = 'a draft''s' WHERE revision = %s", (FIRST,))
    command = ["migrate", "repair", "maps", FIRST, "--reason", "draft", "--url", migrated.owner_url]

    done = subprocess.run(
        [sys.executable, "-m", "ops.main", *command],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        text=True,
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, f"maps: {FIRST} is accepted as the file has it now: draft\n")
    assert migrations.plan("maps", migrated.owner_url) == ()
