"""When bots are due, how runs may go, and what a search finds."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import psycopg
import pytest

from tests.db.bots_world import OURS, acting, add_bot, migrated, one
from tests.db.conftest import Connection, Prepare, Prepared


@pytest.fixture(scope="module")
def database(prepare: Prepare) -> Prepared:
    return migrated(prepare)


@pytest.fixture
def us(database: Prepared) -> Iterator[Connection]:
    with acting(database.app_url, OURS) as connection:
        yield connection


FINAL = ("succeeded", "failed", "cancelled", "timed_out")
STEPS = {
    "queued": ("running", "failed", "cancelled"),
    "running": FINAL,
    **dict.fromkeys(FINAL, ()),
}


@pytest.mark.parametrize("table", ["bot_runs", "workflow_runs"])
@pytest.mark.parametrize(("start", "end"), [(start, end) for start in STEPS for end in STEPS if start != end])
@pytest.mark.requirement("bots.P2.stored-procedures")
def test_a_run_goes_from_queued_to_running_to_one_end(us: Connection, table: str, start: str, end: str) -> None:
    parent = "bot_id" if table == "bot_runs" else "workflow_id"
    row = OURS.bot if table == "bot_runs" else OURS.workflow
    run = one(
        us,
        f"INSERT INTO {table} (organization_id, {parent}, status) VALUES (%s, %s, %s) RETURNING id",
        OURS.organization,
        row,
        start,
    )
    change = f"UPDATE {table} SET status = %s WHERE id = %s RETURNING started_at = now(), finished_at = now()"

    if end in STEPS[start]:
        began = True if "running" in (start, end) else None
        ended = None if end == "running" else True
        assert one(us, change, end, run) == (began, ended)
    else:
        with pytest.raises(psycopg.errors.CheckViolation, match=f"a run that is {start} cannot become {end}"):
            us.execute(change, (end, run))


MONDAY = datetime.datetime(2026, 6, 1, 10, 30, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("schedule", "zone", "expected"),
    [
        ("* * * * *", "UTC", "2026-06-01 10:31"),
        ("*/15 * * * *", "UTC", "2026-06-01 10:45"),
        ("30 10 * * *", "UTC", "2026-06-02 10:30"),
        ("5,50 9-11 * * *", "UTC", "2026-06-01 10:50"),
        ("0 0 1 * *", "UTC", "2026-07-01 00:00"),
        ("0 0 * * 0", "UTC", "2026-06-07 00:00"),
        ("0 0 * * 7", "UTC", "2026-06-07 00:00"),
        ("0 9 * * 1-5", "UTC", "2026-06-02 09:00"),
        ("0 0 13 * 5", "UTC", "2026-06-05 00:00"),  # the 13th or a Friday
        ("0 0 */2 * 1", "UTC", "2026-06-15 00:00"),  # an odd day and a Monday
        ("0 0 29 2 *", "UTC", "2028-02-29 00:00"),
        ("0 12 * * *", "Europe/Berlin", "2026-06-02 10:00"),  # two hours ahead of UTC in summer
        ("0 12 * * *", "America/New_York", "2026-06-01 16:00"),
        ("@hourly", "UTC", "2026-06-01 11:00"),
        ("@daily", "UTC", "2026-06-02 00:00"),
        ("@weekly", "UTC", "2026-06-07 00:00"),
        ("@monthly", "UTC", "2026-07-01 00:00"),
        ("@yearly", "UTC", "2027-01-01 00:00"),
        ("3/20 * * * *", "UTC", "2026-06-01 10:43"),
    ],
)
@pytest.mark.requirement("bots.P2.stored-procedures", "bots.columns.schedule")
def test_the_next_run_is_when_cron_says(us: Connection, schedule: str, zone: str, expected: str) -> None:
    found = one(us, "SELECT next_cron(%s, %s, %s)", schedule, MONDAY, zone)

    assert isinstance(found, datetime.datetime)
    assert found.strftime("%Y-%m-%d %H:%M") == expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2026-03-29T00:30Z", "2026-03-29 01:30"),  # 2:30 does not exist that day: an hour later by the clock
        ("2026-10-25T00:00Z", "2026-10-25 01:30"),  # 2:30 comes twice: once is enough
        ("2026-10-25T01:30Z", "2026-10-26 01:30"),
    ],
)
@pytest.mark.requirement("bots.P2.stored-procedures")
def test_a_change_of_the_clocks_neither_skips_nor_repeats_a_run(us: Connection, after: str, expected: str) -> None:
    found = one(us, "SELECT to_char(next_cron('30 2 * * *', %s, 'Europe/Berlin'), 'YYYY-MM-DD HH24:MI')", after)

    assert found == expected


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "expected"),
    [
        ("*/15 * * * *", "Europe/Berlin", "2026-10-24T23:55Z", "00:00 00:15 00:30 00:45 01:00 01:15"),
        ("30 */1 * * *", "Europe/Berlin", "2026-10-24T23:00Z", "23:30 00:30 01:30 02:30 03:30 04:30"),
        ("*/15 0-23 * * *", "Europe/Berlin", "2026-03-29T00:35Z", "00:45 01:00 01:15 01:30 01:45 02:00"),
        ("*/15 2 * * *", "Europe/Berlin", "2026-10-24T23:55Z", "01:00 01:15 01:30 01:45 01:00 01:15"),
        ("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:25Z", "14:30 14:45 15:00 15:15 15:30 15:45"),
        ("@hourly", "America/Havana", "2026-11-01T03:30Z", "04:00 05:00 06:00 07:00 08:00 09:00"),
    ],
)
@pytest.mark.requirement("bots.P2.stored-procedures")
def test_an_hour_that_comes_twice_counts_twice_for_schedules_of_every_hour_only(
    us: Connection, schedule: str, zone: str, after: str, expected: str
) -> None:
    found = []
    for _ in range(6):
        after = str(one(us, "SELECT next_cron(%s, %s, %s)::text", schedule, after, zone))
        found.append(one(us, "SELECT to_char(%s::timestamptz, 'HH24:MI')", after))

    assert found == expected.split()


def test_a_day_that_never_comes_has_no_next_run(us: Connection) -> None:
    assert one(us, "SELECT next_cron('0 0 31 2 *', now())") is None


BAD: tuple[str, ...] = (
    "",
    "* * * *",
    "* * * * * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "* * * * 8",
    "5-1 * * * *",
)
BAD += ("*/0 * * * *", "a * * * *", "1,,2 * * * *", "@often", "-1 * * * *", "1.5 * * * *", "0 0 * * MON", "1;2 * * * *")
BAD += ("*,foo,bar * * * *", "*,99 * * * *", "99,* * * * *", "0 *,24 * * *")


@pytest.mark.parametrize("schedule", BAD)
@pytest.mark.requirement("bots.columns.schedule")
def test_what_is_no_cron_expression_is_refused(us: Connection, schedule: str) -> None:
    assert one(us, "SELECT is_cron(%s)", schedule) is False
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="is no cron expression of five fields"):
        add_bot(us, schedule=schedule)


@pytest.mark.requirement("bots.columns.schedule")
def test_next_run_at_follows_schedule_activity_and_deletion(us: Connection) -> None:
    bot = add_bot(us, schedule="0 0 1 1 *")

    def next_run(change: str = "name = name") -> object:
        return one(us, f"UPDATE bots SET {change} WHERE id = %s RETURNING next_run_at", bot)

    yearly = next_run()
    assert yearly is not None
    daily = next_run("schedule = '@daily'")
    assert daily is not None
    assert daily != yearly
    assert next_run("is_active = false") is None
    assert next_run("is_active = true") == daily
    assert next_run('config = \'{"timezone": "Asia/Tokyo"}\'') != daily
    assert next_run("deleted_at = now()") is None
    assert next_run("deleted_at = NULL") is not None
    assert next_run("next_run_at = '2999-01-01Z'") == datetime.datetime(2999, 1, 1, tzinfo=datetime.UTC)
    assert next_run("schedule = NULL") is None


@pytest.mark.requirement("bots.columns.schedule")
def test_an_inactive_bot_is_never_due(us: Connection) -> None:
    bot = add_bot(us, schedule="@daily", is_active=False, next_run_at="2001-01-01Z")

    assert one(us, "SELECT next_run_at FROM bots WHERE id = %s", bot) is None


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("counting", ["Counter of pelicans", "Feeder of pelicans"]),  # both descriptions count; stems agree
        ("feeder", ["Feeder of pelicans"]),
        ('"counter of pelicans"', ["Counter of pelicans"]),
        ("pelican -feeder", ["Counter of pelicans"]),
        ("nothing at all", []),
        ("!!! ' -- & |", []),
    ],
)
@pytest.mark.requirement("bots.P1.full-text-search")
def test_a_search_understands_words_phrases_and_exclusions(us: Connection, words: str, found: list[str]) -> None:
    rows = us.execute("SELECT name FROM search_bots(%s) f JOIN bots b USING (id) ORDER BY f.rank DESC, name", (words,))

    assert sorted(name for (name,) in rows) == found


@pytest.mark.requirement("bots.P1.full-text-search")
def test_a_name_ranks_above_a_description(us: Connection) -> None:
    add_bot(us, name="Otter", slug="one", description="x")
    add_bot(us, name="x", slug="two", description="an otter")
    rows = us.execute("SELECT slug FROM search_bots('otter') f JOIN bots b USING (id) ORDER BY f.rank DESC")

    assert rows.fetchall() == [("one",), ("two",)]


@pytest.mark.parametrize("most", [0, -1, 1001, None])
def test_a_search_gives_1_to_1000_rows(us: Connection, most: int | None) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="give 1 to 1000 rows"):
        us.execute("SELECT * FROM search_bots('x', %s)", (most,))


@pytest.mark.requirement("bots.P1.full-text-search")
def test_a_deleted_bot_is_not_found(us: Connection) -> None:
    us.execute("UPDATE bots SET deleted_at = now() WHERE slug = 'feeder'")

    assert us.execute("SELECT * FROM search_bots('feeder')").fetchall() == []
