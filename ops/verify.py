"""`pgstack backup verify`: every file of the repositories read and compared, every segment counted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ops.errors import EngineError, OpsError
from ops.stack import Stack, StackOption

if TYPE_CHECKING:
    from db.drills.timelines import Fork
    from ops.engine import Engine
    from ops.readings.verification import Verification

RepositoryOption = Annotated[
    Literal["local", "offsite", "old", "old-offsite"] | None,
    typer.Option("--repository", help="Only this one; else each that backups go to."),
]


def verify(stack: StackOption = None, repository: RepositoryOption = None) -> None:
    """Read every backup and WAL segment, and name what is damaged or missing.

    It reads the whole repository, which takes about as long as a restore of all its backups. Exit code 1: something is.

    Example: pgstack backup verify --repository offsite
    """
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415 - slow imports come after what fails fast
    from ops.readings.repository import repositories  # noqa: PLC0415
    from ops.readings.verification import findings  # noqa: PLC0415
    from ops.words import span  # noqa: PLC0415

    engine, container = Engine.connect(found.pulumi.environ), found.container("backup")
    wrong = []
    for name in repositories(engine, container, repository):
        began = time.monotonic()
        try:
            lines = findings(verified(engine, container, name), name)
        except EngineError as error:
            lines = [f"it could not be read: {error}"]
        for line in lines:
            print(f"{name}: {line}")
        if lines:
            wrong.append(name)
        else:
            print(f"{name}: every file is sound and no WAL is missing, in {span(time.monotonic() - began)}")
    if wrong:
        raise OpsError(f"damaged: the {' and the '.join(wrong)} repository")


def verified(engine: Engine, container: str, name: str) -> Verification:
    """Raises EngineError if the repository can't be read at all."""
    from rich.console import Console  # noqa: PLC0415

    from db.drills.timelines import forks  # noqa: PLC0415
    from ops.readings.repository import pgbackrest, repository  # noqa: PLC0415
    from ops.readings.verification import parse  # noqa: PLC0415
    from ops.restoring import wal  # noqa: PLC0415

    def history(cluster: str, timeline: int) -> Sequence[Fork] | None:
        try:
            return forks(wal.history(engine, container, cluster, timeline, name))
        except EngineError:
            return None

    listed = repository(engine, container, name).backups
    command = [*pgbackrest(name), "--output=text", "--verbose", "--log-level-console=detail", "verify"]
    began = time.monotonic()
    with Console(stderr=True, highlight=False).status(f"reading the {name} repository") as shown:

        def watched() -> Iterator[str]:
            for line in engine.follow(container, command):
                shown.update(f"reading the {name} repository: {time.monotonic() - began:.0f} s")
                yield line

        return parse(watched(), listed, history)
