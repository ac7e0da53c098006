"""`pgstack start` and `pgstack stop`: the stack's containers, in the order in which they need each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.errors import EngineError
from ops.stack import Stack, StackOption

if TYPE_CHECKING:
    from ops.engine import Engine

# drills and clients leave first; Postgres hands its last WAL to the repository while it stops, so that goes last
STOP_ORDER = ("drills", "pooler", "postgres", "backup")
_HEALTHY_WITHIN = 180  # seconds; crash recovery replays what max_wal_size allows
_HOPELESS = 3  # restarts; the first could be a race with the server it needs


def start(stack: StackOption = None) -> None:
    """Start the stack's containers and wait until they are healthy.

    Example: pgstack start -s staging
    """
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415 - slow imports come after what fails fast

    engine = Engine.connect(found.pulumi.environ)
    for role in reversed(_in_order(found)):
        name = found.container(role)
        container = engine.existing(name)
        if container.status != "running":
            print(f"starting {name}", flush=True)
            container.start()
    for role in reversed(_in_order(found)):
        name = found.container(role)
        _wait_until_healthy(engine, role, name)
        print(f"{name} is healthy", flush=True)


def stop(stack: StackOption = None) -> None:
    """Stop the stack's containers cleanly; the data stays, and `pgstack start` goes on with it.

    Postgres ends every transaction and writes all it has to disk before it goes, which can take minutes on a busy
    server. `pulumi up` starts a stopped stack too.

    Example: pgstack stop
    """
    found = Stack.read(stack)
    from ops.engine import Engine  # noqa: PLC0415 - slow imports come after what fails fast

    engine = Engine.connect(found.pulumi.environ)
    for role in _in_order(found):
        name = found.container(role)
        container = engine.container(name)
        if container is None or container.status != "running":
            print(f"{name} does not run", flush=True)
            continue
        print(f"stopping {name}", flush=True)
        container.stop()  # with the container's own signal and grace


def _in_order(stack: Stack) -> tuple[str, ...]:
    """The roles in the order in which they stop, restored clusters among them."""
    first, last = ([it for it in roles if it in stack.roles] for roles in (STOP_ORDER[:2], STOP_ORDER[2:]))
    return (*first, *(f"postgres_{number}" for number in stack.outputs.get("generations", ())), *last)


def _wait_until_healthy(engine: Engine, role: str, name: str) -> None:
    import tenacity  # noqa: PLC0415 - only here

    from ops.readings import containers  # noqa: PLC0415

    def undecided(state: containers.State) -> bool:
        return not serves(state) and state.restarts < _HOPELESS

    def serves(state: containers.State) -> bool:
        return state.well and state.health == "healthy"

    last = tenacity.Retrying(
        retry=tenacity.retry_if_result(undecided),
        wait=tenacity.wait_fixed(0.3),
        stop=tenacity.stop_after_delay(_HEALTHY_WITHIN),
        retry_error_callback=lambda attempts: attempts.outcome and attempts.outcome.result(),
    )(lambda: containers.look(engine, role, name))
    if not serves(last):
        how = "keeps ending" if last.restarts >= _HOPELESS else f"is not healthy after {_HEALTHY_WITHIN} s"
        raise EngineError(f"{name} {how}: {engine.last_words(name)} (all it said: `pgstack logs {role}`)")
