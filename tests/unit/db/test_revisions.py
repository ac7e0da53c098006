"""Migration files: read without being run, in order, with their header and checksum."""

from pathlib import Path

import pytest

from db import apps, migrations
from db.errors import RevisionError
from db.migrations.revisions import checksum

FILE = '''"""Change something.

Purpose: {purpose}
Ticket: N/A
Reversible: {reversible}
Rollback: alembic -n maps downgrade -1
"""

revision = "{name}"
down_revision = {parent}
raise SystemExit("migration files are not run to be listed")


def upgrade(): ...
def downgrade(): ...
'''


def write(home: Path, name: str, parent: str | None, *, purpose: str = "a test", reversible: str = "Yes") -> Path:
    path = home / "alembic/versions/maps" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FILE.format(name=name, parent=repr(parent), purpose=purpose, reversible=reversible))
    return path


@pytest.mark.parametrize("app", apps.names())
def test_the_revisions_of_every_app_form_one_line_from_the_first(app: str) -> None:
    found = migrations.revisions(app)

    assert found[0].revision == "0001_initial_schema"
    assert [it.down_revision for it in found] == [None, *(it.revision for it in found[:-1])]
    assert [it.revision[:4] for it in found] == [f"{number:04d}" for number in range(1, len(found) + 1)]


@pytest.mark.parametrize("app", apps.names())
def test_migrations_and_their_app_are_ascii_with_lf_line_ends(app: str) -> None:
    """maps-schema.md, "Quality Gates"."""
    for revision in migrations.revisions(app):
        data = revision.path.read_bytes()
        assert data.isascii()
        assert b"\r" not in data


def test_they_are_listed_in_the_order_of_their_line_not_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "0003_first", None)
    write(tmp_path, "0001_third", "0002_second")
    write(tmp_path, "0002_second", "0003_first")

    found = migrations.revisions("maps", home=tmp_path)

    assert [it.revision for it in found] == ["0003_first", "0002_second", "0001_third"]


def test_the_header_is_read(tmp_path: Path) -> None:
    write(tmp_path, "0001_a", None, purpose="because: so", reversible="No")

    [found] = migrations.revisions("maps", home=tmp_path)

    assert (found.purpose, found.ticket, found.reversible, found.rollback) == (
        "because: so",
        "N/A",
        False,
        "alembic -n maps downgrade -1",
    )


def test_the_checksum_ignores_line_ends_and_sees_everything_else() -> None:
    assert checksum("a\nb\n") == checksum("a\r\nb\r\n") == checksum("a\rb\r")
    assert checksum("a\nb\n") != checksum("a\nb")
    assert checksum("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    write(tmp_path, "0001_a", None).write_text('"""No header."""\nrevision = "0001_a"\ndown_revision = None\n')
    write(tmp_path, "0002_b", "0001_a", reversible="perhaps")
    write(tmp_path, "0003_c", "0002_b").write_text("def (")
    (tmp_path / "alembic/versions/maps/ab12cd34.py").write_text("")

    with pytest.raises(RevisionError) as failure:
        migrations.revisions("maps", home=tmp_path)

    message = str(failure.value)
    assert "0001_a.py: the first 30 lines lack Purpose:, Ticket:, Reversible:, Rollback:" in message
    assert '0002_b.py: Reversible is "perhaps": write Yes or No' in message
    assert "0003_c.py: line 1 is no Python" in message
    assert "ab12cd34.py: name it like 0002_what_it_does.py" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (b"a test", "caf\u00e9".encode(), r"line 3 has '\xe9', which is not ASCII"),
        (b"a test", b"caf\xe9", r"line 3 has '\ufffd', which is not ASCII"),
        (b"N/A\n", b"N/A\r\n", "line 4 ends in CRLF or CR: write LF (git config core.autocrlf input)"),
        (b'"""Change', b'\xef\xbb\xbf"""Change', "it begins with a byte order mark (BOM): write ASCII without one"),
        (b"def upgrade", b"def up", "there is no function upgrade: write one"),
        (
            b"def downgrade",
            b"def undo",
            "there is no function downgrade: write one, which raises where nothing can be undone",
        ),
        (b"upgrade()", b"upgrade(x)", "upgrade asks for arguments, and Alembic gives it none"),
        (b"downgrade()", b"downgrade(*, x)", "downgrade asks for arguments, and Alembic gives it none"),
    ],
)
def test_a_file_that_alembic_or_another_machine_reads_otherwise_is_one_line(
    tmp_path: Path, before: bytes, after: bytes, says: str
) -> None:
    path = write(tmp_path, "0001_a", None)
    path.write_bytes(path.read_bytes().replace(before, after, 1))

    with pytest.raises(RevisionError) as refused:
        migrations.revisions("maps", home=tmp_path)

    assert str(refused.value) == f"migrations of maps: 0001_a.py: {says}"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"0001_a": None, "0002_b": "0001_a", "0003_c": "0001_a"}, "0002_b and 0003_c both follow 0001_a"),
        ({"0001_a": None, "0002_b": None}, "0001_a and 0002_b both start the line"),
        ({"0001_a": None, "0002_b": "0000_gone"}, '0002_b follows "0000_gone", which is no file here'),
        ({"0001_a": "0002_b", "0002_b": "0001_a"}, "the revisions follow each other in a circle"),
    ],
)
def test_files_that_are_not_one_line_are_named(tmp_path: Path, files: dict[str, str | None], words: str) -> None:
    for name, parent in files.items():
        write(tmp_path, name, parent)

    with pytest.raises(RevisionError, match=words):
        migrations.revisions("maps", home=tmp_path)


def test_a_header_after_the_thirtieth_line_does_not_count(tmp_path: Path) -> None:
    path = write(tmp_path, "0001_a", None)
    path.write_text("#\n" * 30 + path.read_text())

    with pytest.raises(RevisionError, match="the first 30 lines lack Purpose:"):
        migrations.revisions("maps", home=tmp_path)


def test_a_name_that_differs_from_the_files_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "0001_a", None)
    path.write_text(path.read_text().replace('"0001_a"', '"abc"'))

    with pytest.raises(RevisionError, match=r'0001_a\.py: revision is "abc", but must be "0001_a" like the file'):
        migrations.revisions("maps", home=tmp_path)
