"""One deployed stack as the verbs see it: its name and its outputs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ops import PROJECT
from ops.errors import NoSuchStackError, PulumiError, UnknownError
from ops.files import write
from ops.pulumi import Pulumi, short

if TYPE_CHECKING:
    from db.urls import DatabaseURL

DEFAULT = "dev"
Kind = Literal["pooled", "readonly", "direct"]
KINDS: tuple[Kind, ...] = ("pooled", "readonly", "direct")
_NAME = re.compile(r"(?:[\w-][\w.-]*/){0,2}[\w-][\w.-]*")
ROLES = ("postgres", "pooler", "backup", "drills")


def _given(context: typer.Context, value: str | None) -> str | None:
    """`pgstack -s NAME verb` and `pgstack verb -s NAME` mean the same."""
    return value or context.find_root().params.get("stack")


CaOption = Annotated[
    Path | None, typer.Option("--ca", metavar="FILE", help="The CA of --url's server; else PGSSLROOTCERT's.")
]


def choose(stack: str | None, url: str | None, ca: Path | None) -> Stack | None:
    """The stack that a verb works on, None where --url names the database. Raises BadParameter for --ca without it."""
    if ca is not None and url is None:
        raise typer.BadParameter("--ca is for --url: a stack knows its own")
    return Stack.read(stack) if url is None else None


StackOption = Annotated[
    str | None,
    typer.Option(
        "--stack",
        "-s",
        metavar="NAME",
        callback=_given,
        help="Which stack; else PGSTACK_STACK, PULUMI_STACK, the one selected in Pulumi, dev.",
    ),
]


@dataclass(frozen=True)
class Stack:
    """A stack's outputs, secrets in clear: nothing of it may be printed but redacted."""

    name: str
    pulumi: Pulumi
    outputs: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, chosen: str | None) -> Stack:
        """The stack to work on and its outputs. Raises UnknownError: no such stack, or one not deployed yet."""
        pulumi = Pulumi.prepared()
        ask = ("stack", "output", "--json", "--show-secrets")
        name, text = named(chosen, pulumi.environ), ""
        if name is None:
            # both questions at once: each costs a quarter of a second
            asked, answer = pulumi.start("stack", "--show-name"), pulumi.start(*ask)
            name = _selected(pulumi, asked)
            if name:
                text = pulumi.answer(answer, name)
            else:
                answer.communicate()
        name = name or DEFAULT
        if not text:
            text = pulumi.ask(*ask, stack=name)
        outputs: dict[str, Any] = json.loads(text)
        if "apps" not in outputs:
            raise UnknownError(f"stack {name} is not deployed yet: `make up STACK={name}` does it")
        return cls(name, pulumi, outputs)

    @property
    def prefix(self) -> str:
        """What the stack's label and the names of its containers begin with."""
        return f"{PROJECT}-{self.name}"

    @property
    def environment(self) -> str:
        """dev, preview, staging or production."""
        return str(self.outputs["environment"])

    @property
    def lasting(self) -> bool:
        """Whether this stack's data must not be lost."""
        return self.environment not in {"dev", "preview"}

    @property
    def apps(self) -> tuple[str, ...]:
        """The applications that have a database."""
        return tuple(self.outputs["apps"])

    def app(self, name: str) -> str:
        """`name` if it is one of the stack's apps. Raises UnknownError."""
        if name not in self.apps:
            raise UnknownError(f'stack {self.name} has no app "{name}": its apps are {", ".join(self.apps)}')
        return name

    def url(self, app: str, kind: Kind) -> str:
        """One of the app's URLs, in clear."""
        return str(self.outputs[f"{self.app(app)}_{kind}_url"])

    def parsed(self, app: str, kind: Kind) -> DatabaseURL:
        """The same in parts; shows itself redacted."""
        from db.urls import DatabaseURL  # noqa: PLC0415 - the verbs that need no URL do without

        return DatabaseURL.parse(self.url(app, kind))

    @property
    def roles(self) -> tuple[str, ...]:
        """Those of ROLES that it has a container of: one that an older version deployed may lack some."""
        return tuple(it for it in ROLES if f"{it}_container" in self.outputs) or ROLES

    def container(self, role: str) -> str:
        """The name of the container of that role. Raises UnknownError on a target without containers."""
        try:
            return str(self.outputs[f"{role}_container"])
        except KeyError:
            raise UnknownError(
                f"stack {self.name} is on target {self.outputs.get('target')}, which has no {role} container of ours"
            ) from None

    @property
    def live(self) -> int:
        """The number of the cluster that is live, as deployed last."""
        return int(self.container("postgres").removeprefix(f"{self.prefix}-postgres").lstrip("-") or 1)

    def cluster(self, number: int) -> str:
        """The name of the container of that cluster."""
        return f"{self.prefix}-postgres" if number == 1 else f"{self.prefix}-postgres-{number}"

    def protected(self, wanted: Callable[[dict[str, Any]], bool]) -> list[str]:
        """The URNs of the protected resources in Pulumi's state that `wanted` picks, given each as the state has it."""
        state = json.loads(self.pulumi.ask("stack", "export", stack=self.name))
        there = state["deployment"].get("resources", ())
        return [str(it["urn"]) for it in there if it.get("protect") and wanted(it)]

    @property
    def folder(self) -> Path:
        """Where files about this stack are kept, beside Pulumi's state."""
        return self.pulumi.state / self.name

    def ca_file(self) -> Path:
        """The stack's CA certificate as a file that every program may read."""
        return write(self.folder / "ca.crt", str(self.outputs["ca_certificate"]))


def named(chosen: str | None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The stack that the option or the environment names, else None: then Pulumi's workspace decides.

    Raises UnknownError for what can't be a stack's name, alone or after `organization/project/`.
    """
    name = chosen or environ.get("PGSTACK_STACK") or environ.get("PULUMI_STACK")
    if name and not _NAME.fullmatch(name):
        raise UnknownError(f'"{name}" is no stack\'s name: `pulumi stack ls` shows those there are')
    return short(name) if name else None


def resolve(chosen: str | None, pulumi: Pulumi) -> str:
    """The same choice for verbs that work on a stack that may not be deployed."""
    if name := named(chosen, pulumi.environ):
        return name
    return _selected(pulumi, pulumi.start("stack", "--show-name")) or DEFAULT


def _selected(pulumi: Pulumi, asked: subprocess.Popen[str]) -> str | None:
    """The answer to `pulumi stack --show-name`; None if no stack is selected."""
    try:
        return short(pulumi.answer(asked).strip())
    except (PulumiError, NoSuchStackError):
        return None
