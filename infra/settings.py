"""Every setting of a stack: read once, checked together, frozen. Nobody else reads Pulumi's config.

The descriptions and defaults that a user sees are those of Pulumi.yaml; a test holds the two together.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import pulumi
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from db import apps as known_apps
from db import seeds as known_seeds
from infra.errors import SettingsError

KIB, MIB, GIB = 1024, 1024**2, 1024**3
_SIZE = re.compile(r"(\d+)\s*(MB|GB|MiB|GiB)", re.IGNORECASE)
_CRON = re.compile(r"[\d*/,\-]+( [\d*/,\-A-Za-z]+){4}")
_SMALLEST_MEMORY = 256 * MIB  # below this a vector index build or two backups at once meet the OOM killer
_DISPOSABLE = ("dev", "preview")


def size(text: object) -> int:
    """Bytes in a size such as `512MB` or `4GB` (powers of 1024, as PostgreSQL counts)."""
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise ValueError("not a size")
    return int(match[1]) * (GIB if match[2][0] in "gG" else MIB)


def _decoded(value: object) -> object:
    """Lists and maps reach the program as JSON text."""
    return json.loads(value) if isinstance(value, str) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


Cron = Annotated[str, Field(pattern=_CRON.pattern)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseModel):
    """The frozen settings of one stack; `memory` in bytes, `slow_query` in milliseconds, ports 0 for "choose"."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_camel)

    project: str
    stack: str
    target: Literal["docker"] = "docker"
    environment: Literal["dev", "preview", "staging", "production"] = "production"
    apps: Annotated[tuple[str, ...], BeforeValidator(_decoded), Field(min_length=1)] = ("dovvybuddy", "maps")
    seeds: Annotated[tuple[str, ...], BeforeValidator(_decoded)] = ("base",)
    revisions: Annotated[Mapping[str, str], BeforeValidator(_decoded)] = Field(default_factory=dict)
    memory: Annotated[int, BeforeValidator(size), Field(ge=_SMALLEST_MEMORY)] = GIB
    address: Annotated[str, Field(pattern=r"\d+(\.\d+){3}")] = "127.0.0.1"
    pooled_port: Port = 0
    direct_port: Port = 0
    client_connections: Annotated[int, Field(ge=10, le=5000)] = 2000
    server_connections: Annotated[int, Field(ge=10, le=50)] = 40
    slow_query: Annotated[int, Field(ge=0)] = 500
    backup_full: Cron = "0 2 * * 0"
    backup_differential: Cron = "0 2 * * 1-6"
    backup_incremental: Cron = "30 */4 * * *"
    keep_full: Annotated[int, Field(ge=1, le=100)] = 2
    keep_differential: Annotated[int, Field(ge=1, le=100)] = 7

    @field_validator("apps")
    @classmethod
    def _apps_exist(cls, apps: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(apps)) != len(apps) or not set(apps) <= set(known_apps.names()):
            raise ValueError("unknown or repeated")
        return apps

    @field_validator("seeds")
    @classmethod
    def _seeds_exist(cls, seeds: tuple[str, ...]) -> tuple[str, ...]:
        if not set(seeds) <= set(known_seeds.SETS):
            raise ValueError("unknown")
        return seeds

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        if self.environment == "production" and "demo" in self.seeds:
            raise ValueError("pgstack:seeds contains demo: a production stack takes base only")
        if self.pooled_port and self.pooled_port == self.direct_port:
            raise ValueError(f"pgstack:pooledPort and pgstack:directPort are both {self.pooled_port}: give two ports")
        if strangers := set(self.revisions) - set(self.apps):
            raise ValueError(f"pgstack:revisions names {', '.join(sorted(strangers))}: not among pgstack:apps")
        return self

    @property
    def name(self) -> str:
        """The prefix of everything this stack owns on the host: `<project>-<stack>`."""
        return f"{self.project}-{self.stack}"

    @property
    def disposable(self) -> bool:
        """Whether `pulumi destroy` may delete the data (dev and preview only)."""
        return self.environment in _DISPOSABLE

    @classmethod
    def load(cls) -> "Settings":
        """The running stack's settings. Raises SettingsError with one line for every bad one."""
        project, stack = pulumi.get_project(), pulumi.get_stack()
        # Pulumi's own Config can only be asked for keys one knows; a misspelt key must be seen too.
        from pulumi.runtime.config import CONFIG, get_config_env  # noqa: PLC0415

        given = {**get_config_env(), **CONFIG.get()}
        return parse(project, stack, given)


_ALLOWED: Mapping[str, Callable[[], str]] = {
    "target": lambda: "give docker",
    "environment": lambda: "give dev, preview, staging or production",
    "apps": lambda: f"give a list, each once, of {', '.join(known_apps.names())}",
    "seeds": lambda: f"give a list of {', '.join(known_seeds.SETS)}",
    "revisions": lambda: "give a map of application to revision",
    "memory": lambda: "give a size such as 512MB or 4GB, at least 256MB",
    "address": lambda: "give an IPv4 address of the host, such as 127.0.0.1",
    "pooledPort": lambda: "give a port from 1 to 65535, or 0 to have one chosen",
    "directPort": lambda: "give a port from 1 to 65535, or 0 to have one chosen",
    "clientConnections": lambda: "give a number from 10 to 5000",
    "serverConnections": lambda: "give a number from 10 to 50",
    "slowQuery": lambda: "give milliseconds, 0 or more",
    "backupFull": lambda: 'give five cron fields such as "0 2 * * 0"',
    "backupDifferential": lambda: 'give five cron fields such as "0 2 * * 1-6"',
    "backupIncremental": lambda: 'give five cron fields such as "30 */4 * * *"',
    "keepFull": lambda: "give a number from 1 to 100",
    "keepDifferential": lambda: "give a number from 1 to 100",
}
_EXAMPLE = {"memory": "4GB", "environment": "dev", "target": "docker", "address": "127.0.0.1"}


def parse(project: str, stack: str, given: Mapping[str, Any]) -> Settings:
    """Settings from `pgstack:key` pairs. Raises SettingsError with one line for each thing that is wrong."""
    values = {key.removeprefix("pgstack:"): value for key, value in given.items() if key.startswith("pgstack:")}
    try:
        return Settings.model_validate({"project": project, "stack": stack, **values})
    except ValidationError as error:
        raise SettingsError([_problem(stack, values, detail) for detail in error.errors()]) from None


def _problem(stack: str, values: Mapping[str, Any], detail: Any) -> str:
    key = str(detail["loc"][0]) if detail["loc"] else ""
    if not key:
        return str(detail["ctx"]["error"])
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(key, _ALLOWED, n=1)
        hint = f"did you mean pgstack:{close[0]}?" if close else f"known are {', '.join(_ALLOWED)}"
        return f"pgstack:{key} is no setting: {hint} (pulumi config rm pgstack:{key})"
    where = f"stacks/Pulumi.{stack}.yaml"
    if key in _EXAMPLE:
        where += f", or: pulumi config set pgstack:{key} {_EXAMPLE[key]}"
    return f'pgstack:{key} is "{values.get(key)}": {_ALLOWED[key]()} ({where})'
