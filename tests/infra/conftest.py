"""Pulumi's engine replaced by a recorder: what the program declares, without a Docker host."""

import asyncio
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import docker
import pulumi
import pytest
from docker.models.containers import ExecResult
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs
from pulumi.runtime.rpc import deserialize_properties

from infra.selfhosted.engine import Engine
from infra.selfhosted.images import Prepared
from infra.selfhosted.platform import SelfHosted
from infra.selfhosted.preflight import Host
from infra.settings import parse


@dataclass(frozen=True)
class Declaration:
    """One resource as the program registered it."""

    type: str
    name: str
    inputs: dict[str, Any]
    protect: bool


class Answers(pulumi.runtime.Mocks):
    """A resource's outputs are its inputs; a Stash gives back what it was given."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Answer with the inputs."""
        outputs = dict(args.inputs)
        if args.typ == "pulumi:index:Stash":
            outputs["output"] = outputs.get("input")
        return f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        """The program calls nothing."""
        raise AssertionError(f"{args.token} was called")


class Monitor(MockMonitor):
    """Records each registration: Pulumi's own mocks do not pass on whether a resource is protected."""

    def __init__(self) -> None:
        super().__init__(Answers())
        self.declared: list[Declaration] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        """Record and register."""
        inputs = deserialize_properties(request.object)
        self.declared.append(Declaration(request.type, request.name, inputs, request.protect))
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]  # Pulumi leaves it untyped


@dataclass
class Declared:
    """What a program declared: `of("container")` gives the Docker containers' inputs by their names on the host."""

    everything: list[Declaration] = field(default_factory=list)

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Name on the host to inputs, of the Docker resources of `kind`."""
        return {it.inputs["name"]: it.inputs for it in self.everything if it.type.startswith(f"docker:index/{kind}:")}


class AbsentClient:
    """In place of the Docker client: no engine is asked while a program only declares; containers count as healthy."""

    @property
    def containers(self) -> "AbsentClient":
        """Itself."""
        return self

    def get(self, name: str) -> "AbsentClient":
        """A container that says it is healthy."""
        self.name = name
        self.status = "running"
        self.attrs = {"State": {"Status": "running", "Health": {"Status": "healthy"}}, "RestartCount": 0}
        return self

    def exec_run(self, command: Sequence[str], **_: Any) -> ExecResult:
        """A command that prints nothing itself and ends well."""
        said = subprocess.run([*command[:3], "sh", "true"], capture_output=True, check=True).stdout
        return ExecResult(0, cast("bytes", (said, b"")))  # what demux=True makes of it


Declare = Callable[..., Declared]


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Declare target docker with these settings: `declare(environment="dev")`."""
    # Pulumi's mocks have no server that hooks could be registered with, and would refuse the program for it.
    monkeypatch.setattr("pulumi.resource_hooks.register_resource_hook", _registered)

    def run(stack: str = "test", **settings: str) -> Declared:
        asyncio.set_event_loop(asyncio.new_event_loop())
        monitor = Monitor()
        pulumi.runtime.set_mocks(monitor.mocks, project="pgstack", stack=stack, preview=False, monitor=monitor)
        parsed = parse("pgstack", stack, {f"pgstack:{key}": value for key, value in settings.items()})
        engine = Engine(cast("docker.DockerClient", AbsentClient()))
        prepared = Prepared("packages", "base:1", "server:1", "scheduler:1")

        def program() -> None:
            stack = SelfHosted("selfhosted", parsed, Host(engine, prepared, 6432, 5432, "127.0.0.1"))
            stack.platform.admit(pulumi.ComponentResource("pgstack:index:Schema", "schema"))

        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]  # as above
        return Declared(monitor.declared)

    return run


def _registered(_: pulumi.ResourceHook) -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_event_loop().create_future()
    future.set_result(None)
    return future
