"""The repository: a full backup, every WAL segment since, encrypted; its schedule and retention follow the settings."""

import datetime
import re
import time
from collections.abc import Iterator

import pytest
import tenacity

from tests.deployment import Stack
from tests.stack.repository import REPOSITORY, archived, files, info, number, pgbackrest

_BEHIND_AT_MOST = 75  # seconds: archive_timeout is 60, the rest is for the push
_ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1: a frame's first bytes
_SALTED = b"Salted__"  # how openssl, and pgBackRest, begin an encrypted file


@pytest.fixture(scope="module", autouse=True)
def written(stack: Stack) -> Iterator[tuple[str, datetime.datetime]]:
    """A row of before the other tests, archived while they run: its WAL segment, and when it was written."""
    with stack.connect("maps_pooled_url") as connection:
        connection.execute("INSERT INTO users (id, email, name) VALUES ('backed-up', 'b@example.org', 'B')")
    segment, now = stack.admin_sql("SELECT pg_walfile_name(pg_current_wal_insert_lsn()), clock_timestamp()").split("|")
    yield segment, datetime.datetime.fromisoformat(now)
    with stack.connect("maps_pooled_url") as connection:
        connection.execute("DELETE FROM users WHERE id = 'backed-up'")


def test_there_is_a_full_backup_and_nothing_is_wrong(stack: Stack) -> None:
    stanza = info(stack)
    assert stanza["status"]["message"] == "ok"
    assert stanza["backup"][0]["type"] == "full"
    assert [it["error"] for it in stanza["backup"]] == [False] * len(stanza["backup"])


def test_the_archive_has_every_segment_from_the_first_to_the_last(stack: Stack) -> None:
    stanza, segments = info(stack), list(archived(stack))
    oldest, newest = stanza["archive"][0]["min"], stanza["archive"][0]["max"]
    assert oldest <= stanza["backup"][0]["archive"]["start"]
    wanted = range(number(oldest), number(newest) + 1)
    assert [number(segment) for segment in segments if oldest <= segment <= newest] == list(wanted)


def test_pgbackrest_verifies_every_file_and_segment(stack: Stack) -> None:
    said = pgbackrest(stack, "--output=text", "--verbose", "verify")  # it exits 0 on a corrupt repository
    assert "status: ok" in said
    assert not re.search(r"(missing|invalid|other): [1-9]", said), said


def test_every_file_is_encrypted_and_none_shows_what_the_databases_hold(stack: Stack) -> None:
    assert info(stack)["cipher"] == "aes-256-cbc"
    contents = files(stack)
    assert any("/bundle/" in path for path in contents)
    for path, data in contents.items():
        # the parts of a bundle and the blocks of a large file are encrypted without the mark; compressed plaintext
        # would be one frame after another
        in_parts = "/bundle/" in path or path.endswith(".pgbi")
        assert data.startswith(_SALTED) or (in_parts and data.count(_ZSTD) <= 1), path
        assert b"Cozumel" not in data, path


def test_backups_and_wal_are_compressed_with_zstd(stack: Stack) -> None:
    label = info(stack)["backup"][0]["label"]
    assert 'option-compress-type="zst"' in pgbackrest(stack, "repo-get", f"backup/main/{label}/backup.manifest")
    assert archived(stack)  # names that end in .zst
    backup = info(stack)["backup"][0]["info"]
    assert backup["repository"]["delta"] < backup["size"] / 4


def test_the_server_holds_neither_the_repository_nor_its_key(stack: Stack) -> None:
    assert "cipher" not in stack.execute("postgres", "cat", "/etc/pgstack/pgbackrest.conf")
    assert stack.execute("postgres", "find", REPOSITORY, "-type", "f") == ""


def test_another_schedule_and_retention_take_effect_by_a_reload(stack: Stack) -> None:
    roles = ("postgres", "pooler", "backup")
    before = {role: stack.container(role).id for role in roles}
    paths = ("/etc/pgstack/crontab", "/etc/pgstack/pgbackrest.conf")
    old_crontab, old_conf = (stack.execute("backup", "cat", path) for path in paths)
    assert [line for line in old_crontab.splitlines() if "take-backup" in line] == [
        "0 2 * * 0 /usr/local/lib/pgstack/take-backup full",
        "0 2 * * 1-6 /usr/local/lib/pgstack/take-backup diff",
        "30 */4 * * * /usr/local/lib/pgstack/take-backup incr",
    ]
    since = int(time.time())
    try:
        with stack.configured(backupFull="15 3 * * 6", keepFull="5", keepDifferential="9"):
            stack.up()
        assert stack.execute("backup", "cat", paths[0]) == old_crontab.replace("0 2 * * 0", "15 3 * * 6")
        conf = stack.execute("backup", "cat", paths[1])
        assert {"repo1-retention-full=5", "repo1-retention-diff=9"} <= set(conf.splitlines())
        until_read(stack, since)
        assert {role: stack.container(role).id for role in roles} == before
    finally:
        stack.up()
    assert [stack.execute("backup", "cat", path) for path in paths] == [old_crontab, old_conf]


@tenacity.retry(stop=tenacity.stop_after_delay(10), wait=tenacity.wait_fixed(0.2), reraise=True)
def until_read(stack: Stack, since: int) -> None:
    """Wait until the scheduler was told to read its crontab, after `since` (seconds since the epoch)."""
    assert b"reads crontab" in stack.container("backup").logs(since=since)


def test_a_row_is_in_an_archived_segment_within_75_seconds(
    stack: Stack, written: tuple[str, datetime.datetime]
) -> None:
    segment, when = written

    @tenacity.retry(stop=tenacity.stop_after_delay(_BEHIND_AT_MOST + 5), wait=tenacity.wait_fixed(0.5), reraise=True)
    def arrival() -> float:
        assert segment in archived(stack), f"{segment} is not archived"
        return archived(stack)[segment]

    assert arrival() - when.timestamp() <= _BEHIND_AT_MOST
