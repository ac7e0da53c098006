"""Where a restore is to end: a time, a transaction, a position in the WAL, a restore point, the archive's end (latest),
or the newest backup's (immediate, which needs the least WAL)."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from dataclasses import dataclass
from typing import Literal

from db import restore_points
from db.drills.timelines import lsn_of
from ops.errors import UnknownError

Kind = Literal["time", "xid", "lsn", "name", "immediate", "latest"]
_AGO = re.compile(r"(?P<number>\d+) ?(?P<unit>s|min|h|d|w)\w*(?<!mo)(?<!months) ago", re.IGNORECASE)
_UNITS = {"s": "seconds", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_WITH_ZONE = re.compile(r"(?P<moment>\d{4}-.*\d) (?P<zone>[A-Za-z]\w*(?:/\w+)*)")
_LSN = re.compile(r"(?P<high>[0-9A-F]{1,8})/(?P<low>[0-9A-F]{1,8})", re.IGNORECASE)
_LARGEST_XID = 2**32 - 1
_FORMS = "a time (2026-11-21 14:30, 2026-11-21T14:30:00+01:00, 2026-11-21 14:30 Europe/Berlin, 10 min ago), a"
_FORMS += " transaction's number, an LSN (0/48B8890), a restore point's name, immediate, or latest"


@dataclass(frozen=True)
class Target:
    """`at` is the moment of a time, with its zone; `number` an xid, or an LSN as bytes from 0/0."""

    kind: Kind
    text: str
    at: datetime.datetime | None = None
    number: int = 0

    def __str__(self) -> str:
        if self.at is not None:
            return f"{self.at.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S.%f} UTC".replace(".000000", "")
        return {"xid": f"transaction {self.text}", "name": f"restore point {self.text}"}.get(self.kind, self.text)


def parse(text: str, now: datetime.datetime) -> Target:
    """`text` as a person types it; a time without a zone is in that of `now`, which has one.

    Raises UnknownError for what is none of the forms, and for a time that is yet to come.
    """
    text = text.strip()
    if text in {"latest", "now"}:
        return Target("latest", "latest")
    if text == "immediate":
        return Target("immediate", text)
    if text.isdecimal():
        if not 2 < int(text) <= _LARGEST_XID:  # noqa: PLR2004  # 0 to 2 are PostgreSQL's own
            raise UnknownError(f"--to {text}: a transaction's number is between 3 and {_LARGEST_XID}")
        return Target("xid", text, number=int(text))
    if _LSN.fullmatch(text):
        return Target("lsn", text.upper(), number=lsn_of(text))
    if restore_points.NAME.fullmatch(text):
        return Target("name", text)
    at = _moment(text, now)
    if at > now:
        raise UnknownError(
            f"--to {text}: {at:%Y-%m-%d %H:%M:%S %Z} is yet to come; now it is {now:%Y-%m-%d %H:%M:%S %Z}"
        )
    return Target("time", text, at=at)


def _moment(text: str, now: datetime.datetime) -> datetime.datetime:
    if ago := _AGO.fullmatch(text):
        try:
            return now - datetime.timedelta(**{_UNITS[ago["unit"].lower()]: int(ago["number"])})
        except OverflowError:
            raise UnknownError(f"--to {text}: that is before the calendar begins") from None
    zone = now.tzinfo
    moment = text
    if named := _WITH_ZONE.fullmatch(text):
        moment = named["moment"]
        try:
            zone = zoneinfo.ZoneInfo(named["zone"])
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise UnknownError(f'--to {text}: there is no time zone "{named["zone"]}"') from None
    try:
        at = datetime.datetime.fromisoformat(moment)
    except ValueError:
        raise UnknownError(f'--to "{text}" is none of: {_FORMS}') from None
    return at if at.tzinfo else at.replace(tzinfo=zone)
