"""Many rows are changed a batch a transaction: what is done stays done, and nobody waits for the whole."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from db import migrations
from db.errors import RevisionError
from db.migrations import batches
from tests.db.conftest import Prepare, Prepared, add_revision, silent
from tests.db.test_migration_conditions import await_rows

ROWS = 120_000
SIZE = 5_000
IMPORT = "from db.migrations.batches import in_batches\n    "
CHANGE = "UPDATE maps.numbers SET square = n * n, times = times + 1"
BATCHES = f'{IMPORT}in_batches("maps.numbers", "{CHANGE} WHERE {{batch}} AND square IS NULL")'
HOLD_THE_LAST = "BEGIN; SELECT FROM maps.numbers ORDER BY id DESC LIMIT 1 FOR UPDATE"
UNDO = 'op.execute("UPDATE maps.numbers SET square = NULL")'


@pytest.fixture
def numbers(prepare: Prepare) -> Prepared:
    """maps with a table of ROWS rows, whose keys come in no order."""
    maps = prepare("maps")
    migrations.upgrade("maps", maps.owner_url, report=silent)
    with psycopg.connect(maps.owner_url, autocommit=True) as owner:
        owner.execute(
            "CREATE TABLE maps.numbers (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n bigint NOT NULL,"
            " square bigint, times integer NOT NULL DEFAULT 0)"
        )
        owner.execute(f"INSERT INTO maps.numbers (n) SELECT generate_series(1, {ROWS})".encode())
    return maps


def test_a_run_that_was_killed_goes_on_where_it_was_and_changes_each_row_once(
    numbers: Prepared, home: Path, lines: list[str]
) -> None:
    add_revision(home, BATCHES, undo=UNDO)
    program = (
        "import sys, pathlib; from db import migrations\n"
        "migrations.upgrade('maps', sys.argv[1], home=pathlib.Path(sys.argv[2]))"
    )
    with closing(numbers.admin()) as writer:
        writer.execute(HOLD_THE_LAST)  # so that it can't come to its end
        process = subprocess.Popen([sys.executable, "-c", program, numbers.owner_url, str(home)])
        await_rows(numbers, "SELECT 1 FROM maps.numbers WHERE square IS NOT NULL AND %s <> '' LIMIT 1")
        process.send_signal(signal.SIGKILL)
        process.wait()
        [(done,)] = numbers.rows("SELECT count(*) FROM maps.numbers WHERE square IS NOT NULL")
        assert 0 < done < ROWS
        assert migrations.current("maps", numbers.owner_url) == "0003_readers_see_no_tokens"

    assert migrations.upgrade("maps", numbers.owner_url, home=home, report=lines.append) == ("0004_further",)

    assert numbers.rows("SELECT count(*) FROM maps.numbers WHERE square = n * n AND times = 1") == [(ROWS,)]
    changed = int(lines[-2].removeprefix("maps.numbers: ").partition(" of ")[0].replace(",", ""))
    assert 0 < changed <= ROWS - done
    [(batches,)] = numbers.rows("SELECT count(DISTINCT xmin::text) FROM maps.numbers")
    assert batches >= 5


@pytest.mark.parametrize(
    ("known", "first", "last"),
    [("ANALYZE maps.numbers", " of about 120,000 rows", " rows so far"), ("", " rows so far", " rows so far")],
)
def test_progress_says_how_many_rows_there_are_where_that_is_known(
    numbers: Prepared, home: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch, known: str, first: str, last: str
) -> None:
    monkeypatch.setattr(batches, "_SILENCE", 0)
    with closing(numbers.admin()) as admin:
        admin.execute("ALTER TABLE maps.numbers SET (autovacuum_enabled = false)")
        admin.execute(known or "SELECT")
    add_revision(home, BATCHES, undo=UNDO)

    migrations.upgrade("maps", numbers.owner_url, home=home, report=lines.append)

    told = [it for it in lines if " about " in it or "so far" in it]
    assert told[0].endswith(first)
    assert told[-1] == f"maps.numbers: 120,000{last}"


def test_rows_that_others_hold_are_tried_again_and_rows_that_they_add_are_found(numbers: Prepared, home: Path) -> None:
    add_revision(home, BATCHES, undo=UNDO)
    with closing(numbers.admin()) as writer, ThreadPoolExecutor() as pool:
        writer.execute(HOLD_THE_LAST)
        upgrading = pool.submit(migrations.upgrade, "maps", numbers.owner_url, home=home, report=silent)
        await_rows(
            numbers,
            "SELECT 1 FROM maps.numbers WHERE square IS NOT NULL AND %s <> ''"
            " HAVING count(*) > 1000 AND pg_sleep(0.5) IS NOT NULL",  # longer than lock_timeout
        )
        writer.execute("INSERT INTO maps.numbers (id, n) VALUES ('00000000-0000-4000-8000-000000000000', 7)")
        writer.execute("COMMIT")
        assert upgrading.result(60) == ("0004_further",)

    assert numbers.rows("SELECT count(*) FROM maps.numbers WHERE square = n * n AND times = 1") == [(ROWS + 1,)]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            'in_batches("maps.numbers", "UPDATE maps.numbers SET times = 1 WHERE {batch} AND n < 3")',
            "maps.numbers still has rows to change after 10 passes",
        ),
        (
            'in_batches("maps.numbers", "UPDATE maps.numbers SET times = times + 1 WHERE {batch}")',
            "changes 50 of 50 rows again that it has changed: after {batch}, add the condition",
        ),
        ('in_batches("maps.numbers", "TRUNCATE maps.numbers")', "the statement lacks {batch}"),
        ('in_batches("numbers_", "DELETE FROM maps.numbers WHERE {batch}")', "there is no such table"),
    ],
)
def test_a_change_that_would_never_end_or_has_another_form_is_one_line(
    numbers: Prepared, home: Path, call: str, says: str
) -> None:
    add_revision(home, IMPORT + call, undo=UNDO)

    with pytest.raises(RevisionError) as refused:
        migrations.upgrade("maps", numbers.owner_url, home=home, report=silent)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
    assert numbers.rows("SELECT max(times) <= 1 FROM maps.numbers") == [(True,)]


def test_rows_are_deleted_in_batches_too(numbers: Prepared, home: Path, lines: list[str]) -> None:
    add_revision(
        home, f'{IMPORT}in_batches("maps.numbers", "DELETE FROM maps.numbers WHERE {{batch}} AND n > 0")', undo=UNDO
    )

    migrations.upgrade("maps", numbers.owner_url, home=home, report=lines.append)

    assert numbers.rows("SELECT count(*) FROM maps.numbers") == [(0,)]
    assert lines[-2] == f"maps.numbers: {ROWS:,} of {ROWS:,} rows changed"


def test_rows_without_a_key_are_refused_and_not_left_undone_in_silence(numbers: Prepared, home: Path) -> None:
    keyed = BATCHES.replace('IS NULL")', 'IS NULL", key="other")')
    add_revision(home, keyed, undo=UNDO)
    with closing(numbers.admin()) as admin:
        admin.execute("ALTER TABLE maps.numbers ADD COLUMN other bigint; UPDATE maps.numbers SET other = n WHERE n > 1")
        admin.execute("CREATE INDEX ON maps.numbers (other)")

        with pytest.raises(
            RevisionError, match=r"^maps\.numbers has rows whose other is NULL, which no batch takes: name"
        ):
            migrations.upgrade("maps", numbers.owner_url, home=home, report=silent)
        assert admin.execute("SELECT count(*) FROM maps.numbers WHERE square IS NOT NULL").fetchone() == (0,)
        admin.execute("UPDATE maps.numbers SET other = 1 WHERE other IS NULL")

    assert migrations.upgrade("maps", numbers.owner_url, home=home, report=silent) == ("0004_further",)
    assert numbers.rows("SELECT count(*) FROM maps.numbers WHERE square = n * n") == [(ROWS,)]
