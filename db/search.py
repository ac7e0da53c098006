"""Full-text search in the words people type: quotes for phrases, `or`, and - for what must not occur.

A GIN index on the tsvector serves `matches`, but not under row-level security: `@@` is not marked leakproof, so the
server first reads every row the policies allow (PostgreSQL manual, 41.5). There, search by a SECURITY DEFINER function
of the owner that names the organization itself.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, cast, func, literal
from sqlalchemy.dialects.postgresql import REGCONFIG
from sqlalchemy.orm import InstrumentedAttribute

from db.errors import SearchError

_LONGEST = 1000  # characters; PostgreSQL's own limit is 1 MB, which no person types
Column = ColumnElement[Any] | InstrumentedAttribute[Any]


def matches(column: Column, text: str, config: str = "english") -> ColumnElement[bool]:
    """Whether a tsvector `column` has what `text` asks for; never a syntax error, and "" matches nothing.

    Raises SearchError for a text with a NUL byte or of more than 1000 characters.
    """
    return column.bool_op("@@")(_query(text, config))


def rank(column: Column, text: str, config: str = "english") -> ColumnElement[float]:
    """How well `column` matches, higher is better (PostgreSQL manual, 12.3.3: cover density). Raises as `matches`."""
    return func.ts_rank_cd(column, _query(text, config))


def checked(text: str) -> str:
    """`text`, for a search function of the database. Raises as `matches`."""
    if "\0" in text:
        raise SearchError("the search text holds a NUL byte")
    if len(text) > _LONGEST:
        raise SearchError(f"the search text has {len(text)} characters: search for {_LONGEST} at most")
    return text


def _query(text: str, config: str) -> ColumnElement[Any]:
    return func.websearch_to_tsquery(cast(literal(config), REGCONFIG), checked(text))
