"""The way out of grants that differ."""

from __future__ import annotations

from collections.abc import Mapping

from db.migrations import names
from db.migrations.snapshot import Definition

_OPTION = " WITH GRANT OPTION"


def statements(
    app: str, name: str, role: str, sides: tuple[Definition, Definition], repository: Mapping[str, Definition]
) -> str:
    """GRANT and REVOKE for one role of one object, by which it gets what the first of `sides` gives it, not the second.

    `name` is that of the snapshot ("table users", "future tables of owner"), `repository` all grants of that; in one
    line.
    """
    ours, theirs = sides
    of, _, rest = name.removeprefix("materialized ").removeprefix("window ").partition(" ")
    has, should = set(theirs.get(role, ())), set(ours.get(role, ()))
    columns = prefix = ""
    if of == "future":
        what, _, maker = rest.partition(" of ")
        kind, _, anywhere = what.partition(" ")
        place = "" if anywhere else f" IN SCHEMA {names.quoted(app)}"
        prefix, on = f"ALTER DEFAULT PRIVILEGES FOR ROLE {names.role(app, maker)}{place} ", kind.upper()
    elif of == "column":
        table, column = names.parted(rest)
        columns, on = f" ({names.quoted(column)})", names.quoted(app, table)
    elif of == "schema":
        on = f"SCHEMA {names.quoted(rest)}"
    else:
        own, parenthesis, arguments = rest.partition("(")
        words = {"view": "TABLE", "aggregate": "FUNCTION"}
        on = f"{words.get(of, of.upper())} {names.quoted(app, own)}{parenthesis}{arguments}"

    def listed(privileges: set[str]) -> str:
        return ", ".join(f"{it.removesuffix(_OPTION)}{columns}" for it in sorted(privileges))

    told = []
    if only_passed_on := {it for it in has - should if it.endswith(_OPTION) and it.removesuffix(_OPTION) in should}:
        told.append(f"{prefix}REVOKE GRANT OPTION FOR {listed(only_passed_on)} ON {on} FROM {names.role(app, role)}")
        has = has - only_passed_on | {it.removesuffix(_OPTION) for it in only_passed_on}
    if has - should:
        told.append(f"{prefix}REVOKE {listed(has - should)} ON {on} FROM {names.role(app, role)}")
        # what is taken of a table is taken of its columns too
        for privilege in sorted({it.removesuffix(_OPTION) for it in has - should}) if of == "table" else ():
            of_columns = (key for key, its in repository.items() if privilege in its.get(role, ()))
            those = sorted(key for key in of_columns if key.startswith(f"column {rest}."))
            if those:
                kept = ", ".join(names.quoted(names.parted(key.removeprefix("column "))[1]) for key in those)
                told.append(f"GRANT {privilege} ({kept}) ON {on.removeprefix('TABLE ')} TO {names.role(app, role)}")
    plain, passed_on = ({it for it in should - has if it.endswith(_OPTION) is option} for option in (False, True))
    if plain:
        told.append(f"{prefix}GRANT {listed(plain)} ON {on} TO {names.role(app, role)}")
    if passed_on:
        told.append(f"{prefix}GRANT {listed(passed_on)} ON {on} TO {names.role(app, role)}{_OPTION}")
    return "; ".join(told)
