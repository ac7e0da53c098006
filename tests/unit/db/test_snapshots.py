"""The snapshots that drift is judged by, as files: of the newest revision, and as `make snapshots` writes them."""

from pathlib import Path

import pytest

from db import apps, migrations
from db.errors import SnapshotError
from db.migrations import snapshot


@pytest.mark.parametrize("app", apps.names())
@pytest.mark.parametrize("vectors", [True, False])
def test_it_is_of_the_newest_revision_and_as_it_was_written(app: str, vectors: bool) -> None:
    found = snapshot.load(app, vectors=vectors)

    assert found.revision == migrations.revisions(app)[-1].revision, f"{app} has a new revision: {snapshot.COMMAND}"
    assert found.text() == snapshot.file(app, vectors=vectors).read_text(), f"edited by hand: {snapshot.COMMAND}"
    assert found.objects["table"].keys() > {"alembic_version", "migration_history"}


def test_a_file_that_is_missing_or_none_of_ours_is_told_with_the_command_that_writes_it(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "alembic/versions/maps"
    folder.mkdir(parents=True)
    with pytest.raises(SnapshotError, match=r"schema\.json of maps can't be read .* `make snapshots` writes it"):
        snapshot.load("maps", home=tmp_path)
    for text in ("[]", "{}", "<<<<<<< HEAD"):
        (folder / "schema.json").write_text(text)
        with pytest.raises(SnapshotError, match="`make snapshots` writes it"):
            snapshot.load("maps", home=tmp_path)
