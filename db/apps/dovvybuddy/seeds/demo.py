"""Example leads, a conversation and embedded chunks, to try the application with.

The embeddings are unit vectors from a seeded generator: the same everywhere, and about nothing. A search finds a chunk
by its own vector, not by its meaning.
"""

import math
import random

from db.apps.dovvybuddy.models import DIMENSIONS, ContentEmbedding, Lead, Session
from db.seeds.rows import key

CHUNKS = (
    (
        "certifications/padi-open-water.md",
        "The Open Water course ends with four dives in open water and certifies to a depth of 18 m.",
        {"section": "overview", "tags": ["OW"], "source": "demo"},
    ),
    (
        "certifications/padi-advanced-open-water.md",
        "The Advanced Open Water course has five adventure dives, one deep and one with underwater navigation.",
        {"section": "overview", "tags": ["AOW"], "source": "demo"},
    ),
    (
        "destinations/cozumel.md",
        "Most dives in Cozumel are drift dives from a boat; the current sets the pace.",
        {"section": "conditions", "tags": ["drift", "boat"], "source": "demo"},
    ),
    (
        "safety/no-fly-time.md",
        "After repetitive dives wait at least 18 hours before flying.",
        {"section": "flying", "tags": ["safety"], "source": "demo"},
    ),
)


def vector(path: str) -> list[float]:
    """A unit vector of the column's dimensions that depends on `path` only."""
    numbers = random.Random(path)  # noqa: S311  # example data, not a secret
    raw = [numbers.gauss() for _ in range(DIMENSIONS)]
    length = math.sqrt(sum(value * value for value in raw))
    return [round(value / length, 6) for value in raw]


ROWS = (
    Lead(
        id=key("dovvybuddy", "leads", "demo-training"),
        type="training",
        diver_profile={"agency": "PADI", "level": "OW", "dive_count": 12},
        request_details={"location": "Cozumel", "interests": ["AOW", "drift"], "dates": "February"},
    ),
    Lead(
        id=key("dovvybuddy", "leads", "demo-trip"),
        type="trip",
        diver_profile={"agency": "SSI", "level": "AOW", "dive_count": 64},
        request_details={"location": "Cozumel", "interests": ["walls", "turtles"], "divers": 2},
    ),
    Session(
        id=key("dovvybuddy", "sessions", "demo"),
        diver_profile={"level": "OW"},
        conversation_history=[
            {"role": "user", "message": "Where can I dive from shore?", "timestamp": "2026-01-05T09:00:00Z"},
            {"role": "assistant", "message": "Chankanaab is calm.", "timestamp": "2026-01-05T09:00:02Z"},
        ],
    ),
    *(
        ContentEmbedding(
            id=key("dovvybuddy", "content_embeddings", path),
            content_path=path,
            chunk_text=chunk,
            embedding=vector(path),
            metadata_=metadata,
        )
        for path, chunk, metadata in CHUNKS
    ),
)
