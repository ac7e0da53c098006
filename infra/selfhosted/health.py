"""Whether a server serves: asked here, because the provider's own wait ends after minutes and can't say why.

The answer is the input of a Stash: an unchanged, healthy server costs one look, a preview shows what is wrong, and a
server that does not serve fails every `pulumi up` until it does, with its own last words.
"""

import asyncio
import re
import time
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_docker as docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container

from infra.errors import DeploymentError
from infra.hooks import before_change, redact, step
from infra.selfhosted.engine import Engine
from infra.selfhosted.stack import child
from infra.threads import in_thread

HEALTHY = "healthy"
_WITHIN = 120  # seconds; crash recovery of a small cluster ends well within
_HOPELESS = 3  # restarts; the first could be a race with the server it needs
_OFTEN = 0.1  # seconds between two looks
_ONE_CHECK = 5  # seconds
_LAST_LINES = 20
_TELLING = re.compile(r"pgstack: |FATAL|PANIC|ERROR")


@dataclass(frozen=True)
class Condition:
    """What one look at a container shows; `hopeless` if no waiting will help."""

    words: str
    hopeless: bool = False

    @classmethod
    def of(cls, attributes: dict[str, Any]) -> "Condition":
        """From a container as the Engine API describes it."""
        state, restarts = attributes["State"], attributes["RestartCount"]
        match state["Status"]:
            case "running":
                return cls(state.get("Health", {}).get("Status", "has no health check"))
            case "restarting":
                return cls(f"keeps ending with exit code {state['ExitCode']}", hopeless=restarts >= _HOPELESS)
            case "exited" | "dead":
                return cls(f"ended with exit code {state['ExitCode']}", hopeless=True)
            case other:
                return cls(f"is {other}", hopeless=True)


def serving(name: str, engine: Engine, container: docker.Container, parent: pulumi.Resource) -> pulumi.Stash:
    """Done once `container` is healthy; fails with what it said last as soon as it is plain that it won't be."""

    async def insist(args: pulumi.ResourceHookArgs) -> None:
        health = (args.new_inputs or {})["input"]["health"]
        if health != HEALTHY:
            raise DeploymentError(health)

    async def look(container_id: str) -> str:
        return await asked(engine, container_id, patiently=not pulumi.runtime.is_dry_run())

    health: pulumi.Output[str] = container.id.apply(look)
    return pulumi.Stash(
        name,
        input={"container": container.id, "health": health},
        opts=child(parent, depends_on=[container], hooks=before_change(step(f"{name}-insist", insist))),
    )


async def asked(engine: Engine, container_id: str, *, patiently: bool) -> str:
    """`healthy`, or one line that says why the container does not serve; `patiently` waits until one is certain."""
    container = await in_thread(engine.container, container_id)
    if container is None:
        return f"container {container_id[:12]} is gone: `pulumi up` makes it again"
    try:
        return await _asked(container, patiently=patiently)
    except NotFound:
        return f"container {container.name} was removed while it started: `pulumi up` makes it again"


async def _asked(container: Container, *, patiently: bool) -> str:
    condition = Condition.of(container.attrs)
    if patiently and container.status == "restarting":
        # its next try may be a minute away, and what it failed of may be mended
        await in_thread(_start_again, container)
    until = time.monotonic() + _WITHIN
    while not condition.hopeless:
        if condition.words == HEALTHY or await in_thread(passes, container):
            return HEALTHY
        if not patiently or time.monotonic() > until:
            break
        await asyncio.sleep(_OFTEN)
        await in_thread(container.reload)
        condition = Condition.of(container.attrs)
    said = await in_thread(lambda: container.logs(tail=_LAST_LINES).decode(errors="replace"))
    waited = "" if condition.hopeless or not patiently else f" after {_WITHIN} s"
    reason = f"container {container.name} {condition.words}{waited}: {last_words(said)}"
    return redact(f"{reason} (all it said: docker logs {container.name})")


def passes(container: Container) -> bool:
    """Whether the running container's own check passes now. The engine runs it seldom, and first after a period."""
    _, *check = container.attrs["Config"]["Healthcheck"]["Test"]  # CMD, then the command
    try:
        return bool(container.exec_run(["timeout", str(_ONE_CHECK), *check]).exit_code == 0)
    except APIError:  # it ended meanwhile, as the next look shows
        return False


def last_words(log: str) -> str:
    """The last line of `log` that names a failure, else the last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return (telling or lines or ["it said nothing"])[-1].removeprefix("pgstack: ")


def _start_again(container: Container) -> None:
    container.stop()  # with its own signal and grace
    container.start()
