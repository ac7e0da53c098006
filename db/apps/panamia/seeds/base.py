"""The club's own account: announcements and notifications of the system are its."""

from db.apps.panamia.models import Profile, User
from db.ids import seeded_id

CLUB = seeded_id("panamia", "users", "club")

ROWS = (
    User(id=CLUB, name="Pana MIA Club", screenname="panamia"),
    Profile(
        id=seeded_id("panamia", "profiles", "club"),
        user_id=CLUB,
        slug="panamia",
        name="Pana MIA Club",
        categories=["org"],
        locations=[{"city": "Miami", "state": "FL", "country": "US"}],
        roles=["staff"],
        descriptions={"background": "A directory and network of Miami's makers, run by its members."},
    ),
)
