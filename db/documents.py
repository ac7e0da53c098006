"""Typed JSONB: a pydantic model in, the same model out, versioned, its changes tracked.

    class Schedule(Part):
        cron: str

    class BotConfig(Document, version=2):
        retries: int = 3
        schedule: Schedule | None = None

    @BotConfig.upgrade(1)
    def _(old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "retries": old.pop("tries")}

    config: Mapped[BotConfig] = mapped_column(document(BotConfig))

`bot.config.schedule.cron = "@daily"` is written by the next flush, as are changes of lists, dicts and sets inside. What
is stored is the model's JSON and `version`; JSON without a version counts as version 1.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Column, Dialect, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.ext.mutable import Mutable
from sqlalchemy.types import TypeDecorator

from db.document_changes import UNTRACKED, Rows, TrackedModel, mistakes
from db.errors import DocumentError

Upgrade = Callable[[dict[str, Any]], dict[str, Any]]
_VERSION: Final = "version"  # the key in the JSON


class UnwrappedError(DocumentError, DontWrapMixin):
    """SQLAlchemy would bury what a bind processor raises in the statement and all its values."""


class Part(TrackedModel):
    """A model inside a document. An assigned value is validated (DocumentError), and the document told of it."""

    # errors of assignments get into logs: they say what is wrong with the value and don't show it
    model_config = ConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)


class Document(Part):
    """A model that fills a column. `class X(Document, version=2)` after a change that old JSON does not fit."""

    __slots__ = ("_rows",)

    document_version: ClassVar[int] = 1
    _upgrades: ClassVar[dict[int, Upgrade]] = {}

    def __init_subclass__(cls, *, version: int = 1, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.document_version = version
        cls._upgrades = {}

    @classmethod
    def upgrade(cls, version: int) -> Callable[[Upgrade], Upgrade]:
        """Register the function that turns the JSON of `version` into that of the next one."""

        def register(function: Upgrade) -> Upgrade:
            cls._upgrades[version] = function
            return function

        return register

    @property
    def __sa_type_engine__(self) -> TypeDecorator[Any]:  # what SQLAlchemy asks a value that stands beside no column
        return DocumentType(type(self))

    @property
    def _parents(self) -> Rows:  # what sqlalchemy.ext.mutable records itself in
        try:
            rows: Rows = object.__getattribute__(self, "_rows")
        except AttributeError:
            rows = Rows()
            object.__setattr__(self, "_rows", rows)
        return rows


D = TypeVar("D", bound=Document)


def document(model: type[D]) -> TypeDecorator[D]:
    """The type of a JSONB column that holds `model`.

    Values that do not fit raise DocumentError, which names table, column and field, before a statement is sent; JSON in
    the database that does not fit raises it when it is read. Raises DocumentError at once for a model whose changes
    could not be tracked, or that lacks an upgrade.
    """
    _check(model)
    column_type = DocumentType(model)

    @event.listens_for(column_type, "after_parent_attach")
    def attached(target: DocumentType[D], parent: Column[Any]) -> None:
        target.column = parent

    class Tracked(Mutable):
        @classmethod
        def coerce(cls, key: str, value: Any) -> Any:  # noqa: ARG003  # sqlalchemy.ext.mutable's signature
            return None if value is None else column_type.fitting(value)

    return cast("TypeDecorator[D]", Tracked.as_mutable(column_type))


class DocumentType(TypeDecorator[D]):
    """See `document`."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def __init__(self, model: type[D]) -> None:
        super().__init__()
        self.model = model
        self.column: Column[Any] | None = None

    @property
    def _static_cache_key(self) -> Any:  # the column is for messages only
        return (DocumentType, self.model)

    def fitting(self, value: Any) -> D:
        """`value` as the model: itself, or a mapping that fits. Raises DocumentError."""
        if isinstance(value, self.model):
            return value
        if isinstance(value, Mapping):
            return self._validated(dict(value))
        raise self._error(f"takes a {self.model.__name__}, not a {type(value).__name__}")

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        """The model's JSON with its version."""
        if value is None:
            return None
        try:
            # a list that was appended to, or a model_construct, was never checked; model_dump drops what does not fit
            data = self._validated(_raw(self.fitting(value)), UNTRACKED).model_dump(mode="json", warnings=False)
        except DocumentError:
            raise
        except (TypeError, ValueError, RecursionError) as error:
            raise self._error(_no_json(error)) from None
        self._validated(data, UNTRACKED)  # that it can be read again
        if told := refusal(data):
            raise self._error(told)
        return {_VERSION: self.model.document_version, **data}

    def process_result_value(self, value: Any, dialect: Dialect) -> D | None:  # noqa: ARG002
        """The model, upgraded from older versions."""
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._error(f"holds a JSON {type(value).__name__} where an object is needed")
        data = dict(value)
        version = data.pop(_VERSION, 1)
        current = self.model.document_version
        if not isinstance(version, int) or not 1 <= version <= current:
            raise self._error(f"holds version {str(version)[:20]}, this release knows 1 to {current}")
        for step in range(version, current):
            try:
                data = self.model._upgrades[step](data)  # its own base's
            except Exception as error:
                raise self._error(f"cannot be upgraded from version {step}: {type(error).__name__}") from error
        return self._validated(data)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """A whole document compares as what is stored of it, everything else (`column["key"]`) as JSONB does."""
        if isinstance(value, self.model):
            return self
        return self.impl_instance.coerce_compared_value(op, value)

    def _validated(self, data: dict[str, Any], context: object = None) -> D:
        try:
            return self.model.model_validate(data, context=context)
        except ValidationError as error:
            raise self._error(mistakes(error)) from None  # its own text would show the values

    def _error(self, told: str) -> DocumentError:
        return UnwrappedError(f"{place(self.column) or 'a document'} ({self.model.__name__}) {told}")


def place(column: Column[Any] | None) -> str:
    """The name of a column for messages; empty while it has no table."""
    return f"{column.table}.{column.name}" if column is not None and column.table is not None else ""


def _raw(value: Any) -> Any:
    """`value` with the fields of its Parts as they are, for another validation: an instance counts as validated."""
    if isinstance(value, Part):
        return {name: _raw(it) for name, it in value.__dict__.items()}
    if isinstance(value, dict):
        return {key: _raw(it) for key, it in value.items()}
    if type(value) is tuple or isinstance(value, list):
        return [_raw(it) for it in value]
    return value


# the escape of a NUL byte, of surrogates, in pairs or not, and what json makes of numbers that are not finite
_SUSPICIOUS = re.compile(r"\\u(?:0000|d[89a-f])|NaN|Infinity")
_SURROGATE = re.compile("[\ud800-\udfff]")


def refusal(value: Any) -> str | None:
    """Why `value` cannot be stored as JSON, without the value."""
    try:
        if _SUSPICIOUS.search(json.dumps(value)):  # far faster than to walk through every document
            for path, problem in unstorable(value):
                return f"field {'.'.join(path)}: {problem}" if path else problem
    except (TypeError, ValueError, RecursionError) as error:
        return _no_json(error)
    return None


def _no_json(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return f"holds what JSON has no word for ({type(error).__name__})"


def unstorable(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """What Python's JSON can say and PostgreSQL cannot store, with the keys that lead there."""
    if isinstance(value, str):
        if "\0" in value:
            yield path, "a text cannot hold a NUL byte"
        elif not value.isascii() and _SURROGATE.search(value):
            yield path, "a text cannot hold half of a surrogate pair"
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "JSON knows finite numbers only"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from unstorable(key, (*path, "(a key)"))
            yield from unstorable(item, (*path, str(key)))
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            yield from unstorable(item, (*path, str(position)))


def _check(model: type[Document]) -> None:
    missing = [it for it in range(1, model.document_version) if it not in model._upgrades]
    if missing:
        raise DocumentError(f"{model.__name__} has no upgrade from version {missing[0]}: @{model.__name__}.upgrade")
    if _VERSION in model.model_fields:
        raise DocumentError(f"{model.__name__} has a field {_VERSION}: that key of the JSON is ours")
    _check_fields(model, set())


def _check_fields(model: type[BaseModel], seen: set[type]) -> None:
    seen.add(model)
    for name, field in model.model_fields.items():
        for kind in _kinds(field.annotation):
            frozen_class = dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
            if (issubclass(kind, BaseModel) and not issubclass(kind, Part)) or (
                dataclasses.is_dataclass(kind) and not frozen_class
            ):
                raise DocumentError(
                    f"{model.__name__}.{name} holds a {kind.__name__}, whose changes are not tracked: make it a Part"
                )
            if issubclass(kind, Part) and kind not in seen:
                _check_fields(kind, seen)


def _kinds(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _kinds(argument)
