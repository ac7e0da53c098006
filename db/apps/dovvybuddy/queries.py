"""What dovvybuddy asks of its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from db import vector_search
from db.apps.dovvybuddy.models import DIMENSIONS, ContentEmbedding, Destination, DiveSite


@dataclass(frozen=True)
class Neighbour:
    """A chunk and its cosine distance to the query, from 0 (same direction) to 2."""

    chunk: ContentEmbedding
    distance: float


def nearest(
    session: Session,
    embedding: Sequence[float],
    limit: int = 10,
    *,
    metadata: Mapping[str, Any] | None = None,
    path_prefix: str | None = None,
) -> list[Neighbour]:
    """The `limit` chunks nearest to `embedding`, nearest first; approximate where the HNSW index serves it.

    `metadata` keeps chunks whose metadata contain it ({"tags": ["OW"]}: that tag among others), `path_prefix` those
    whose path begins so. Fewer than `limit` come back only where there are no more.
    Raises EmbeddingError for a vector of the wrong length, DbError for a limit outside 1 to 1000.
    """
    where: list[ColumnElement[bool]] = []
    if metadata:
        where.append(ContentEmbedding.metadata_.contains(metadata))
    if path_prefix:
        where.append(ContentEmbedding.content_path.startswith(path_prefix, autoescape=True))
    found = vector_search.nearest(
        session, ContentEmbedding.embedding, embedding, dimensions=DIMENSIONS, limit=limit, where=where
    )
    return [Neighbour(chunk, distance) for chunk, distance in found]


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
