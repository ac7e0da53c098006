"""Where a database is not what the repository says: each difference by name, in plain words, with a way out.

for difference in compare(snapshot.load(app), snapshot.read(connection, app)):
    print(difference)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from db.migrations import mending
from db.migrations.snapshot import MONTH, Definition, Objects, Snapshot

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
_OF_TABLES = ("column", "constraint", "index", "trigger", "rule", "policy")


@dataclass(frozen=True)
class Difference:
    """One property of one object, or (`detail` is empty) an object that only one side has.

    `repository` and `database` are what each says, None where it has no such object.
    """

    app: str
    kind: str
    name: str
    detail: str
    repository: Any
    database: Any
    sentence: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.app}: {self.kind} {self.name} {self.sentence}. Way out: {self.way_out}"


def compare(expected: Snapshot, found: Snapshot) -> list[Difference]:
    """Every difference between what the repository says and what the database has, sorted by kind and name.

    What belongs to a table that only one side has is not reported by itself.
    """
    wanted, there = _in_months(expected.folded().objects, found.months), found.objects
    differences = list(_months(wanted, expected, found))
    for kind in sorted(wanted.keys() | there.keys()):
        ours, theirs = wanted.get(kind, {}), there.get(kind, {})
        for name in sorted(ours.keys() | theirs.keys()):
            one_sided = name not in theirs or name not in ours
            if not _told_with_another(kind, name, wanted, there, one_sided=one_sided):
                differences += _compared(found.app, kind, name, ours.get(name), theirs.get(name))
    return differences


def _compared(
    app: str, kind: str, name: str, ours: Definition | None, theirs: Definition | None
) -> Iterator[Difference]:
    def difference(detail: str, sentence: str, repository: Any, database: Any) -> Difference:
        way_out = mending.way_out(app, kind, name, detail, ours, theirs)
        return Difference(app, kind, name, detail, repository, database, sentence, way_out)

    if kind == "grants":  # an object of which nothing is granted has none, so there are no one-sided grants
        ours, theirs = ours or {}, theirs or {}
    if theirs is None:
        yield difference("", "is missing: the repository has it, the database does not", ours, None)
    elif ours is None:
        yield difference("", "should not be there: the database has it, the repository does not", None, theirs)
    else:
        for detail in sorted(ours.keys() | theirs.keys()):
            one, other = ours.get(detail), theirs.get(detail)
            if one != other and (sentence := _sentence(kind, detail, one, other)):
                yield difference(detail, sentence, one, other)


def _sentence(kind: str, detail: str, ours: Any, theirs: Any) -> str:
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


def _told_with_another(kind: str, name: str, wanted: Objects, there: Objects, *, one_sided: bool) -> bool:
    """Whether this difference follows from one of a table, a column or a constraint that only one side has."""

    def lone(kinds: tuple[str, ...], name: str) -> bool:
        return any((name in wanted.get(kind, {})) != (name in there.get(kind, {})) for kind in kinds)

    relations = ("table", "view", "materialized view", "composite type")
    if kind == "grants":
        of, _, rest = name.partition(" ")
        while of in {"materialized", "window"}:
            more, _, rest = rest.partition(" ")
            of = f"{of} {more}"
        of_type = ("enum", "domain", "range", "composite type", "type")
        kinds = of_type if of == "type" else (of,)
        return lone(kinds, rest) or (of == "column" and lone(relations, rest.partition(".")[0]))
    if kind in _OF_TABLES:
        if lone(relations, name.partition(".")[0]):
            return True
        return kind == "index" and one_sided and lone(("constraint",), name)
    if kind == "sequence" and one_sided:
        owned = (wanted.get(kind, {}).get(name) or there.get(kind, {}).get(name) or {}).get("belongs to", "")
        return lone(("column",), owned) or lone(relations, owned.partition(".")[0])
    return False


def _in_months(objects: Objects, months: Mapping[str, tuple[str, ...]]) -> Objects:
    """`objects` with what the file says of each monthly partition once for every month that the database has."""
    shared = [name for name in objects.get("table", {}) if name.endswith(f"_{MONTH}")]

    def named(name: str) -> list[str]:
        of = next((it for it in shared if it in name), None)
        return [name] if of is None else [name.replace(of, of[: -len(MONTH)] + it) for it in months.get(of, ())]

    return {
        kind: {real: definition for name, definition in its.items() for real in named(name)}
        for kind, its in objects.items()
    }


def _months(wanted: Objects, expected: Snapshot, found: Snapshot) -> Iterator[Difference]:
    """Months without a partition: from the first that is there to the next one, in which rows will soon arrive."""
    if not found.month:
        return
    for shared in sorted(expected.folded().objects.get("table", {})):
        parent = shared.removesuffix(f"_{MONTH}")
        if parent == shared or parent not in wanted["table"] or parent not in found.objects.get("table", {}):
            continue
        there = found.months.get(shared, ())
        year, number = (int(it) for it in min([*there, found.month]).split("_"))
        soon = int(found.month[:4]) * 12 + int(found.month[5:])
        last = max([soon, *(int(it[:4]) * 12 + int(it[5:]) - 1 for it in there)])
        for count in range(year * 12 + number - 1, last + 1):
            month = f"{count // 12}_{count % 12 + 1:02d}"
            if month not in there:
                sentence = f"has no partition for {month.replace('_', '-')}: its rows are refused, or no longer found"
                way_out = mending.partition(found.app, parent, month)
                yield Difference(found.app, "table", parent, "partitions", f"{parent}_{month}", None, sentence, way_out)
