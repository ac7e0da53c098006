"""When a cron schedule was last due, as the scheduler in the backup container understands its five fields."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))  # minute, hour, day, month, weekday (0 and 7: Sunday)
_DAYS = 4 * 366  # the longest time between two: 29 February


def last_due(schedule: str, now: datetime.datetime) -> datetime.datetime | None:
    """The last moment at or before `now` (in UTC), None without any. `schedule` as infra/settings.py let it through."""
    fields = schedule.split()
    minutes, hours, days, months, weekdays = (
        set(_numbers(field, *limits)) for field, limits in zip(fields, _LIMITS, strict=True)
    )
    weekdays = {it % 7 for it in weekdays}
    # cron(5): where both are given, either will do
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    for back in range(_DAYS):
        day = now.date() - datetime.timedelta(days=back)
        by_day, by_weekday = day.day in days, day.isoweekday() % 7 in weekdays
        if day.month in months and (by_day or by_weekday if either else by_day and by_weekday):
            times = (datetime.time(hour, minute, tzinfo=datetime.UTC) for hour in hours for minute in minutes)
            due = [moment for it in times if (moment := datetime.datetime.combine(day, it)) <= now]
            if due:
                return max(due)
    return None


def _numbers(field: str, low: int, high: int) -> Iterator[int]:
    for item in field.split(","):
        numbers, _, step = item.partition("/")
        first, _, last = numbers.partition("-")
        if first == "*":
            first, last = str(low), str(high)
        elif step and not last:
            last = str(high)
        yield from range(int(first), int(last or first) + 1, int(step or 1))
