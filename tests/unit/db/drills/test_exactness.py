"""When a snapshot is the state at a commit, and which moments a repository leads back to."""

import datetime
from dataclasses import replace
from typing import Any

import pytest

from db.drills.heartbeats import Heartbeat, judged
from db.drills.repository import Backup, Repository, backups, choose, within
from db.drills.snapshots import Snapshot, ended_between

AT = datetime.datetime(2026, 11, 22, 4, 0, tzinfo=datetime.UTC)
SEGMENT = 16 * 1024**2


def beat(number: int, *, timeline: int = 1) -> Heartbeat:
    """One of a series: 1,000 bytes apart, each commit within ten bytes."""
    return Heartbeat(number, 700 + number, AT, 1000 * number, 1000 * number + 10, timeline)


@pytest.mark.parametrize(
    ("before", "after", "ended"),
    [
        ("10:10:", "11:11:", {10}),  # only the heartbeat, whose number is the next
        ("8:10:8", "8:11:8", {10}),  # one that runs on is in neither
        ("8:10:8", "11:11:", {8, 10}),  # one that ended meanwhile is in the second
        ("10:10:", "10:12:10", {11}),  # a later one was given a number first, and runs
        ("10:10:", "12:12:", {10, 11}),
        ("10:10:", "10:10:", set()),
    ],
)
def test_what_ended_between_two_snapshots(before: str, after: str, ended: set[int]) -> None:
    assert ended_between(Snapshot.parse(before), Snapshot.parse(after)) == ended


NOTED = [beat(1), beat(2), beat(3)]


def test_a_copy_with_every_heartbeat_up_to_its_target_and_none_after_it_is_well() -> None:
    assert judged(NOTED, [(1, 1000), (2, 2000)], NOTED[1].after, 1) == []


def test_a_heartbeat_past_the_target_is_told_by_its_own_position_and_by_the_ledger_s() -> None:
    for row in ((3, 3000), (3, 100), (9, 9000)):
        (told,) = judged(NOTED, [(1, 1000), (2, 2000), row], NOTED[1].after, 1)
        assert told == f"heartbeat {row[0]} is in the copy, but was committed after the target"


def test_a_copy_that_was_to_end_with_a_heartbeat_ends_with_exactly_that() -> None:
    noted = [beat(1), replace(beat(2), after=2900), replace(beat(3), before=2500)]  # noted late: the positions overlap
    assert judged(noted, [(1, 1000), (2, 2000)], 2900, 1, last=2) == []
    assert len(judged(noted, [(1, 1000), (2, 2000), (3, 2500)], 2900, 1, last=2)) == 1
    assert len(judged(noted, [(1, 1000)], 2900, 1, last=2)) == 1


@pytest.mark.parametrize(("rows", "newest"), [([(1, 1000)], "1"), ([], "none")])
def test_a_heartbeat_that_was_due_and_is_missing_is_told(rows: list[tuple[int, int]], newest: str) -> None:
    (told,) = judged(NOTED, rows, NOTED[1].after, 1)
    assert told.startswith("heartbeat 2 was committed before the target, at 2026-11-22 04:00:00 UTC")
    assert told.endswith(f"whose newest is {newest}")


def test_heartbeats_of_a_timeline_that_was_left_are_not_asked_for() -> None:
    assert judged([beat(1), beat(2, timeline=2)], [(1, 1000)], 5000, 1) == []


def backup(label: str, end: int) -> Backup:
    return Backup(label, 1, end, AT, 1)


HELD = Repository((backup("first", 1500), backup("second", 2500)), 1, "000000010000000000000000")


def test_the_newest_backup_that_was_complete_before_is_restored() -> None:
    assert [it and it.label for it in map(HELD.backup_for, (1000, 1500, 2499, 9999))] == [
        None,
        "first",
        "first",
        "second",
    ]


def test_an_entry_counts_if_it_is_after_a_backup_archived_and_of_the_timeline_that_goes_on() -> None:
    beyond = replace(beat(4), after=SEGMENT + 1)
    noted = {"early": beat(1), "good": beat(2), "beyond": beyond, "left": beat(3, timeline=2)}
    assert set(within(noted, HELD)) == {"good"}
    assert within(noted, Repository((), 1, "")) == {}


def test_the_choice_follows_from_the_seed_and_takes_every_entry_in_time() -> None:
    noted = {name: beat(number) for number, name in enumerate("abcde", 1)}
    again = dict(reversed(noted.items()))
    assert [choose(noted, seed) for seed in range(50)] == [choose(again, seed) for seed in range(50)]
    assert {choose(noted, seed) for seed in range(50)} == set(noted)


def test_a_repository_is_read_without_its_damaged_backups() -> None:
    def described(label: str, stop: str, **more: bool | None) -> dict[str, Any]:
        archive = {"stop": "00000002000000010000000A"}
        known = {"label": label, "lsn": {"stop": stop}, "timestamp": {"stop": 9}, "info": {"size": 7}}
        return {**known, "archive": archive, **more}

    found = backups(
        [{"backup": [described("b", "1/10", error=None), described("a", "0/10"), described("c", "2/10", error=True)]}]
    )

    assert [(it.label, it.timeline, it.end) for it in found] == [("a", 2, 16), ("b", 2, 2**32 + 16)]
    assert backups([]) == ()


def test_the_archive_reaches_the_end_of_its_last_segment() -> None:
    assert Repository((), 2, "00000002000000010000000A").reaches == 2**32 + 11 * SEGMENT
    assert Repository((), 1, "").reaches == 0
