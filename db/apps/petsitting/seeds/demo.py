"""An offer and a booking between two members of panamia's demo set, which must be there."""

from datetime import date

from db.apps.panamia.seeds.demo import ANA, BEA
from db.apps.petsitting.models import Booking, Listing
from db.ids import seeded_id

LISTING = seeded_id("petsitting", "demo", "listings", "cats")

ROWS = (
    Listing(
        id=LISTING,
        sitter_id=ANA,
        title="Cats, weekends",
        price_cents=4000,
    ),
    Booking(
        id=seeded_id("petsitting", "demo", "bookings", "cats"),
        owner_id=BEA,
        sitter_id=ANA,
        listing_id=LISTING,
        status="confirmed",
        starts_on=date(2026, 3, 7),
        ends_on=date(2026, 3, 8),
    ),
)
