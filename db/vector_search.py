"""Nearest neighbours under a filter, with no row lost to the index.

An HNSW scan looks at ef_search rows and filters afterwards: where one row in a hundred passes, almost nothing is left.
Iterative scans (pgvector 0.8) go on until there are enough; in relaxed order they come a little out of order, so the
rows are sorted once more (pgvector's README, "Iterative Index Scans").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import ColumnElement, Double, cast, func, inspect, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.errors import DbError
from db.vectors import cosine_distance, storage

MAX_NEIGHBOURS = 1000  # hnsw.ef_search's own limit
_LEAST_CANDIDATES = 100  # pgvector's default of 40 finds fewer than 95 of 100 neighbours under a filter
_MAX_SCAN_TUPLES = 2_147_483_647  # no end before the rows are found: the default of 20,000 loses those of rarer filters


def nearest(
    session: Session,
    column: InstrumentedAttribute[list[float]],
    query: Sequence[float],
    *,
    dimensions: int,
    limit: int = 10,
    where: Sequence[ColumnElement[bool]] = (),
) -> list[tuple[Any, float]]:
    """The `limit` rows of `column`'s model nearest to `query` that fulfil `where`, with their cosine distance.

    Nearest first, approximate where an HNSW index serves it; fewer than `limit` only where no more rows fulfil `where`.
    Raises EmbeddingError for a vector of the wrong length, DbError for a limit outside 1 to 1000.
    """
    if not 1 <= limit <= MAX_NEIGHBOURS:
        raise DbError(f"limit is {limit}: give a number from 1 to {MAX_NEIGHBOURS}")
    model = column.class_
    [key] = inspect(model).primary_key
    stored = storage(session.connection(), str(model.__table__), column.key)
    distance = cosine_distance(column, query, dimensions, stored)

    def search(order: ColumnElement[float]) -> list[tuple[Any, float]]:
        # the keys only: the rows themselves are fetched once their number is small
        keys = select(key.label("key"), distance.label("distance"))
        near = keys.where(*where).order_by(order).limit(limit).cte("near")
        near = near.prefix_with("MATERIALIZED", dialect="postgresql")  # an inlined one would not be sorted again
        # + 0: from 17 on the planner would see that "distance" is what the index already sorts by
        resorted = select(model, near.c.distance).join(near, near.c.key == key).order_by(near.c.distance + 0, key)
        return [(row, float(value)) for row, value in session.execute(resorted)]

    if stored == "jsonb":
        return search(distance)
    with _settings(session, _scan(limit)):
        found = search(distance)
    if len(found) == limit:
        return found
    # Fewer may be all there are, or the scan ended at its memory: what the index does not serve is exact
    return search(distance + literal(0, Double()))


def _scan(limit: int) -> Mapping[str, str]:
    return {
        "hnsw.iterative_scan": "relaxed_order",
        "hnsw.ef_search": str(min(max(limit, _LEAST_CANDIDATES), MAX_NEIGHBOURS)),
        "hnsw.max_scan_tuples": str(_MAX_SCAN_TUPLES),
    }


@contextmanager
def _settings(session: Session, wanted: Mapping[str, str]) -> Iterator[None]:
    """Hold `wanted` for the statements inside; local, so that nothing outlives the transaction behind a pooler."""
    # a cast to vector comes first: only once the extension's library is loaded are there values to come back to
    loaded = cast(literal("[1]"), VECTOR(1))
    old = [func.current_setting(name) for name in wanted]
    row = session.execute(select(loaded, *old, *_assigned(wanted))).one()
    yield
    session.execute(select(*_assigned(dict(zip(wanted, row[1 : len(old) + 1], strict=True)))))


def _assigned(values: Mapping[str, str]) -> list[ColumnElement[str]]:
    return [func.set_config(name, value, True) for name, value in values.items()]  # noqa: FBT003  # true: local
