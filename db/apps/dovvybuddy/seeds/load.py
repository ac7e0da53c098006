"""Rows to measure with: 100,000 dive sites, leads and conversations each, and 2,000 embedded chunks.

An HNSW index takes 10 to 25 ms for each vector of 1536 dimensions, so 100,000 chunks would take half an hour: who has
it writes `generated(chunks=100_000)`. Chunks belong to topics, and a chunk's vector lies near its topic's, as those of
texts do: uniformly random ones would all be equally far from each other.
"""

import random
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from db.apps.dovvybuddy.models import (
    ACCESS_TYPES,
    CERTIFICATION_LEVELS,
    DIFFICULTY_BANDS,
    DIMENSIONS,
    LEAD_TYPES,
    ContentEmbedding,
    Destination,
    DiveSite,
    Lead,
    Session,
)
from db.seeds.generated import Generated
from db.seeds.rows import key

EACH, CHUNKS = 100_000, 2_000
SITES_OF_ONE = 100  # a destination's dive sites
TOPICS = 50
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)
_SECTIONS = ("overview", "conditions", "safety", "prices")
_TAGS = (*CERTIFICATION_LEVELS, "drift", "wreck", "night", "deep")
_COUNTRIES = ("Mexico", "Egypt", "Indonesia", "Thailand", "Belize", "Malta", "Palau")


def _id(table: str, number: int) -> UUID:
    return key("dovvybuddy", "load", table, str(number))


def _at(number: int) -> datetime:
    return BEGAN + timedelta(seconds=20 * number)


def _level(number: int) -> str:
    return CERTIFICATION_LEVELS[number % len(CERTIFICATION_LEVELS)]


def _destination(number: int) -> dict[str, Any]:
    country = _COUNTRIES[number % len(_COUNTRIES)]
    return {"id": _id("destinations", number), "name": f"Load Bay {number}", "country": country}


def _site(number: int) -> dict[str, Any]:
    return {
        "id": _id("dive_sites", number),
        "destination_id": _destination_of(number // SITES_OF_ONE),
        "name": f"Reef {number}",
        "description": f"Site {number % SITES_OF_ONE + 1} of its bay, from {5 + number % 30} m on.",
        "min_certification_level": _level(number),
        "min_logged_dives": number % 50 if number % 3 else None,
        "difficulty_band": DIFFICULTY_BANDS[number % len(DIFFICULTY_BANDS)],
        "access_type": ACCESS_TYPES[number % len(ACCESS_TYPES)],
        "is_active": number % 25 != 0,
        "created_at": _at(number),
    }


def _lead(number: int) -> dict[str, Any]:
    return {
        "id": _id("leads", number),
        "type": LEAD_TYPES[number % len(LEAD_TYPES)],
        "diver_profile": {"agency": "PADI", "level": _level(number), "dive_count": number % 300},
        "request_details": {"location": f"Load Bay {number % 1000}", "interests": [_TAGS[number % len(_TAGS)]]},
        "created_at": _at(number),
    }


def _session(number: int) -> dict[str, Any]:
    began = _at(number)
    return {
        "id": _id("sessions", number),
        "diver_profile": {"level": _level(number)} if number % 2 else None,
        "conversation_history": [
            {"role": "user", "message": f"Where do I find reef {number}?", "timestamp": began.isoformat()}
        ],
        "created_at": began,
        "expires_at": FAR if number % 10 else began + timedelta(hours=24),  # every tenth waits for the clean-up
    }


def _chunk(number: int) -> dict[str, Any]:
    topic = number % TOPICS
    return {
        "id": _id("content_embeddings", number),
        "content_path": f"load/topic-{topic}/chunk-{number}.md",
        "chunk_text": f"Chunk {number} tells of topic {topic}.",
        "embedding": vector(number),
        "metadata_": {
            "section": _SECTIONS[number % len(_SECTIONS)],
            "tags": [_TAGS[number % len(_TAGS)]],
            "percent": number // TOPICS % 100,
        },
        "created_at": _at(number),
    }


def vector(number: int) -> list[float]:
    """The vector of chunk `number`: its topic's, and half as much of its own."""
    own = _numbers(f"chunk {number}")
    return [(2 * theirs + ours) / 256 for theirs, ours in zip(_topic(number % TOPICS), own, strict=True)]


@cache
def _topic(number: int) -> list[int]:
    return _numbers(f"topic {number}")


def _numbers(name: str) -> list[int]:
    """-128 to 127, as many as a vector has; the same for the same name on every machine."""
    return [byte - 128 for byte in random.Random(name).randbytes(DIMENSIONS)]  # noqa: S311  # example data


@cache
def _destination_of(number: int) -> UUID:
    return _id("destinations", number)


def generated(each: int = EACH, chunks: int = CHUNKS) -> tuple[Generated, ...]:
    """The set with `each` dive sites, leads and conversations."""
    return (
        Generated(Destination, -(-each // SITES_OF_ONE), _destination),
        Generated(DiveSite, each, _site),
        Generated(Lead, each, _lead),
        Generated(Session, each, _session),
        Generated(ContentEmbedding, chunks, _chunk),
    )


GENERATED = generated()
