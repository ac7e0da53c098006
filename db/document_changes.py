"""Changes inside a JSONB value: each finds its way up to the row, which the next flush then writes.

What is put into a value belongs to one owner from then on, a model or a container; it tells the owner, and so does the
owner, up to what the column holds. That knows its rows. A plain list, dict or set is copied for that when it is put in:
go on with what stands in the value then, `extra["a"]`, because no list of Python's tells of its changes.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.mutable import MutableDict, MutableList, MutableSet
from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.attributes import flag_modified

from db.errors import DocumentError

UNTRACKED: Final = object()
"""The context of a validation whose result nobody keeps."""


class TrackedModel(BaseModel):
    """A model whose fields tell of every assignment, and what they hold of every change."""

    __slots__ = ("_owner",)  # not a private attribute: copies must not take it along

    def model_post_init(self, context: Any, /) -> None:
        """Adopt what the fields hold; a subclass that overrides this calls it."""
        super().model_post_init(context)
        if context is not UNTRACKED:
            _adopt_fields(self)

    if not TYPE_CHECKING:  # which would take it for leave to assign anything

        def __setattr__(self, name: str, value: Any) -> None:
            try:
                super().__setattr__(name, value)
            except ValidationError as error:
                raise DocumentError(f"{type(self).__name__} {mistakes(error)}") from None
            if name in type(self).model_fields:
                _adopt_fields(self)
                _changed(self)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        copied = super().__deepcopy__(memo)
        _adopt_fields(copied)
        return copied

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        _adopt_fields(self)


class Rows(WeakKeyDictionary[InstanceState[Any], str]):
    """The rows that hold a document, and the attribute of each.

    The session holds its objects weakly, so `session.get(Bot, id).config.retries = 5` would change a document whose row
    is gone already: the document keeps it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[int, object] = {}

    def __setitem__(self, state: InstanceState[Any], key: str) -> None:
        super().__setitem__(state, key)
        self._kept[id(state)] = state.obj()

    def pop(self, state: InstanceState[Any], *default: Any) -> Any:
        self._kept.pop(id(state), None)
        return super().pop(state, *default)


class Containers:
    """Lists, dicts and sets in a document, or in place of one (db.jsonb): like a Part, they tell their owner."""

    _owner: Any = None

    def changed(self) -> None:
        """What sqlalchemy.ext.mutable's containers call after every change."""
        try:
            _adopt_items(self)
        except RecursionError:
            raise DocumentError("what was put into JSON is nested too deeply") from None
        _changed(self)

    @property
    def _parents(self) -> Rows:
        rows: Rows = self.__dict__.setdefault("_rows", Rows())
        return rows


class _List(Containers, MutableList[Any]):
    pass


class _Dict(Containers, MutableDict[Any, Any]):
    @classmethod
    def coerce(cls, key: str, value: Any) -> Any:  # noqa: ARG003  # MutableDict's signature
        return value

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """What stands in the dict from now on, where MutableDict gives back `default` itself."""
        super().setdefault(key, default)
        return self[key]


class _Set(Containers, MutableSet[Any]):
    pass


def _changed(node: Any) -> None:
    """Walk up to what the column holds and mark its rows as modified."""
    while (owner := getattr(node, "_owner", None)) is not None:
        node = owner
    rows: Rows | None = getattr(node, "_parents", None)
    if rows is None:  # a Part in no document yet
        return
    for state, key in list(rows.items()):
        row = state.obj()
        if row is not None and state.dict.get(key) is node:  # else it was replaced by another document
            flag_modified(row, key)


def mistakes(error: ValidationError) -> str:
    """The first fields that do not fit and why, in one line that shows no value."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"field {'.'.join(map(str, it['loc'])) or 'none'}: {it['msg']}" for it in found[:5])


def adopted(value: Any, owner: Any) -> Any:
    """`_adopted`, or a DocumentError where Python's stack ends."""
    try:
        return _adopted(value, owner)
    except RecursionError:
        raise DocumentError("a value for a JSONB column is nested too deeply") from None


def _adopted(value: Any, owner: Any) -> Any:
    """`value` as it stands in `owner`: containers in their telling form, what belongs to another owner as a copy."""
    kind = type(value)
    if kind in _PLAIN:  # first: it is most of what there is
        return value
    if isinstance(value, (TrackedModel, Containers)):
        holder = getattr(value, "_owner", None)
        if holder is not None and holder is not owner:  # by identity: two containers may be equal
            value = copy.deepcopy(value)
            holder = None
        object.__setattr__(value, "_owner", owner)
        if holder is None and isinstance(value, Containers):  # a copy's items have no owner either
            _adopt_items(value)
        return value
    if kind is tuple:
        return tuple(_adopted(it, owner) for it in value)
    if kind in _TELLING:
        made = _TELLING[kind](value)
        made._owner = owner
        _adopt_items(made)
        return made
    return value


_PLAIN = frozenset({str, int, float, bool, type(None)})
_TELLING: dict[type, Any] = {list: _List, dict: _Dict, set: _Set}


def _adopt_fields(node: TrackedModel) -> None:
    for name in type(node).model_fields:
        if name in node.__dict__:
            node.__dict__[name] = adopted(node.__dict__[name], node)


def _adopt_items(node: Containers) -> None:
    if isinstance(node, list):
        for position, item in enumerate(node):
            list.__setitem__(node, position, _adopted(item, node))
    elif isinstance(node, dict):
        for key, item in node.items():
            dict.__setitem__(node, key, _adopted(item, node))
