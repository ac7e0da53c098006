"""pgBackRest's own words as they were recorded on damaged repositories."""

import datetime
from collections.abc import Sequence

from db.drills.timelines import Fork
from ops.readings.repository import Backup
from ops.readings.verification import findings, parse
from ops.restoring.wal import named

_NOW = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
LISTED = [
    Backup("20261122-024221F", "full", _NOW, _NOW, 1, 1, named(0x1000000, 1), named(0x2000000, 1), 0, failed=False),
    Backup(
        "20261122-024221F_20261122-031841I",
        "incr",
        _NOW,
        _NOW,
        1,
        1,
        named(0x1000000, 1),
        named(0x2000000, 1),
        0,
        failed=False,
    ),
]
TIMES = "2026-11-22 03:22:20.008 "
WAL = "archiveId: 16-1, wal start: 0000000100000000000000{}, wal stop: 0000000100000000000000{}"
SOUND = """\
stanza: main
status: ok
  archiveId: 16-1, total WAL checked: 44, total valid WAL: 44
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261122-024221F, status: valid, total files checked: 967, total valid files: 967
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261122-024221F_20261122-031841I, status: valid, total files checked: 2635, total valid files: 2635
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
"""


def found(*lines: str, end: str = SOUND, history: Sequence[Fork] | None = ()) -> list[str]:
    if not any("wal start" in it for it in lines):
        lines = (f"P00 DETAIL: {WAL.format('01', '2C')}", *lines)
    said = [*(TIMES + line for line in lines), *end.splitlines()]
    return findings(parse(said, LISTED, lambda *_: history), "offsite")


def test_a_sound_repository_has_no_findings() -> None:
    assert found(f"P00 DETAIL: {WAL.format('01', '2C')}") == []


def test_a_gap_between_two_ranges_of_wal_is_found_though_pgbackrest_calls_it_sound() -> None:
    (line,) = found(f"P00 DETAIL: {WAL.format('01', '04')}", f"P00 DETAIL: {WAL.format('06', '2C')}")
    assert line.startswith("WAL is missing between 000000010000000000000004 and 000000010000000000000006")
    assert "pgstack backup now --type full --repository offsite" in line


def test_a_new_timeline_and_a_new_log_file_are_no_gaps() -> None:
    first = "archiveId: 16-1, wal start: 000000010000000000000001, wal stop: 0000000100000000000000FF"
    second = "archiveId: 16-1, wal start: 000000010000000100000000, wal stop: 000000010000000100000004"
    third = "archiveId: 16-1, wal start: 000000020000000100000003, wal stop: 000000020000000100000009"
    assert found(*(f"P00 DETAIL: {it}" for it in (first, second, third))) == []


def timelines() -> list[str]:
    second = (
        WAL.format("05", "09").replace("start: 00000001", "start: 00000002").replace("stop: 00000001", "stop: 00000002")
    )
    return [f"P00 DETAIL: {it}" for it in (WAL.format("01", "2C"), second)]


def test_a_timeline_without_the_segment_in_which_it_left_another_is_found() -> None:
    assert found(*timelines(), history=[Fork(1, 0x5_123456)]) == []
    (line,) = found(*timelines(), history=[Fork(1, 0x4_123456)])
    assert line.startswith("WAL is missing between 000000010000000000000003 and 000000020000000000000005")


def test_a_timeline_whose_history_is_gone_is_found() -> None:
    assert found(*timelines(), history=None)[0] == "damaged: 16-1/00000002.history (missing)"


def test_a_backup_without_the_wal_that_was_written_while_it_was_taken_is_found() -> None:
    lines = found(f"P00 DETAIL: {WAL.format('02', '2C')}")
    assert [it.split()[1] for it in lines] == sorted(it.label for it in LISTED)


def test_a_damaged_file_is_named_once_however_often_it_is_said() -> None:
    line = "P01   INFO: file missing '20261122-024221F/bundle/1'"
    end = SOUND.replace("status: ok", "status: error").replace("024221F, status: valid", "024221F, status: invalid")
    assert found(line, line, end=end) == [
        "damaged: 20261122-024221F/bundle/1 (missing)",
        "backup 20261122-024221F can't be restored, nor can those that build on it: `pgstack backup now --type full"
        " --repository offsite`",
    ]


def test_a_manifest_whose_copy_serves_is_found() -> None:
    (line,) = found("P00 DETAIL: 20261122-024221F/backup.manifest is missing or unusable, using copy")
    assert line.startswith("damaged: 20261122-024221F/backup.manifest, whose copy still serves")


def test_a_backup_that_is_listed_and_was_not_read_is_gone() -> None:
    end = SOUND[: SOUND.index("  backup: 20261122-024221F_")]
    (line,) = found(end=end)
    assert line.startswith("backup 20261122-024221F_20261122-031841I can't be restored")


def test_no_status_at_all_is_never_sound() -> None:
    assert found(end="") != []
