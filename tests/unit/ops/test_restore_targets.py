"""What a person types after --to, in any zone; what is none of the forms is one line."""

import datetime
import zoneinfo

import pytest

from ops.errors import UnknownError
from ops.restoring.targets import Target, parse

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NOW = datetime.datetime(2026, 11, 21, 15, 0, tzinfo=BERLIN)  # 14:00 UTC


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-21 14:30", "2026-11-21 13:30:00"),
        ("2026-11-21T14:30:05.25+03:00", "2026-11-21 11:30:05.250000"),
        ("2026-11-21 13:30:00Z", "2026-11-21 13:30:00"),
        ("2026-11-21 13:30 UTC", "2026-11-21 13:30:00"),
        ("2026-11-21 08:30:00 America/New_York", "2026-11-21 13:30:00"),
        ("2026-11-21", "2026-11-20 23:00:00"),
        ("2026-07-01 12:00", "2026-07-01 10:00:00"),  # summer
        ("10 min ago", "2026-11-21 13:50:00"),
        ("10 minutes ago", "2026-11-21 13:50:00"),
        ("90s ago", "2026-11-21 13:58:30"),
        ("2 hours ago", "2026-11-21 12:00:00"),
        ("1 day ago", "2026-11-20 14:00:00"),
        ("1 week ago", "2026-11-14 14:00:00"),
    ],
)
def test_a_time_is_read_in_the_zone_it_names_else_in_ones_own(text: str, utc: str) -> None:
    assert str(parse(text, NOW)) == f"{utc} UTC"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("latest", Target("latest", "latest")),
        ("now", Target("latest", "latest")),
        ("951", Target("xid", "951", number=951)),
        ("16/b374d848", Target("lsn", "16/B374D848", number=0x16B374D848)),
        ("migrate-20261121T231623Z", Target("name", "migrate-20261121T231623Z")),
        ("before_import.2", Target("name", "before_import.2")),
    ],
)
def test_what_is_no_time_is_told_apart_by_its_form(text: str, target: Target) -> None:
    assert parse(text, NOW) == target


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is none of: a time (2026-11-21 14:30"),
        ("tomorrow at 5", "is none of"),
        ("5 months ago", "is none of"),
        ("2026-02-30", "is none of"),
        ("2026-11-21 14:30 Europe/Atlantis", 'there is no time zone "Europe/Atlantis"'),
        ("2026-11-21 15:01", "2026-11-21 15:01:00 CET is yet to come; now it is 2026-11-21 15:00:00 CET"),
        ("2", "between 3 and 4294967295"),
        ("4294967296", "between 3 and 4294967295"),
        ("99999999999 days ago", "before the calendar begins"),
        ("a" * 64, "is none of"),
    ],
)
def test_anything_else_is_one_line(text: str, says: str) -> None:
    with pytest.raises(UnknownError) as refused:
        parse(text, NOW)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
