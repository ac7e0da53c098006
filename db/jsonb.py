"""JSONB of any shape: what cannot be stored is named before a statement is sent, changes in place are written.

    payload: Mapped[dict[str, Any]] = mapped_column(Json())

Or in a `type_annotation_map`. JSON of a known form is a document (db.documents).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Dialect, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstanceState, InstrumentedAttribute, Mapper
from sqlalchemy.types import TypeDecorator

from db.document_changes import Containers, adopted
from db.documents import UnwrappedError, place, refusal


class Json(TypeDecorator[Any]):
    """JSONB whose values raise DocumentError, which names table, column and field, where PostgreSQL would refuse them.

    None is JSON's null, or with `none_as_null` the database's.
    """

    impl = JSONB
    cache_ok = True
    hashable = False  # as JSONB has it

    def __init__(self, *, none_as_null: bool = False) -> None:
        super().__init__(none_as_null=none_as_null)
        self.none_as_null = none_as_null
        self.should_evaluate_none = not none_as_null  # as JSONB has it
        self.column: Column[Any] | None = None

    @property
    def _static_cache_key(self) -> Any:  # the column is for messages only
        return (Json, self.none_as_null)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        """`value`, if it can be stored."""
        if value is not JSONB.NULL and (told := refusal(value)):
            raise UnwrappedError(f"{place(self.column) or 'JSON'} {told}")
        return value

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """What JSONB compares with JSON is checked as well."""
        compared = self.impl_instance.coerce_compared_value(op, value)
        return self if compared is self.impl_instance else compared


@event.listens_for(Json, "after_parent_attach")
def _attached(target: Json, parent: Column[Any]) -> None:
    own = target.copy()  # a type_annotation_map gives the same one to every column
    own.column = parent
    parent.type = own


@event.listens_for(Mapper, "mapper_configured")
def _configured(mapper: Mapper[Any], class_: type) -> None:
    for attribute in mapper.column_attrs:
        if isinstance(attribute.columns[0], Column) and isinstance(attribute.columns[0].type, Json):
            _track(getattr(class_, attribute.key))


def _track(attribute: InstrumentedAttribute[Any]) -> None:
    # sqlalchemy.ext.mutable would do it, but for the texts and numbers that a JSONB column may hold as well
    def held(state: InstanceState[Any], value: Any, *_: Any) -> Any:
        value = adopted(value, None)
        if isinstance(value, Containers):
            value._parents[state] = attribute.key
        return value

    def loaded(state: InstanceState[Any], *_: Any) -> None:
        if attribute.key in state.dict:
            state.dict[attribute.key] = held(state, state.dict[attribute.key])

    event.listen(attribute, "set", held, raw=True, retval=True, propagate=True)
    for name in ("load", "refresh", "refresh_flush"):
        event.listen(attribute.class_, name, loaded, raw=True, propagate=True)
