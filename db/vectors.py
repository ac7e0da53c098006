"""A column of embeddings that is pgvector's `vector` where the server has it and JSONB where it has not.

Both read and write the same text, "[0.1,0.2,...]", so models and inserts need not know which it is. A search must
(`storage`), because only vectors have distance operators and indexes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import sqlalchemy
from pgvector.sqlalchemy import VECTOR
from sqlalchemy import ColumnElement, Dialect
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from db.errors import EmbeddingError

Storage = Literal["vector", "jsonb"]


_FLOAT4_MAX = 3.4028234663852886e38  # pgvector keeps 4 bytes a number
_SHORTEST, _LONGEST = 1.2e-19, 1.8e19  # it sums their squares in 4 bytes too: outside, the distance is no number


class _UnwrappedError(EmbeddingError, DontWrapMixin):
    """SQLAlchemy would bury what a bind processor raises in the statement and all its values."""


class Embedding(TypeDecorator[list[float]]):
    """`dimensions` finite numbers. Binding anything else raises EmbeddingError before a statement is sent."""

    impl = VECTOR
    cache_ok = True

    def __init__(self, dimensions: int) -> None:
        super().__init__(dimensions)
        self.dimensions = dimensions

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:  # noqa: ARG002
        """Python list to the text that both column types read."""
        return lambda value: None if value is None else as_text(value, self.dimensions)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], list[float] | None]:  # noqa: ARG002
        """What the driver gives (text of a vector, list of a JSONB array) to a list."""

        def process(value: Any) -> list[float] | None:
            if value is None:
                return None
            return [float(number) for number in (json.loads(value) if isinstance(value, str) else value)]

        return process


def as_text(values: Sequence[float], dimensions: int) -> str:
    """`values` as "[1.0,2.0]". Raises EmbeddingError for another length, what is no finite number, and all zeros."""
    _check_length(values, dimensions)
    for position, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise _UnwrappedError(f"dimension {position} of the embedding is {value!r}: it must be a finite number")
        if abs(value) > _FLOAT4_MAX:
            raise _UnwrappedError(f"dimension {position} of the embedding is {value!r}: it must fit a 4-byte float")
    if not any(values):  # without a direction: no cosine distance, and an index leaves it out
        raise _UnwrappedError("the embedding is all zeros: nothing is near it")
    length = math.hypot(*values)
    if not _SHORTEST <= length <= _LONGEST:
        raise _UnwrappedError(f"the embedding's length is {length:g}: nothing is near it, scale it to about 1")
    return "[" + ",".join(repr(float(value)) for value in values) + "]"


def _check_length(values: Sequence[float], dimensions: int) -> None:
    if not hasattr(values, "__len__"):
        raise _UnwrappedError(f"the embedding is a {type(values).__name__}: it must be a list of {dimensions} numbers")
    if len(values) != dimensions:
        raise _UnwrappedError(f"the embedding has {len(values)} dimensions, the column takes {dimensions}")


def storage(connection: sqlalchemy.Connection, table: str, column: str) -> Storage:
    """Which of the two `column` of `table` (schema.name) is in this database."""
    name = connection.scalar(
        sqlalchemy.text(
            "SELECT t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
            " WHERE a.attrelid = to_regclass(:table) AND a.attname = :column"
        ),
        {"table": table, "column": column},
    )
    return "jsonb" if name == "jsonb" else "vector"


def cosine_distance(
    column: ColumnElement[list[float]] | InstrumentedAttribute[list[float]],
    query: Sequence[float],
    dimensions: int,
    stored: Storage,
) -> ColumnElement[float]:
    """1 - cosine similarity of `column` and `query`: 0 for the same direction, 2 for the opposite.

    With "vector" an HNSW index of vector_cosine_ops serves `ORDER BY` this, ascending, with a LIMIT; with "jsonb" the
    server computes every row. Raises EmbeddingError for another length.
    """
    _check_length(query, dimensions)
    given = sqlalchemy.bindparam(None, list(query), type_=Embedding(dimensions))
    if stored == "vector":
        return column.op("<=>", return_type=sqlalchemy.Double())(sqlalchemy.cast(given, VECTOR(dimensions)))
    return _JsonDistance(column, given)


class _JsonDistance(FunctionElement[float]):
    """The same number from two JSON arrays; NULL where one of them is all zeros (`<=>` gives NaN): both sort last."""

    type = sqlalchemy.Double()
    inherit_cache = True


@compiles(_JsonDistance)
def _compile_json_distance(element: _JsonDistance, compiler: SQLCompiler, **keywords: Any) -> str:
    ours, theirs = (compiler.process(clause, **keywords) for clause in element.clauses)
    return _JSON_DISTANCE.format(ours=ours, theirs=theirs)


_JSON_DISTANCE = """(
    SELECT 1 - sum(a.v::float8 * b.v::float8) / nullif(sqrt(sum(a.v::float8 ^ 2)) * sqrt(sum(b.v::float8 ^ 2)), 0)
    FROM jsonb_array_elements_text({ours}) WITH ORDINALITY AS a (v, i)
    JOIN jsonb_array_elements_text(CAST({theirs} AS jsonb)) WITH ORDINALITY AS b (v, i) USING (i)
)"""
