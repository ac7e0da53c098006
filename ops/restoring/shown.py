"""A restore's plan as a person reads it."""

from __future__ import annotations

import datetime

from ops.restoring.plan import Plan
from ops.words import ago, size, span


def show(plan: Plan, *, growing: bool = True) -> None:
    """Print it, a line a fact; `growing`: a live server could still archive more there."""
    for name, said in _lines(plan, growing=growing):
        print(f"{name:<12} {said}")


def _lines(plan: Plan, *, growing: bool) -> list[tuple[str, str]]:
    now = datetime.datetime.now(datetime.UTC)
    began, ended = plan.window
    kept = "no transaction since the backup"
    if plan.kept:
        kept = f"all up to transaction {plan.kept.xid}, committed {_at(plan.kept.at)}"
    discarded = "nothing that is archived"
    if plan.discarded and plan.newest:
        many = "1 transaction" if plan.discarded == 1 else f"{plan.discarded:,} transactions"
        discarded = f"{many} after it, the last committed {_at(plan.newest.at)}"
    segments = "all there" if not plan.missing else f"{len(plan.missing)} MISSING"
    lines = [
        ("window", f"{_at(began)} to {_at(ended)}"),
        ("target", str(plan.target)),
        (
            "backup",
            f"{plan.backup.label}, {plan.backup.type}, complete {_at(plan.backup.stop)}, {size(plan.backup.size)}",
        ),
        ("WAL", f"{plan.first} to {plan.last}, {size(plan.wal)}, {segments}"),
        ("keeps", kept),
        ("leaves out", discarded),
        ("takes", f"about {span(plan.seconds)}"),
    ]
    if plan.missing:  # then they would say what can't be
        del lines[4:]
    if plan.target.at is not None:
        lines[1] = ("target", f"{plan.target}, {ago((now - plan.target.at).total_seconds())}")
    if plan.target.kind == "latest" or (plan.target.at is not None and plan.target.at > plan.archived):
        rest = (
            "`pgstack restore run` has the live server archive the rest first" if growing else "nothing later is there"
        )
        lines.insert(4, ("archived", f"WAL up to {_at(plan.archived)}; {rest}"))
    if plan.timeline != plan.live:
        lines.insert(2, ("timeline", f"{plan.timeline}, live no more; nothing of {plan.live}, which is, comes back"))
    return lines


def impossible(plan: Plan) -> str:
    """Why it can't be carried out, and what to do."""
    if plan.missing:
        return (
            f"WAL segment {plan.missing[0]} is not in the repository, so backup {plan.backup.label} leads no further"
            f" than to about {_at(plan.reaches or plan.backup.stop)}: choose a target before that"
        )
    return f"backup {plan.backup.label} holds pages with wrong checksums: `pgstack backup list` shows older ones"


def _at(moment: datetime.datetime) -> str:
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"
