"""The plan of a restore over an archive that is written down here: segments, what pg_waldump would print, backups."""

import datetime
from collections.abc import Sequence

import pytest

from ops.errors import OpsError
from ops.readings.repository import Backup
from ops.restoring.plan import Plan, plan
from ops.restoring.targets import parse
from ops.restoring.wal import SEGMENT, Commit, Point, Records, Segment, named, records, segments

START = datetime.datetime(2026, 11, 21, 10, 0, tzinfo=datetime.UTC)
NOW = START + datetime.timedelta(days=1)


def at(minutes: float) -> datetime.datetime:
    return START + datetime.timedelta(minutes=minutes)


def backup(minute: int, first: int, *, failed: bool = False) -> Backup:
    """One that was complete `minute` minutes after START and needs segment `first`."""
    wal = named(first * SEGMENT, 1)
    label = f"20261121-10{minute:02d}00F"
    return Backup(label, "full", at(minute - 1), at(minute), 1024**3, 1024**2, wal, wal, first * SEGMENT + 75, failed)


# one segment a minute, two transactions in each but the eighth
SEGMENTS = [Segment(named(number * SEGMENT, 1), at(number + 0.9)) for number in range(1, 12)]
COMMITS = [
    Commit(100 + 2 * number + nth, at(number + 0.2 + 0.4 * nth), number * SEGMENT + 100 + nth)
    for number in range(1, 12)
    for nth in (0, 1)
    if number != 8
]
POINTS = [Point("before-import", 5 * SEGMENT + 50)]
BACKUPS = [backup(2, 1), backup(6, 5)]


def read(wanted: Sequence[Segment], following: Segment | None) -> Records:
    def inside(lsn: int) -> bool:
        return any(it.begin <= lsn < it.end for it in wanted)

    assert following is None or following.begin == wanted[-1].end
    return Records(tuple(it for it in COMMITS if inside(it.lsn)), tuple(it for it in POINTS if inside(it.lsn)))


def planned(to: str, *, there: Sequence[Segment] = SEGMENTS, backups: Sequence[Backup] = BACKUPS) -> Plan:
    return plan(parse(to, NOW), backups, there, read, lambda _: ())


def test_a_time_keeps_what_was_committed_until_then_and_counts_the_rest() -> None:
    found = planned("2026-11-21 10:04:30")

    assert found.window == (at(2) + datetime.timedelta(seconds=1), at(11.6))
    assert found.backup.label == "20261121-100200F"
    assert (found.first, found.last) == (named(SEGMENT, 1), named(4 * SEGMENT, 1))
    assert found.wal == 4 * SEGMENT
    assert found.kept == Commit(108, at(4.2), 4 * SEGMENT + 100)
    assert found.stop == 4 * SEGMENT + 100
    assert found.discarded == 123 - 108
    assert found.possible


@pytest.mark.parametrize(
    ("to", "kept", "label"),
    [
        ("2026-11-21 10:04:36", 109, "20261121-100200F"),  # the very moment of a commit
        ("2026-11-21 10:06:00.9", 111, "20261121-100200F"),  # the second in which a backup ended
        ("2026-11-21 10:06:01", 111, "20261121-100600F"),
        ("2026-11-21 10:08:30", 115, "20261121-100600F"),  # nothing was committed in that segment
        ("2026-11-21 23:00", 123, "20261121-100600F"),  # nothing since
        ("latest", 123, "20261121-100600F"),
        ("109", 109, "20261121-100200F"),
        ("0/5000064", 110, "20261121-100600F"),
        ("before-import", 109, "20261121-100200F"),
        ("0/4000064", 108, "20261121-100200F"),
    ],
)
def test_each_kind_of_target_ends_at_its_transaction_from_the_newest_backup_before_it(
    to: str, kept: int, label: str
) -> None:
    found = planned(to)

    assert found.kept is not None
    assert (found.kept.xid, found.backup.label) == (kept, label)
    assert found.discarded == 123 - kept


def test_where_nothing_was_committed_since_the_backup_its_end_is_the_target() -> None:
    found = planned("2026-11-21 10:02:30", there=SEGMENTS[7:8], backups=[backup(2, 8)])

    assert (found.kept, found.stop, found.newest, found.discarded) == (None, 8 * SEGMENT + 75, None, 0)


def test_a_missing_segment_on_the_way_is_named_and_one_elsewhere_is_not() -> None:
    there = [it for it in SEGMENTS if it.name != named(3 * SEGMENT, 1)]

    assert planned("2026-11-21 10:04:30", there=there).missing == (named(3 * SEGMENT, 1),)
    assert planned("2026-11-21 10:04:30", there=there).reaches == SEGMENTS[1].archived
    assert not planned("2026-11-21 10:04:30", there=there).possible
    assert planned("2026-11-21 10:07:30", there=there).missing == ()


def test_a_backup_with_wrong_checksums_is_passed_over() -> None:
    found = planned("latest", backups=[backup(2, 1), backup(6, 5, failed=True)])

    assert found.backup.label == "20261121-100200F"
    assert not planned("latest", backups=[backup(6, 5, failed=True)]).possible


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ("2026-11-21 09:00", "is before the first backup was complete: 2026-11-21 10:02:01 UTC is the earliest moment"),
        ("2026-11-21 10:02:00.9", "is before the first backup was complete"),
        ("0/1000032", "is before the first backup was complete"),
        ("1/0", "1/0 is not archived yet: the archive ends before 0/C000000"),
        ("0/64", "is not in the archive, which begins at 0/1000000"),
        ("99", "no commit of transaction 99"),
        ("after-import", 'no restore point "after-import"'),
    ],
)
def test_a_target_that_nothing_leads_to_is_one_line(to: str, says: str) -> None:
    with pytest.raises(OpsError) as refused:
        planned(to)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_empty_repository_says_what_to_do() -> None:
    with pytest.raises(OpsError, match="has no backup to restore from: `pgstack backup now --type full` takes one"):
        planned("latest", backups=[])


def test_the_archive_s_listing_and_pg_waldump_s_lines_are_read() -> None:
    listing = """{".":{"type":"path"},"16-1/0000000100000000":{"type":"path"},
      "16-1/0000000100000000/000000010000000000000002-02427b3aa95d863cb8593f58c99870acc60f7c6e.zst":
        {"type":"file","size":768,"time":1795302980},
      "16-1/0000000100000000/000000010000000000000002.00000028.backup":{"type":"file","size":400,"time":1795302981}}"""
    came = datetime.datetime(2026, 11, 21, 23, 16, 20, tzinfo=datetime.UTC)
    folder, name = "archive/main/16-1/0000000100000000", "000000010000000000000002"
    path = f"{folder}/{name}-02427b3aa95d863cb8593f58c99870acc60f7c6e.zst"
    assert segments(listing) == (Segment(name, came, path),)
    dumped = """\
rmgr: Transaction len: 98, tx:  947, lsn: 0/048B3EA0, prev 0/048B3E60, desc: COMMIT 2026-11-21 23:16:23.396007 UTC; i
rmgr: Transaction len: 34, tx:  948, lsn: 0/048B4000, prev 0/048B3EA0, desc: ABORT 2026-11-21 23:16:23.397000 UTC
rmgr: XLOG        len: 98, tx:    0, lsn: 0/048B88F8, prev 0/048B8890, desc: RESTORE_POINT x-1
"""
    assert records(dumped) == Records(
        (Commit(947, datetime.datetime(2026, 11, 21, 23, 16, 23, 396007, tzinfo=datetime.UTC), 0x48B3EA0),),
        (Point("x-1", 0x48B88F8),),
    )
