"""`pgstack migrate plan`: what is pending, the SQL that it will send, and the locks it will take."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.errors import FAILED
from ops.settings import settings
from ops.stack import CaOption, StackOption, choose

if TYPE_CHECKING:
    from db.migrations import Revision
    from db.migrations.foresight import Step
    from db.migrations.standing import Standing


def plan(
    app: Annotated[str | None, typer.Argument(metavar="[APP]", help="The application; all if left out.")] = None,
    stack: StackOption = None,
    url: Annotated[
        str | None, typer.Option("--url", help="A direct URL of any database, instead of the stack's; needs APP.")
    ] = None,
    ca: CaOption = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Every statement in full, and not only what locks tables.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same for scripts, as one JSON object.")] = False,
) -> None:
    """Say what the database is (empty, older, current ...), what is pending, and which locks that takes.

    Changes nothing.
    Exit 1 where the files here can't migrate it: it is newer, of another branch, edited, inconsistent or not ours.

    Examples:

    pgstack migrate plan maps

    pgstack migrate plan maps --sql --url "$POSTGRES_DIRECT_URL"
    """
    if url is not None and app is None:
        raise typer.BadParameter("--url is one database: name the application it is for")
    found = choose(stack, url, ca)
    from db.errors import RevisionError  # noqa: PLC0415 - after what fails fast
    from db.migrations import sums  # noqa: PLC0415
    from db.migrations.foresight import foresee  # noqa: PLC0415 - after what fails fast
    from db.migrations.standing import standing  # noqa: PLC0415

    pins = settings(found.name).revisions if found else {}
    looked: dict[str, Standing] = {}
    for name in [app] if app else found.apps if found else ():
        ca_file = found.ca_file() if found else ca
        looked[name] = standing(name, url or found.url(name, "direct"), ca_file=ca_file)  # type: ignore[union-attr]
    steps, unseen = {}, []
    for name, it in looked.items():
        try:
            steps[name] = foresee(it)
        except RevisionError as error:  # what is pending is still worth knowing
            steps[name] = {}
            unseen.append(str(error))
    if as_json:
        print(json.dumps({name: _described(it, steps[name]) for name, it in looked.items()}, indent=2))
    else:
        for name, it in looked.items():
            held = f"; held at {pins[name]} until `pgstack migrate up {name}`" if name in pins else ""
            print(f"{name}: {it.kind} ({it.says}){held}")
            summed = sums.listed(name)
            for revision in it.pending:
                draft = revision.path.name not in summed
                _show(revision, steps[name].get(revision.revision, ()), whole=sql, draft=draft)
    for line in unseen:
        print(f"pgstack: {line}", file=sys.stderr)
    if not all(it.agrees for it in looked.values()):
        raise typer.Exit(FAILED)


def _show(revision: Revision, steps: tuple[Step, ...], *, whole: bool, draft: bool) -> None:
    purpose = revision.purpose if revision.filled_in else "still to be filled in: `up` refuses it until then"
    notes = "reversible" if revision.reversible else "can not be undone"
    notes += "; a draft, for dev and preview only: it has no sum" if draft else ""
    print(f"  {revision.revision}  {purpose}  ({notes})")
    for step in steps:
        if whole:
            print("\n".join(f"    {line}" for line in f"{step.statement.text};".splitlines()))
        elif step.locks:
            print(f"    {step.statement.headline}")
        for lock in step.locks:
            print(f"      -- {lock}")


def _described(standing: Standing, steps: dict[str, tuple[Step, ...]]) -> dict[str, Any]:
    return {
        "is": standing.kind,
        "says": standing.says,
        "revision": standing.revision,
        "pending": [
            {
                "revision": it.revision,
                "purpose": it.purpose,
                "ticket": it.ticket,
                "reversible": it.reversible,
                "rollback": it.rollback,
                "statements": [
                    {
                        "sql": step.statement.text,
                        "locks": [{"table": x.table, "level": x.level, "work": x.work} for x in step.locks],
                    }
                    for step in steps.get(it.revision, ())
                ],
            }
            for it in standing.pending
        ],
    }
