"""`pgstack logs`: what the servers say."""

from __future__ import annotations

import datetime
import queue
import re
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ops.stack import Stack, StackOption

if TYPE_CHECKING:
    from ops.engine import Engine

Role = Literal["postgres", "pooler", "backup", "drills"]
_SPAN = re.compile(r"(\d+)\s*(s|m|min|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def _moment(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    if match := _SPAN.fullmatch(text.strip()):
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f'"{text}" is no time: give 90s, 10m, 2h, 1d or 2026-01-31T12:00') from None
    return moment.astimezone(datetime.UTC)


def logs(
    role: Annotated[Role | None, typer.Argument(help="One of the servers; all of them if left out.")] = None,
    stack: StackOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more is said, until Ctrl-C.")] = False,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From when on: 90s, 10m, 2h, 1d ago, or an ISO time.")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of each server.")] = 100,
) -> None:
    """Show the logs of the servers, merged by time.

    Examples:

    pgstack logs postgres -f

    pgstack logs --since 10m -n 1000
    """
    moment = _moment(since)
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415 - slow imports come after what fails fast

    engine = Engine.connect(found.pulumi.environ)
    roles: Sequence[str] = [role] if role else found.roles
    names = {it: engine.existing(found.container(it)).name or it for it in roles}
    width = max(map(len, roles)) if len(roles) > 1 else 0
    told = _following(engine, names, moment, lines) if follow else _past(engine, names, moment, lines)
    for speaker, line in told:
        print(f"{speaker:<{width}}  {line}" if width else line, flush=follow)


def _past(
    engine: Engine, names: dict[str, str], since: datetime.datetime | None, lines: int
) -> Iterator[tuple[str, str]]:
    said: list[tuple[str, str, str]] = []
    for role, name in names.items():
        raw = engine.existing(name).logs(timestamps=True, since=since, tail=lines)
        for line in raw.decode(errors="replace").splitlines():
            stamp, _, text = line.partition(" ")
            said.append((stamp, role, text))
    # Docker's stamps sort as text; the sort is stable, so lines of one server keep their order
    return ((role, text) for _, role, text in sorted(said, key=lambda it: it[0]))


def _following(
    engine: Engine, names: dict[str, str], since: datetime.datetime | None, lines: int
) -> Iterator[tuple[str, str]]:
    said: queue.Queue[tuple[str, str] | None] = queue.Queue()

    def listen(role: str, name: str) -> None:
        rest = ""
        for chunk in engine.existing(name).logs(stream=True, follow=True, since=since, tail=lines):
            *whole, rest = (rest + chunk.decode(errors="replace")).split("\n")
            for line in whole:
                said.put((role, line))
        said.put(None)

    for role, name in names.items():
        threading.Thread(target=listen, args=(role, name), daemon=True).start()
    silent = 0
    while silent < len(names):  # a server that ended says no more
        match said.get():
            case None:
                silent += 1
            case spoken:
                yield spoken
