"""The disk under the data volume runs full: what the operator chose happens, and it is mended as the runbook says."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import tenacity
from docker.errors import APIError

from tests.deployment import NewStack, Run, Stack
from tests.stack.repository import REPOSITORY, info
from tests.stack.runbooks import blocks, typed
from tests.stack.small_disk import missing, small_disks
from tests.stack.writer import writing

_SEGMENTS = "SELECT pg_logical_emit_message(true, 'fault', 'x'), pg_switch_wal() FROM generate_series(1, 8)"  # 128 MB
within_minutes = tenacity.retry(
    stop=tenacity.stop_after_delay(180),
    wait=tenacity.wait_fixed(0.5),
    retry=tenacity.retry_if_exception_type((AssertionError, APIError)),
    reraise=True,
)


@pytest.fixture(scope="module")
def small(new_stack: NewStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose data volume lies on a disk of 2.2 GB, and its repository on one of 400 MB."""
    if lacking := missing():
        pytest.skip(f"not run: full disks ({lacking})")
    it = new_stack("preview")
    with small_disks(it, tmp_path_factory.mktemp("disks"), {"data": "2200M", "repository": "400M"}):
        it.configure("apps", '["dovvybuddy"]')
        it.up()
        yield it


@contextmanager
def repository_full(stack: Stack) -> Iterator[None]:
    """Its disk has no block left."""
    filler = f"{REPOSITORY}/filler"
    write = f"for size in 1M 4k; do dd if=/dev/zero bs=$size status=none >>{filler} 2>/dev/null; done; true"
    stack.execute("backup", "bash", "-c", write)
    try:
        yield
    finally:
        stack.execute("backup", "rm", filler)


def status(pgstack: Run, stack: Stack, code: int = 1) -> dict[str, Any]:
    read = json.loads(pgstack("status", "--json", of=stack, code=code).stdout)
    assert isinstance(read, dict)
    return read


@pytest.mark.fault(
    "the repository full until WAL would fill the data disk, `walFull: serve`",
    seen="`pgstack status`: how much waits, how long that can go on, then which WAL is lost; `backup list` and `restore"
    " plan` name the gap",
    outcome="survived: no query fails; the restorable window has a gap until the full backup that is taken at once when"
    " archiving is back",
)
def test_where_serving_goes_first_wal_is_dropped_before_the_disk_is_full_and_a_full_backup_mends_it(
    small: Stack, pgstack: Run
) -> None:
    pgstack("backup", "point", "before-the-loss", of=small)

    @within_minutes
    def fill_until_dropped() -> None:
        small.admin_sql(_SEGMENTS)
        assert b"dropped WAL file" in small.container("postgres").logs(tail=500)

    with writing(small) as writer:
        with repository_full(small):
            fill_until_dropped()
            writer.write_some()
            read = status(pgstack, small)
            assert any("disk under volume backups has 0.0 GB left" in it for it in read["problems"])
            assert any("is lost; a full backup is taken by itself as soon as" in it for it in read["problems"])
            meanwhile = small.admin_sql("SELECT clock_timestamp()")
            fulls = [it["label"] for it in read["backups"]["repository"]["backups"] if it["type"] == "full"]
        small.admin_sql(_SEGMENTS)

        @within_minutes
        def mended() -> list[str]:
            read = json.loads(small.pgstack("-s", small.name, "status", "--json", check=False).stdout)
            assert read["problems"] == []
            notes = [it for it in read["notes"] if "is lost" in it]
            assert [it for it in read["backups"]["repository"]["backups"] if it["label"] not in fulls]
            return notes

        gaps = mended()  # more than one where a small segment found room in between
        assert writer.failures == []
    lost = [
        re.fullmatch(r"no restore leads to between .* UTC and .* UTC: WAL (\w+)(?: to \w+)? is lost", it) for it in gaps
    ]
    assert lost[0] is not None
    assert None not in lost
    listed = pgstack("backup", "list", of=small).stdout
    assert [it for it in gaps if it not in listed] == []
    said = small.execute("backup", "pgbackrest", "--stanza=main", "info")
    assert said.count("full backup") == 2
    pgstack("restore", "plan", "--to", "before-the-loss", of=small)
    pgstack("restore", "plan", "--to", "latest", of=small)
    said = pgstack("restore", "plan", "--to", meanwhile, of=small, code=1).stderr
    assert f"WAL segment {lost[0][1]} is not in the repository" in said


@pytest.mark.fault(
    "the repository full until WAL has filled the data disk, `walFull: stop`",
    seen="the server stops: `No space left on device`",
    outcome="survived: the runbook for a full disk brings it back by the reserve; every acknowledged row and all WAL is"
    " there",
)
def test_where_keeping_the_wal_goes_first_the_server_stops_and_the_runbook_brings_it_back_with_every_row(
    small: Stack, pgstack: Run
) -> None:
    first, free, start, *rest = blocks("disk-full.md")
    small.configure("walFull", "stop")
    small.up()
    fulls = [it["label"] for it in info(small)["backup"] if it["type"] == "full"]
    reserve = "stat -c %s /var/lib/postgresql/reserve"
    assert small.execute("backup", "sh", "-c", reserve).strip() == str(256 * 1024**2)

    with writing(small) as writer:
        writer.write_some()
        with repository_full(small):
            until_full(small)
            assert "No space left on device" in typed(small, [first])
            said = typed(small, [first.splitlines()[0], free, start])
            assert "freed 256.0 MB under volume" in said
            writer.write_some()
            assert any("attempt to archive WAL failed" in it for it in status(pgstack, small)["problems"])
        said = typed(small, [first.splitlines()[0], *rest])
        writer.write_some()

    assert "restore point disk-mended-" in said
    assert status(pgstack, small, code=0)["problems"] == []
    assert fulls == [it["label"] for it in info(small)["backup"] if it["type"] == "full"]  # no other was needed
    assert small.execute("backup", "sh", "-c", reserve).strip() == str(256 * 1024**2)
    assert b"PANIC" in small.container("postgres").logs(tail=5000)
    assert small.plan() == []


@within_minutes
def until_full(stack: Stack) -> None:
    """Write until the server is gone."""
    code, _ = stack.container("postgres").exec_run(["psql", "-qAtc", _SEGMENTS])
    assert code != 0
    assert not stack.serves("postgres")
