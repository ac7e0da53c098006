"""What dovvybuddy asks of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.apps.dovvybuddy.models import DIMENSIONS, ContentEmbedding, Destination, DiveSite
from db.errors import DbError
from db.vectors import cosine_distance, storage

_MAX_NEIGHBOURS = 1000  # hnsw.ef_search's own limit
_DEFAULT_EF_SEARCH = 40  # pgvector's default


@dataclass(frozen=True)
class Neighbour:
    """A chunk and its cosine distance to the query, from 0 (same direction) to 2."""

    chunk: ContentEmbedding
    distance: float


def nearest(session: Session, embedding: Sequence[float], limit: int = 10) -> list[Neighbour]:
    """The `limit` chunks nearest to `embedding`, nearest first; approximate where the HNSW index serves it.

    Raises EmbeddingError for a vector of the wrong length, DbError for a limit outside 1 to 1000.
    """
    if not 1 <= limit <= _MAX_NEIGHBOURS:
        raise DbError(f"limit is {limit}: give a number from 1 to {_MAX_NEIGHBOURS}")
    table = ContentEmbedding.__table__
    stored = storage(session.connection(), str(table), "embedding")
    if stored == "vector" and limit > _DEFAULT_EF_SEARCH:
        # an HNSW scan returns at most ef_search rows; local, so that it ends with the transaction also behind a pooler
        session.execute(select(func.set_config("hnsw.ef_search", str(limit), True)))  # noqa: FBT003
    distance = cosine_distance(ContentEmbedding.embedding, embedding, DIMENSIONS, stored).label("distance")
    found = session.execute(select(ContentEmbedding, distance).order_by(distance).limit(limit))
    return [Neighbour(chunk, float(value)) for chunk, value in found]


def destinations_by_name(session: Session, name: str) -> Sequence[Destination]:
    """Active destinations whose name or country contains `name`, in any case, by name."""
    wanted = Destination.name.icontains(name, autoescape=True) | Destination.country.icontains(name, autoescape=True)
    return session.scalars(
        select(Destination).where(Destination.is_active, wanted).order_by(Destination.name, Destination.id)
    ).all()


def sites_by_name(session: Session, name: str) -> Sequence[DiveSite]:
    """Active dive sites of active destinations whose name contains `name`, in any case, by name."""
    return session.scalars(
        select(DiveSite)
        .join(DiveSite.destination)
        .where(DiveSite.is_active, Destination.is_active, DiveSite.name.icontains(name, autoescape=True))
        .order_by(DiveSite.name, DiveSite.id)
    ).all()
