"""Cozumel and eight of its dive sites: all difficulties, certification levels and ways in.

Depths and currents are as dive operators and guidebooks commonly give them; levels are the advice of operators there.
"""

from db.apps.dovvybuddy.models import Destination, DiveSite
from db.seeds.rows import key

COZUMEL = key("dovvybuddy", "destinations", "Cozumel")


def _site(name: str, level: str, dives: int | None, difficulty: str, access: str, description: str) -> DiveSite:
    return DiveSite(
        id=key("dovvybuddy", "dive_sites", "Cozumel", name),
        destination_id=COZUMEL,
        name=name,
        description=description,
        min_certification_level=level,
        min_logged_dives=dives,
        difficulty_band=difficulty,
        access_type=access,
    )


ROWS = (
    Destination(id=COZUMEL, name="Cozumel", country="Mexico"),
    _site(
        "Paradise Reef",
        "OW",
        None,
        "beginner",
        "boat",
        "Low coral ridges in 9 to 14 m with a gentle drift; splendid toadfish under the ledges.",
    ),
    _site(
        "Chankanaab",
        "OW",
        None,
        "beginner",
        "shore",
        "Park with steps into calm water of 3 to 12 m, small coral heads and sunken statues.",
    ),
    _site(
        "Villa Blanca Wall",
        "OW",
        10,
        "intermediate",
        "shore",
        "Swim out from the hotel zone over sand and sponges to a slope that starts at about 12 m.",
    ),
    _site(
        "Palancar Gardens",
        "OW",
        10,
        "intermediate",
        "boat",
        "Coral buttresses and swim-throughs along the edge of the drop-off, mostly between 12 and 21 m.",
    ),
    _site(
        "Columbia Deep",
        "AOW",
        20,
        "intermediate",
        "boat",
        "Tall coral pinnacles over deep water, from about 18 m down; turtles and eagle rays pass by.",
    ),
    _site(
        "Santa Rosa Wall",
        "AOW",
        20,
        "intermediate",
        "boat",
        "Sheer wall from about 15 m with overhangs and tunnels, drifted in moderate to strong current.",
    ),
    _site(
        "Punta Sur - Devil's Throat",
        "AOW",
        50,
        "advanced",
        "boat",
        "Narrow tunnel that ends in the wall at about 40 m; for divers with good buoyancy and a guide.",
    ),
    _site(
        "Barracuda Reef",
        "Rescue",
        100,
        "advanced",
        "boat",
        "Northern reef in open water with fast, changing currents; only with experienced groups.",
    ),
)
