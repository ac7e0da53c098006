"""Where a database is not what the repository says: each difference by name, in plain words, with a way out.

for difference in compare(snapshot.load(app), snapshot.read(connection, app)):
    print(difference)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from db.migrations import mending, names, wording
from db.migrations.snapshot import MONTH, Definition, Objects, Snapshot, bounds

_GIVEN: Mapping[str, Definition] = {
    "tables": {"owner": ["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"]},
    "sequences": {"owner": ["SELECT", "UPDATE", "USAGE"]},
    "functions": {"owner": ["EXECUTE"], "PUBLIC": ["EXECUTE"]},
    "types": {"owner": ["USAGE"], "PUBLIC": ["USAGE"]},
    "schemas": {"owner": ["CREATE", "USAGE"]},
    "large objects": {"owner": ["SELECT", "UPDATE"]},
}
_AHEAD = 3  # months for which an app's daily maintenance makes partitions (MAINTENANCE in its package)
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
    shared = expected.folded().objects
    wanted, there = _in_months(shared, found.months), found.objects
    differences = list(_months(wanted, expected, found))
    for kind in sorted(wanted.keys() | there.keys()):
        ours, theirs = wanted.get(kind, {}), there.get(kind, {})
        for name in sorted(ours.keys() | theirs.keys()):
            one_sided = name not in theirs or name not in ours
            if not _told_with_another(kind, name, wanted, there, one_sided=one_sided):
                differences += _compared(found.app, kind, name, (ours.get(name), theirs.get(name)), shared)
    return differences


def _compared(
    app: str, kind: str, name: str, sides: tuple[Definition | None, Definition | None], repository: Objects
) -> Iterator[Difference]:
    ours, theirs = sides

    def difference(detail: str, sentence: str, one: Any, other: Any) -> Difference:
        way_out = mending.way_out(app, kind, name, detail, (ours, theirs), repository)
        return Difference(app, kind, name, detail, one, other, sentence, way_out)

    if kind == "grants":  # an object of which nothing is granted has none, so there are no one-sided grants
        ours, theirs = ours or _given(name), theirs or _given(name)
    if theirs is not None and ours is None and kind in mending.AROUND:
        yield difference("", wording.around(theirs), theirs.get("expected"), theirs.get("found", theirs))
    elif theirs is None:
        yield difference("", "is missing: the repository has it, the database does not", ours, None)
    elif ours is None:
        yield difference("", "should not be there: the database has it, the repository does not", None, theirs)
    else:
        for detail in sorted(ours.keys() | theirs.keys()):
            one, other = ours.get(detail), theirs.get(detail)
            if one != other and (sentence := wording.sentence(kind, detail, one, other)):
                yield difference(detail, sentence, one, other)


def _given(name: str) -> Definition:
    """What PostgreSQL gives on what an owner makes, as long as nobody said otherwise."""
    what, anywhere, _ = name.removeprefix("future ").partition(" anywhere of owner")
    return _GIVEN.get(what, {}) if anywhere else {}


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
        return lone(kinds, rest) or (of == "column" and lone(relations, names.parted(rest)[0]))
    if kind in _OF_TABLES:
        if _told_with_parent(kind, name, wanted, there):
            return True
        if lone(relations, names.parted(name)[0]):
            return True
        return kind == "index" and one_sided and lone(("constraint",), name)
    if kind == "sequence" and one_sided:
        owned = (wanted.get(kind, {}).get(name) or there.get(kind, {}).get(name) or {}).get("belongs to", "")
        return lone(("column",), owned) or lone(relations, names.parted(owned)[0])
    return False


def _told_with_parent(kind: str, name: str, wanted: Objects, there: Objects) -> bool:
    """Whether a partition differs so because its table does: a statement for that changes both."""
    table, own = names.parted(name)
    partition = there.get("table", {}).get(table) or wanted.get("table", {}).get(table) or {}
    ours, theirs = wanted.get(kind, {}), there.get(kind, {})
    mine = ours.get(name) or theirs.get(name) or {}
    for parent in partition.get("part of", ()) if "bounds" in partition else ():
        if kind == "constraint":
            of_parent = [it for it in {**ours, **theirs} if names.parted(it)[0] == parent]
            twins = [it for it in of_parent if (ours.get(it) or theirs[it]).get("definition") == mine.get("definition")]
        else:
            twins = [f"{parent}.{mine['part of'] if kind == 'index' and 'part of' in mine else own}"]
        for twin in twins:
            sides = [(twin in it, name in it) for it in (ours, theirs)]
            alike = all(one == other for one, other in sides) and any(one for one, _ in sides)
            if alike and not all(one for one, _ in sides):
                return True
            if (
                all(one for one, _ in sides)
                and kind == "index"
                and ours.get(twin, {}).get("definition") != theirs.get(twin, {}).get("definition")
            ):
                return True
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
    """Months without a partition: from the first that is there to the next one, in which rows will soon arrive.

    Also one between others, as far as the daily maintenance looks ahead; one made far ahead asks for none before it.
    """
    if not found.month:
        return
    elsewhere = {it.get("bounds") for it in found.objects.get("stray object", {}).values()}  # told as those
    for shared in sorted(expected.folded().objects.get("table", {})):
        parent = shared.removesuffix(f"_{MONTH}")
        if parent == shared or parent not in wanted["table"] or parent not in found.objects.get("table", {}):
            continue
        there = found.months.get(shared, ())
        year, number = (int(it) for it in min([*there, found.month]).split("_"))
        soon = int(found.month[:4]) * 12 + int(found.month[5:])  # the next one, counted from 0
        reach = [min(int(it[:4]) * 12 + int(it[5:]) - 2, soon + _AHEAD - 1) for it in there]
        last = max([soon, *reach])
        others = {
            it["bounds"]: name
            for name, it in found.objects["table"].items()
            if it.get("part of") == [parent] and name not in wanted["table"]
        }
        for count in range(year * 12 + number - 1, last + 1):
            month = f"{count // 12}_{count % 12 + 1:02d}"
            if month in there or f"{parent} {bounds(month)}" in elsewhere:
                continue
            renamed = others.get(bounds(month))
            instead = "its rows are refused, or no longer found" if renamed is None else f"{renamed} holds it"
            sentence = f"has no partition for {month.replace('_', '-')} called {parent}_{month}: {instead}"
            way_out = mending.partition(found.app, parent, month, renamed)
            yield Difference(found.app, "table", parent, "partitions", f"{parent}_{month}", renamed, sentence, way_out)
