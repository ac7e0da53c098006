"""`pgstack backup verify` on a real repository that is damaged."""

import re
from collections.abc import Callable, Iterator

import pytest

from tests.deployment import Run, Stack
from tests.stack import faults

TAKE = "/usr/local/lib/pgstack/take-backup"


@pytest.fixture(scope="module", autouse=True)
def backups(stack: Stack) -> None:
    """A second backup, and WAL on both sides of a segment."""
    stack.execute("backup", TAKE, "diff")
    for _ in range(3):
        stack.admin_sql("SELECT pg_logical_emit_message(true, 'test', '')")
        stack.admin_sql("SELECT pg_switch_wal()")
    stack.execute("backup", "pgbackrest", "--stanza=main", "check")


@pytest.fixture
def undone(stack: Stack) -> Iterator[None]:
    with faults.undone(stack):
        yield


def flipped_in_a_backup(stack: Stack) -> str:
    path = faults.bundle(stack, 0)
    faults.flip_a_byte(stack, path)
    return rf"damaged: {path.partition('/main/')[2]} \(invalid checksum\)"


def flipped_in_wal(stack: Stack) -> str:
    name, path = faults.segment(stack)
    faults.flip_a_byte(stack, path)
    return rf"damaged: 16-1/{name[:16]}/{name}-\S+ \(invalid"


def missing_segment(stack: Stack) -> str:
    name, path = faults.segment(stack)
    faults.remove(stack, path)
    before, after = (f"{name[:16]}{int(name[16:], 16) + step:08X}" for step in (-1, 1))
    return f"WAL is missing between {before} and {after}"


def truncated_manifest(stack: Stack) -> str:
    folder = faults.backup(stack)
    faults.truncate(stack, f"{folder}/backup.manifest")
    return f"damaged: {folder.rpartition('/')[2]}/backup.manifest, whose copy still serves"


def truncated_manifests(stack: Stack) -> str:
    folder = faults.backup(stack)
    for name in ("backup.manifest", "backup.manifest.copy"):
        faults.truncate(stack, f"{folder}/{name}")
    return f"backup {folder.rpartition('/')[2]} can't be restored"


def deleted_backup(stack: Stack) -> str:
    folder = faults.backup(stack)
    faults.remove(stack, folder)
    return f"backup {folder.rpartition('/')[2]} can't be restored"


def deleted_bundle(stack: Stack) -> str:
    path = faults.bundle(stack, 0)
    faults.remove(stack, path)
    return rf"damaged: {path.partition('/main/')[2]} \(missing\)"


def deleted_archive_info(stack: Stack) -> str:
    for name in ("archive.info", "archive.info.copy"):
        faults.remove(stack, f"/var/lib/pgbackrest/archive/main/{name}")
    return "No usable archive.info file: "


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            flipped_in_a_backup,
            marks=pytest.mark.fault(
                "a byte flipped in a backup",
                seen="`backup verify` names the file and ends with 1",
                outcome="detected: `backup now --type full` makes a sound one",
            ),
        ),
        pytest.param(
            flipped_in_wal,
            marks=pytest.mark.fault(
                "a byte flipped in archived WAL",
                seen="`backup verify` names the segment and ends with 1",
                outcome="detected: it says which moments no restore leads to; a full backup leaves them behind",
            ),
        ),
        pytest.param(
            missing_segment,
            marks=pytest.mark.fault(
                "a WAL segment missing in the repository",
                seen="`backup verify` names the segments around it; `restore plan` refuses what it is on the way to",
                outcome="detected: a full backup leaves the gap behind",
            ),
        ),
        pytest.param(
            truncated_manifest,
            marks=pytest.mark.fault(
                "a backup's manifest truncated",
                seen="`backup verify` names it and ends with 1",
                outcome="survived: its copy still serves; a full backup makes a sound one",
            ),
        ),
        pytest.param(
            truncated_manifests,
            marks=pytest.mark.fault(
                "a backup's manifest and its copy truncated",
                seen="`backup verify` names the backup, and those that build on it",
                outcome="detected: `backup now --type full` takes one that can",
            ),
        ),
        pytest.param(
            deleted_backup,
            marks=pytest.mark.fault(
                "a backup's directory deleted",
                seen="`backup verify` names the backup, and those that build on it",
                outcome="detected: `backup now --type full` takes one that can",
            ),
        ),
        deleted_bundle,
        deleted_archive_info,
    ],
)
def test_damage_is_named_with_what_to_do(stack: Stack, pgstack: Run, damage: Callable[[Stack], str]) -> None:
    expected = damage(stack)

    done = pgstack("backup", "verify", code=1)

    assert re.search(f"^local: {expected}", done.stdout, re.MULTILINE), done.stdout
    assert done.stderr == "pgstack: damaged: the local repository\n"
    assert len(done.stdout.splitlines()) < 8


def test_a_sound_repository_is_one_line(pgstack: Run) -> None:
    assert re.fullmatch(
        r"local: every file is sound and no WAL is missing, in \d+ s\n", pgstack("backup", "verify").stdout
    )
