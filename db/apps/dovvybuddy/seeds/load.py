"""Rows to measure with: 100,000 dive sites, leads, conversations and embedded chunks each, 100 sites a destination.

The chunks come last and take most of the time: their HNSW index costs milliseconds for each vector of 1536 dimensions
(db/README.md has the figure). They belong to topics, 100 chunks after each other, as a document is embedded whole; a
chunk's vector lies near its topic's, as those of texts do: uniformly random ones would all be equally far from each
other.
"""

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
from db.seeds.generated import Generated, one_of
from db.seeds.rows import key_sql

EACH = 100_000
OF_ONE = 100  # a destination's dive sites, a topic's chunks
_SECTIONS = ("overview", "conditions", "safety", "prices")
_TAGS = (*CERTIFICATION_LEVELS, "drift", "wreck", "night", "deep")
_COUNTRIES = ("Mexico", "Egypt", "Indonesia", "Thailand", "Belize", "Malta", "Palau")
_AT = "timestamptz '2026-01-01 00:00+00' + n * interval '20 seconds'"
_FAR = "timestamptz '2100-01-01 00:00+00'"
_LEVEL = one_of(CERTIFICATION_LEVELS)
_AS_TEXT = f"to_char(({_AT}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"')"


def _id(table: str, number: str = "n") -> str:
    return key_sql(number, "dovvybuddy", "load", table)


def _bytes(name: str) -> str:
    """SQL for as many bytes as a vector has numbers: SHA-512 of the name and 1, 2, ..."""
    blocks = " || ".join(f"sha512(convert_to({name} || ' {it}', 'UTF8'))" for it in range(DIMENSIONS // 64))
    return f"({blocks})"


_TOPIC, _OWN = _bytes(f"'topic ' || n / {OF_ONE}"), _bytes("'chunk ' || n")
_VECTOR = (  # the topic's, twice, and the chunk's own; less their mean, which all would have in common
    # OFFSET 0 keeps the bytes out of the sort, which would else write them to disk 1,536 times
    f"(WITH bytes AS MATERIALIZED (SELECT {_TOPIC} AS topic, {_OWN} AS own)"  # noqa: S608  # this file's own SQL
    " SELECT '[' || string_agg(number, ',' ORDER BY i) || ']' FROM"
    " (SELECT i, (2 * get_byte(topic, i) + get_byte(own, i) - 382)::text AS number"
    f" FROM bytes, generate_series(0, {DIMENSIONS - 1}) AS i OFFSET 0) AS numbers)"
)


def generated(each: int = EACH, chunks: int = EACH) -> tuple[Generated, ...]:
    """The set with `each` dive sites, leads and conversations."""
    return (
        Generated(
            Destination,
            -(-each // OF_ONE),
            {"id": _id("destinations"), "name": "'Load Bay ' || n", "country": one_of(_COUNTRIES), "created_at": _AT},
        ),
        Generated(
            DiveSite,
            each,
            {
                "id": _id("dive_sites"),
                "destination_id": _id("destinations", f"n / {OF_ONE}"),
                "name": "'Reef ' || n",
                "description": f"'Site ' || n % {OF_ONE} + 1 || ' of its bay, from ' || 5 + n % 30 || ' m on.'",
                "min_certification_level": _LEVEL,
                "min_logged_dives": "CASE WHEN n % 3 > 0 THEN n % 50 END",
                "difficulty_band": one_of(DIFFICULTY_BANDS),
                "access_type": one_of(ACCESS_TYPES),
                "is_active": "n % 25 <> 0",
                "created_at": _AT,
            },
        ),
        Generated(
            Lead,
            each,
            {
                "id": _id("leads"),
                "type": one_of(LEAD_TYPES),
                "diver_profile": f"jsonb_build_object('agency', 'PADI', 'level', {_LEVEL}, 'dive_count', n % 300)",
                "request_details": "jsonb_build_object('location', 'Load Bay ' || n % 1000,"
                f" 'interests', jsonb_build_array({one_of(_TAGS)}))",
                "created_at": _AT,
            },
        ),
        Generated(
            Session,
            each,
            {
                "id": _id("sessions"),
                "diver_profile": f"CASE WHEN n % 2 = 1 THEN jsonb_build_object('level', {_LEVEL}) END",
                "conversation_history": "jsonb_build_array(jsonb_build_object('role', 'user',"
                f" 'message', 'Where do I find reef ' || n || '?', 'timestamp', {_AS_TEXT}))",
                "created_at": _AT,
                # every tenth waits for the clean-up
                "expires_at": f"CASE WHEN n % 10 = 0 THEN {_AT} + interval '24 hours' ELSE {_FAR} END",
            },
        ),
        Generated(
            ContentEmbedding,
            chunks,
            {
                "id": _id("content_embeddings"),
                "content_path": f"'load/topic-' || n / {OF_ONE} || '/chunk-' || n || '.md'",
                "chunk_text": f"'Chunk ' || n || ' tells of topic ' || n / {OF_ONE} || '.'",
                "embedding": _VECTOR,
                "metadata_": f"jsonb_build_object('section', {one_of(_SECTIONS)}, 'tags',"
                f" jsonb_build_array({one_of(_TAGS)}), 'percent', n % 100)",
                "created_at": _AT,
            },
            batch=500,
        ),
    )


GENERATED = generated()
