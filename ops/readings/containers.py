"""The stack's containers as the engine describes them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from typing import Any

from ops.engine import Engine


@dataclass(frozen=True)
class State:
    """`state` is Docker's (created, running, exited ...) or missing, `since` its begin; `health` may be empty."""

    role: str
    name: str
    state: str
    health: str
    since: datetime.datetime | None
    image: str
    restarts: int

    @property
    def well(self) -> bool:
        """Whether it does its work."""
        return self.state == "running" and self.health in {"healthy", ""}


def look(engine: Engine, role: str, name: str) -> State:
    """The container of that name, which may be missing; its health is that of now, not of the engine's last look."""
    container = engine.container(name)
    if container is None:
        return State(role, name, "missing", "", None, "", 0)
    state = described(role, name, container.attrs)
    if state.state == "running" and not state.well and engine.passes_its_check(container):
        return replace(state, health="healthy")
    return state


def described(role: str, name: str, attributes: dict[str, Any]) -> State:
    """From `docker inspect`'s answer."""
    state = attributes["State"]
    when = state["StartedAt"] if state["Status"] == "running" else state["FinishedAt"]
    return State(
        role=role,
        name=name,
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", ""),
        since=moment(when),
        image=attributes["Config"]["Image"],
        restarts=int(attributes.get("RestartCount", 0)),
    )


def moment(text: str) -> datetime.datetime | None:
    """Docker's RFC 3339 time; None for its zero time."""
    if not text or text.startswith("0001-"):
        return None
    seconds = text.rstrip("Z").partition(".")[0]  # nanoseconds are more than datetime reads
    return datetime.datetime.fromisoformat(seconds).replace(tzinfo=datetime.UTC)
