"""Which timeline was live when, and the way to its end: over archives that are written down here."""

import datetime
from collections.abc import Mapping, Sequence

import pytest

from db.drills.timelines import Fork, forks
from ops.restoring.timelines import Line, by_age, live_at
from ops.restoring.wal import SEGMENT, Point, Records, Segment, named

START = datetime.datetime(2026, 11, 21, 10, 0, tzinfo=datetime.UTC)
HISTORIES = {2: (Fork(1, 4 * SEGMENT + 100),), 3: (Fork(1, 4 * SEGMENT + 100), Fork(2, 7 * SEGMENT + 5))}


def at(minutes: float) -> datetime.datetime:
    return START + datetime.timedelta(minutes=minutes)


def segment(timeline: int, number: int, minute: float) -> Segment:
    return Segment(named(number * SEGMENT, timeline), at(minute))


def mark(timeline: int, minute: float, lsn: int) -> Point:
    return Point(f"live-{timeline}-{at(minute):%Y%m%dT%H%M%S.%fZ}", lsn)


# 1 until minute 6, then 2, which was restored to within its segment 4 at minute 5; undone at 9; 3 leaves 2, at 12
SEGMENTS = [
    *(segment(1, number, number) for number in range(1, 7)),
    *(segment(2, number, 6.1 if number < 6 else number + 0.5) for number in range(4, 9)),
    *(segment(1, number, number + 2.5) for number in range(7, 10)),
    *(segment(3, number, 12.1 if number == 7 else number + 5) for number in range(7, 10)),
]
POINTS = {
    2: [mark(2, 6.05, 5 * SEGMENT + 7)],
    1: [mark(1, 9, 7 * SEGMENT + 3)],
    3: [mark(2, 6.05, 7 * SEGMENT + 4), mark(3, 12, 7 * SEGMENT + 90)],  # the first is a copy of what 2 had there
}


def read(wanted: Sequence[Segment], _: Segment | None) -> Records:
    (only,) = wanted
    return Records((), tuple(it for it in POINTS[only.timeline] if only.begin <= it.lsn < only.end))


def history(timeline: int, of: Mapping[int, Sequence[Fork]] = HISTORIES) -> Sequence[Fork]:
    return of[timeline]


@pytest.mark.parametrize(
    ("minute", "timeline"),
    [(2.2, 1), (6.0, 1), (6.04, 1), (6.05, 2), (8.9, 2), (9, 1), (11, 1), (11.99, 1), (12, 3), (40, 3)],
)
def test_at_any_moment_one_timeline_was_live(minute: float, timeline: int) -> None:
    assert live_at(at(minute), SEGMENTS, read, history) == timeline


def test_without_a_mark_a_timeline_was_live_from_its_first_segment_on() -> None:
    def nothing(_: Sequence[Segment], __: Segment | None) -> Records:
        return Records((), ())

    assert live_at(at(6.09), SEGMENTS, nothing, history) == 1
    assert live_at(at(6.2), SEGMENTS, nothing, history) == 2


def test_the_live_timeline_is_the_one_that_archived_last() -> None:
    assert by_age(SEGMENTS) == [3, 1, 2]
    assert by_age([it for it in SEGMENTS if it.timeline != 3]) == [1, 2]


def test_within_one_second_a_timeline_goes_on_before_another_begins() -> None:
    there = [segment(2, 4, 0), segment(2, 5, 1), segment(1, 6, 1)]

    assert by_age(there) == [1, 2]


def test_a_line_goes_through_its_ancestors_up_to_where_each_was_left() -> None:
    line = Line.to(3, SEGMENTS, history)

    assert [(it.timeline, it.begin // SEGMENT) for it in line.segments] == [
        *((1, number) for number in range(1, 4)),
        *((2, number) for number in range(4, 7)),
        *((3, number) for number in range(7, 10)),
    ]
    assert line.holds(1, 4 * SEGMENT + 100)
    assert not line.holds(1, 4 * SEGMENT + 101)
    assert line.holds(3, 99 * SEGMENT)
    assert [it.timeline for it in Line.to(1, SEGMENTS, history).segments] == [1] * 9


def test_a_history_file_is_read_with_its_reasons_passed_over() -> None:
    text = '1\t0/40000A0\tno recovery target specified\n\n2\t1/7000028\tat restore point "x"\n'

    assert forks(text) == (Fork(1, 0x40000A0), Fork(2, 0x107000028))
