"""A finished migration stays as it is, and does what its header says: the sum file, and header against code."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from db import apps, migrations
from db.errors import RevisionError
from db.migrations import gates, headers, sums
from tests.db import conftest
from tests.db.conftest import home as home  # noqa: PLC0414  # the fixture

CHECKOUT = Path(__file__).parents[3]
FIRST = "alembic/versions/maps/0001_initial_schema.py"
FURTHER = "alembic/versions/maps/0004_further.py"
WORKS = 'op.execute("ALTER TABLE maps.users ADD COLUMN theme text")'
UNDONE = 'op.execute("ALTER TABLE maps.users DROP COLUMN theme")'


def add_revision(home: Path, body: str, *, undo: str) -> Path:
    """Add a draft, whose sum is still to be written."""
    return conftest.add_revision(home, body, undo=undo, summed=False)


@pytest.mark.parametrize("app", apps.names())
def test_every_committed_migration_passes_the_gates(app: str) -> None:
    assert gates.refused([app]) == []


class TestTheSumFile:
    def test_it_is_what_sha256sum_checks(self) -> None:
        for app in apps.names():
            done = subprocess.run(
                ["sha256sum", "--check", "--strict", sums.NAME],
                cwd=CHECKOUT / "alembic/versions" / app,
                check=False,
                capture_output=True,
            )
            assert done.returncode == 0, done.stdout

    def test_a_changed_a_missing_and_an_additional_file_are_refused_by_name(self, home: Path) -> None:
        add_revision(home, WORKS, undo=UNDONE)
        (home / FIRST).write_text((home / FIRST).read_text() + "# an afterthought\n")
        lines = (home / "alembic/versions/maps" / sums.NAME).read_text()
        (home / "alembic/versions/maps" / sums.NAME).write_text(f"{lines}{'0' * 64}  0009_gone.py\n")

        found = [(it.file, it.rule) for it in gates.refused(["maps"], home=home)]

        assert found == [
            ("0001_initial_schema.py", "edited"),
            ("0009_gone.py", "missing"),
            ("0004_further.py", "additional"),
        ]

    def test_finished_files_are_added_and_drafts_may_still_change(self, home: Path) -> None:
        before = sums.listed("maps", home)
        add_revision(home, WORKS, undo=UNDONE)
        assert sums.write("maps", before, home=home) == ("0004_further.py",)
        assert gates.refused(["maps"], home=home) == []

        path = add_revision(home, WORKS.replace("theme", "colour"), undo=UNDONE.replace("theme", "colour"))
        assert [it.rule for it in gates.refused(["maps"], home=home)] == ["edited"]
        assert sums.write("maps", before, home=home) == ("0004_further.py",)
        assert sums.write("maps", before, home=home) == ()
        path.unlink()
        sums.write("maps", before, home=home)
        assert sums.listed("maps", home) == before

    def test_a_committed_line_is_never_written_anew(self, home: Path) -> None:
        before = sums.listed("maps", home)
        (home / FIRST).write_text((home / FIRST).read_text() + "# an afterthought\n")

        with pytest.raises(RevisionError, match=r"maps/0001_initial_schema\.py: edited: it .* as a new revision$"):
            sums.write("maps", before, home=home)
        assert sums.listed("maps", home) == before

    def test_a_header_that_was_never_filled_in_gets_no_sum(self, home: Path) -> None:
        add_revision(home, WORKS, undo=UNDONE)
        path = home / FURTHER
        path.write_text(path.read_text().replace("Purpose: a test", f"Purpose: {migrations.revisions.__module__}"))
        path.write_text(path.read_text().replace("db.migrations.revisions", "why this change is needed, in a sentence"))

        with pytest.raises(RevisionError, match=r"0004_further\.py \(maps\): Purpose is still the template's"):
            sums.write("maps", {}, home=home)

    @pytest.mark.parametrize("line", ["0004_further.py", "abc  0004_further.py", f"{'0' * 64}  0001_initial_schema.py"])
    def test_a_line_that_is_no_sum_is_named(self, home: Path, line: str) -> None:
        path = home / "alembic/versions/maps" / sums.NAME
        path.write_text(path.read_text() + f"{line}\n")

        with pytest.raises(RevisionError, match=r"alembic/versions/maps/checksums\.txt: line 4 is "):
            sums.listed("maps", home)


class TestHeaderAndCode:
    def refused(self, home: Path, change: Callable[[str], str]) -> list[str]:
        path = add_revision(home, WORKS, undo=UNDONE)
        path.write_bytes(change(path.read_text()).encode())
        [file] = [it for it in migrations.revisions("maps", home=home) if it.revision == "0004_further"]
        return [it.says for it in headers.compare(file)]

    def test_a_header_that_agrees_is_let_through(self, home: Path) -> None:
        assert self.refused(home, lambda text: text) == []
        no = 'raise NotImplementedError("rows were thrown away")'
        assert (
            self.refused(home, lambda text: text.replace(UNDONE, no).replace("Reversible: Yes", "Reversible: No")) == []
        )

    @pytest.mark.parametrize(
        ("before", "after", "says"),
        [
            (UNDONE, "pass", "Reversible is Yes, but downgrade does nothing: write what undoes it, or No"),
            (
                UNDONE,
                "raise NotImplementedError",
                "Reversible is Yes, but downgrade raises: write No, or what undoes it",
            ),
            (
                "Reversible: Yes",
                "Reversible: No",
                "Reversible is No, but downgrade does not end in `raise`: it would claim success",
            ),
            (
                "alembic -n maps downgrade -1",
                "alembic -n bots downgrade base",
                "Rollback says `alembic -n bots downgrade base`: undoing this is"
                " `alembic -n maps downgrade 0003_readers_see_no_tokens`",
            ),
            (
                "Purpose: a test",
                "Purpose: why this change is needed, in a sentence",
                "Purpose is still the template's: say why this change is needed",
            ),
            (
                WORKS,
                'if not context.is_offline_mode():\n        op.execute("DELETE FROM maps.users")',
                "line 16 uses is_offline_mode: what it sends then is neither linted nor planned; ask within the SQL,"
                " or use in_batches",
            ),
            (
                WORKS,
                'op.get_bind().exec_driver_sql("DELETE FROM maps.users")',
                "line 16 uses get_bind: what it sends then is neither linted nor planned; ask within the SQL,"
                " or use in_batches",
            ),
            (
                WORKS,
                'context.config.attributes["job"] and op.execute("DELETE FROM maps.users")',
                "line 16 uses config: what it sends then is neither linted nor planned; ask within the SQL,"
                " or use in_batches",
            ),
            (
                WORKS,
                'getattr(op, "get_bind")().exec_driver_sql("DELETE FROM maps.users")',
                "line 16 uses get_bind: what it sends then is neither linted nor planned; ask within the SQL,"
                " or use in_batches",
            ),
            (
                WORKS,
                'op.get_context().connection and op.execute("DELETE FROM maps.users")',
                "line 16 uses connection: what it sends then is neither linted nor planned; ask within the SQL,"
                " or use in_batches",
            ),
        ],
    )
    def test_one_that_does_not_is_refused(self, home: Path, before: str, after: str, says: str) -> None:
        assert self.refused(home, lambda text: text.replace(before, after)) == [says]

    def test_bytes_that_are_no_text_are_one_line(self, home: Path) -> None:
        (home / FURTHER).write_bytes(b'"""\xff"""')

        with pytest.raises(RevisionError, match=r"0004_further\.py: line 1 has '\\ufffd', which is not ASCII"):
            gates.refused(["maps"], home=home)
