"""When a backup was last due: worked out from the schedule that the container runs."""

import datetime

import pytest

from ops.schedule import last_due

FRIDAY = datetime.datetime(2027, 1, 15, 8, 0, 30, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("* * * * *", "2027-01-15 08:00"),
        ("0 2 * * 0", "2027-01-10 02:00"),
        ("0 2 * * 7", "2027-01-10 02:00"),
        ("0 2 * * 1-6", "2027-01-15 02:00"),
        ("30 */4 * * *", "2027-01-15 04:30"),
        ("1 8 * * *", "2027-01-14 08:01"),
        ("0 8 * * 5", "2027-01-15 08:00"),
        ("5/20 7 * * *", "2027-01-15 07:45"),
        ("0 0 1,10 * *", "2027-01-10 00:00"),
        ("0 0 13 * 4", "2027-01-14 00:00"),  # either
        ("0 0 */2 * 4", "2027-01-07 00:00"),  # both: the first of the fields is no choice of days
        ("0 0 29 2 *", "2024-02-29 00:00"),
    ],
)
def test_the_last_moment_of_a_schedule(schedule: str, due: str) -> None:
    assert f"{last_due(schedule, FRIDAY):%Y-%m-%d %H:%M}" == due
