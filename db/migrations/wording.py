"""How a difference is told: one sentence, in plain words, with what each side says."""

from __future__ import annotations

import json
from typing import Any

from db.migrations.snapshot import Definition

# How a property is shown that is not there, what it is called, and what follows from a difference.
_ABSENT = {
    "state": "valid",
    "fires": "whenever it should",
    "enforced": "always",
    "persistence": "logged",
    "row security": "disabled",
    "row security of the owner": "not forced",
    "nullable": "NOT NULL",
    "not null": "proven",
    "kept": "stored",
    "volatility": "volatile",
    "runs with the rights of": "its caller",
    "parallel": "unsafe",
    "null arguments": "are passed on",
    "for": "every command",
    ("policy", "kind"): "permissive",
    "cycle": "no",
    "replica identity": "the default",
    "storage": "the type's own",
    "collation": "the type's own",
    "access method": "heap",
    "statistics": "the default",
    "cost": "the default",
    "rows": "the default",
    "start": 1,
    "increment": 1,
    "minimum": 1,
    "cache": 1,
}
_PRESENT = {"nullable": "NULL"}
_CALLED = {
    "nullable": "nullability",
    "not null": "NOT NULL",
    "generated": "generating expression",
    "kept": "way of keeping the generated value",
    "fires": "firing",
    "enforced": "enforcement",
    "using": "condition on rows that are there (USING)",
    "check": "condition on rows that are written (WITH CHECK)",
    "to": "roles",
    "for": "command",
    "runs with the rights of": "rights",
    "null arguments": "answer to NULL",
    "part of": "parent",
    "of": "base type",
    "row security": "row-level security",
    "row security of the owner": "row-level security for the owner",
}
_MEANING = {
    ("index", "state"): "a build of it failed or was stopped: no query uses it, and a unique one may not hold",
    ("table", "row security"): "policies do nothing while it is disabled",
    ("table", "row security of the owner"): "unless it is forced, policies do nothing for the owner",
    ("table", "persistence"): "an unlogged table is empty after a crash, and on every replica",
    ("table", "part of"): "rows of a partition that was detached are not in the table any more",
    ("trigger", "fires"): "what it keeps up to date or forbids depends on it",
    ("column", "not null"): "older rows may be NULL: only new ones were checked",
    ("constraint", "enforced"): "rows that break it are let in",
    ("function", "runs with the rights of"): "whoever calls it does what its owner may do, or no longer does",
    ("procedure", "runs with the rights of"): "whoever calls it does what its owner may do, or no longer does",
    ("materialized view", "state"): "reading it is an error",
}


def around(theirs: Definition) -> str:
    """What is told of something that stands around the schema (see db.migrations.mending.AROUND)."""
    if "found" in theirs:
        return f"is {theirs['found']}, for which the bootstrap sets {theirs.get('expected', 'nothing')}"
    if "missing" in theirs:
        return "is missing: the bootstrap gives it, the database does not"
    return "should not be there: the database has it, the bootstrap does not make it"


def sentence(kind: str, detail: str, ours: Any, theirs: Any) -> str:
    """What is told of one property that differs, without the object's name; empty where another difference tells it."""
    if kind == "grants":
        return _of_grants(detail, ours or [], theirs or [])
    if detail == "columns":  # a column that only one side has is told as that
        both = set(ours) & set(theirs)
        kept, now = [it for it in ours if it in both], [it for it in theirs if it in both]
        return f"has its columns in another order: the repository says {_list(kept)}, the database has {_list(now)}" * (
            kept != now
        )
    if detail == "values":
        return _of_values(ours or [], theirs or [])
    if detail == "body":
        return _of_body(ours or [], theirs or [])
    meaning = _MEANING.get((kind, detail))
    if detail == "state" and theirs is not None:
        return f"is {theirs} in the database: {meaning or 'not as it should be'}; the repository says it is valid"
    lead = f"differs in its {_CALLED.get(detail, detail)}" if detail != "definition" else "is defined otherwise"
    said, has = (_shown(kind, detail, it) for it in (ours, theirs))
    return f"{lead}: the repository says {said}, the database has {has}{f' ({meaning})' if meaning else ''}"


def _of_grants(role: str, ours: list[str], theirs: list[str]) -> str:
    lacks, more = ([it for it in one if it not in other] for one, other in ((ours, theirs), (theirs, ours)))
    told = [f"lacks {', '.join(lacks)}, which the repository gives"] * bool(lacks)
    told += [f"has {', '.join(more)}, which the repository does not give"] * bool(more)
    return f"differ for {role}: in the database it {' and '.join(told)}"


def _of_values(ours: list[str], theirs: list[str]) -> str:
    lacks, more = ([it for it in one if it not in other] for one, other in ((ours, theirs), (theirs, ours)))
    if not lacks and not more:
        return f"has its values in another order: the repository says {_list(ours)}, the database has {_list(theirs)}"
    told = [f"lacks the value {_list(lacks)}"] * bool(lacks)
    told += [f"has the value {_list(more)}, which the repository does not know"] * bool(more)
    return f"has other values: the database's {' and '.join(told)}"


def _of_body(ours: list[str], theirs: list[str]) -> str:
    pairs = enumerate(zip([*ours, "(its end)"], [*theirs, "(its end)"], strict=False), 1)
    at, one, other = next(((at, one, other) for at, (one, other) in pairs if one != other), (1, "", ""))
    if one.strip() != other.strip():
        one, other = one.strip(), other.strip()
    return f"has another body, from its line {at} on: the repository says {one!r}, the database has {other!r}"


def _shown(kind: str, detail: str, value: Any) -> str:
    if value is None:
        return str(_ABSENT.get((kind, detail), _ABSENT.get(detail, "none")))
    if value is True:
        return _PRESENT.get(detail, "yes")
    if isinstance(value, list):
        return _list(value)
    return " ".join(value.split()) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _list(values: list[str]) -> str:
    return ", ".join(values) or "none"
