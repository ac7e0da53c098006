"""Rows to measure with: 100,000 listings and bookings of members of panamia's load set, which must be there."""

from db.apps.panamia.seeds.load import MEMBERS
from db.apps.panamia.seeds.load import sql_id as member
from db.apps.petsitting.models import Booking, Listing
from db.seeds.generated import Generated, one_of

_STATUSES = ("requested", "confirmed", "declined", "cancelled", "completed")
_AT = "timestamptz '2026-01-01 00:00+00' + n * interval '20 seconds'"
_STAMPS = {"created_at": _AT, "updated_at": _AT}


def _id(table: str) -> str:
    """SQL for an id of CUID2's form."""
    return f"'l' || left(md5('petsitting/load/{table}/' || n), 23)"


def generated(members: int = MEMBERS) -> tuple[Generated, ...]:
    """The set of `members` members, 2 or more: each offers sitting, and books the next one's."""
    return (
        Generated(
            Listing,
            members,
            {
                "id": _id("listings"),
                "sitter_id": member("users"),
                "title": f"{one_of(('Cats', 'Dogs', 'Birds', 'Fish'))} || ', offer ' || n",
                "price_cents": "2000 + n % 50 * 100",
                "is_active": "n % 25 <> 0",
                **_STAMPS,
            },
        ),
        Generated(
            Booking,
            members,
            {
                "id": _id("bookings"),
                "owner_id": member("users", f"(n + 1) % {members}"),
                "sitter_id": member("users"),
                "listing_id": _id("listings"),
                "status": one_of(_STATUSES),
                "starts_on": "date '2026-01-01' + (n % 360)::integer",
                "ends_on": "date '2026-01-02' + (n % 360)::integer",
                **_STAMPS,
            },
        ),
    )


GENERATED = generated()
