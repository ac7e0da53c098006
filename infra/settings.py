"""Every setting of a stack: read once, checked together, frozen. Nobody else reads Pulumi's config.

The descriptions and defaults that a user sees are those of Pulumi.yaml; a test holds the two together.
"""

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

import pulumi
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from db import apps as known_apps
from db import migrations
from db import seeds as known_seeds
from infra.errors import SettingsError
from infra.selfhosted import stores
from infra.selfhosted.budget import share_out

KIB, MIB, GIB = 1024, 1024**2, 1024**3
_SIZE = re.compile(r"(\d+)\s*(MB|GB|MiB|GiB)", re.IGNORECASE)
_CRON_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))  # minute, hour, day, month, weekday (0 and 7: Sunday)
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of the months
_CRON_ITEM = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?")
_STACK_NAME = r"^[a-z0-9][a-z0-9-]{0,39}$"  # with project and role a host name, which has 63 characters at most
_SMALLEST_MEMORY = 256 * MIB  # below this a vector index build or two backups at once meet the OOM killer
_DISPOSABLE = ("dev", "preview")


def size(text: object) -> int:
    """Bytes in a size such as `512MB` or `4GB` (powers of 1024, as PostgreSQL counts)."""
    match = _SIZE.fullmatch(str(text).strip())
    if match is None:
        raise ValueError("not a size")
    return int(match[1]) * (GIB if match[2][0] in "gG" else MIB)


def cron(text: str) -> str:
    """Five fields of numbers, ranges, lists and steps. A schedule with a mistake would stop the backups' container."""
    fields = text.split()
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError("not five fields")
    chosen = [_numbers(field, *limits) for field, limits in zip(fields, _CRON_FIELDS, strict=True)]
    _, _, days, months, _ = chosen
    if all(day > _LONGEST[month - 1] for day in days for month in months):
        raise ValueError("no month has that day")
    return text


def _numbers(field: str, low: int, high: int) -> set[int]:
    """What one field of a schedule stands for."""
    found = set[int]()
    for item in field.split(","):
        match = _CRON_ITEM.fullmatch(item)
        if match is None:
            raise ValueError(f"{item} is no part of a schedule")
        first = int(match[1] or low)
        last = int(match[2] or (high if match[3] else match[1]) or high)
        if not low <= first <= last <= high:
            raise ValueError(f"{item} is not within {low} to {high}")
        found |= set(range(first, last + 1, int(match[3] or 1)))
    return found


def _ipv4(text: str) -> str:
    return str(ipaddress.IPv4Address(text))


def _alert(given: SecretStr) -> SecretStr:
    """A URL as curl's configuration can hold it, or one line of shell."""
    text = given.get_secret_value()
    if "\n" in text or (text.startswith(("http://", "https://")) and re.search(r'[\s"\\]', text)):
        raise ValueError("not one URL or line")
    return given


def _decoded(value: object) -> object:
    """Lists and maps reach the program as JSON text."""
    return json.loads(value) if isinstance(value, str) else value


def _listed(value: object) -> object:
    """`1,2` as its numbers; one text, so that a verb changes it in one step."""
    return tuple(value.split(",")) if isinstance(value, str) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


Cron = Annotated[str, AfterValidator(cron)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Origin(BaseModel):
    """Where a restored cluster came from: a backup's label, LSN and timeline of the last record replayed.

    `repository` has both; an old one was left behind by `pgstack keys rotate`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backup: Annotated[str, Field(pattern=r"^\d{8}-\d{6}F(_\d{8}-\d{6}[DI])?$")]
    lsn: Annotated[str, Field(pattern=r"^[0-9A-F]{1,8}/[0-9A-F]{1,8}$")]
    timeline: Annotated[int, Field(ge=1)]
    repository: Literal["local", "offsite", "old", "old-offsite"] = "local"


class Settings(BaseModel):
    """The frozen settings of one stack.

    `memory` and `reserve` in bytes, `slow_query` in milliseconds, ports 0 for "choose".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=_camel)

    project: str
    stack: Annotated[str, Field(pattern=_STACK_NAME)]
    target: Literal["docker"] = "docker"
    environment: Literal["dev", "preview", "staging", "production"] = "production"
    apps: Annotated[tuple[str, ...], BeforeValidator(_decoded), Field(min_length=1)] = (
        "bots",
        "dovvybuddy",
        "maps",
        "panamia",
    )
    seeds: Annotated[tuple[str, ...], BeforeValidator(_decoded)] = ("base",)
    embeddings: Literal["auto", "vector", "jsonb"] = "auto"
    revisions: Annotated[Mapping[str, str], BeforeValidator(_decoded)] = Field(default_factory=dict)
    generations: Annotated[Mapping[Annotated[int, Field(ge=2)], Origin], BeforeValidator(_decoded)] = Field(
        default_factory=dict
    )
    live: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_listed)] = (1,)
    memory: Annotated[int, BeforeValidator(size), Field(ge=_SMALLEST_MEMORY)] = GIB
    address: Annotated[str, AfterValidator(_ipv4)] = "127.0.0.1"
    pooled_port: Port = 0
    direct_port: Port = 0
    client_connections: Annotated[int, Field(ge=10, le=5000)] = 2000
    server_connections: Annotated[int, Field(ge=10, le=50)] = 40
    slow_query: Annotated[int, Field(ge=0)] = 500
    maintenance: Cron = "30 1 * * *"
    backup_full: Cron = "0 2 * * 0"
    backup_differential: Cron = "0 2 * * 1-6"
    backup_incremental: Cron = "30 */4 * * *"
    drill: Cron = "0 4 * * *"
    keep_full: Annotated[int, Field(ge=1, le=100)] = 2
    keep_differential: Annotated[int, Field(ge=1, le=100)] = 7
    alert: Annotated[SecretStr, AfterValidator(_alert)] = SecretStr("")
    reserve: Annotated[int, BeforeValidator(size)] = 256 * MIB
    wal_full: Literal["serve", "stop"] = "serve"
    offsite: Annotated[stores.Offsite | None, BeforeValidator(lambda given: _decoded(given) or None)] = None
    repository_keys: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_listed), Field(min_length=1, max_length=2)
    ] = (1,)

    @field_validator("apps")
    @classmethod
    def _apps_exist(cls, apps: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(apps)) != len(apps) or not set(apps) <= set(known_apps.names()):
            raise ValueError("unknown or repeated")
        return apps

    @field_validator("repository_keys")
    @classmethod
    def _keys_differ(cls, keys: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(keys)) != len(keys):
            raise ValueError("repeated")
        return keys

    @field_validator("seeds")
    @classmethod
    def _seeds_exist(cls, seeds: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(seeds)) != len(seeds) or not set(seeds) <= set(known_seeds.SETS):
            raise ValueError("unknown or repeated")
        return seeds

    @property
    def name(self) -> str:
        """The prefix of everything this stack owns on the host: `<project>-<stack>`."""
        return f"{self.project}-{self.stack}"

    @property
    def generation(self) -> int:
        """The cluster that clients reach; `live` tells how they moved, and those there stay until they are dropped."""
        return self.live[-1]

    @property
    def clusters(self) -> tuple[int, ...]:
        """The numbers of all clusters there are to be: the first one is only missed once it was dropped."""
        return tuple(sorted({*self.generations, *(it for it in self.live if it == 1)}))

    @property
    def repository_key(self) -> int:
        """The number of the key that backups are made with, and of the repositories that they go to."""
        return self.repository_keys[-1]

    @property
    def next_key(self) -> int | None:
        """The one to come, whose repositories are being prepared."""
        return next((it for it in self.repository_keys if it > self.repository_key), None)

    @property
    def old_key(self) -> int | None:
        """The one before it, whose repositories can still be restored from."""
        return next((it for it in self.repository_keys if it < self.repository_key), None)

    @property
    def disposable(self) -> bool:
        """Whether `pulumi destroy` may delete the data (dev and preview only)."""
        return self.environment in _DISPOSABLE

    @classmethod
    def load(cls) -> "Settings":
        """The running stack's settings. Raises SettingsError with one line for every bad one."""
        project, stack = pulumi.get_project(), pulumi.get_stack()
        # Pulumi's own Config can only be asked for keys one knows; a misspelt key must be seen too.
        from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret  # noqa: PLC0415

        given = {**get_config_env(), **CONFIG.get()}
        return parse(project, stack, given, encrypted=is_config_secret("pgstack:offsite"))


def _conflicts(settings: Settings) -> Iterator[tuple[set[str], str]]:
    """What is wrong about several settings together: their keys, and a line."""
    for name in known_seeds.NOT_IN_PRODUCTION if settings.environment not in known_seeds.WITH_EXAMPLES else ():
        if name in settings.seeds:
            yield {"environment", "seeds"}, f"pgstack:seeds contains {name}: a production stack takes base only"
    if settings.pooled_port and settings.pooled_port == settings.direct_port:
        yield (
            {"pooledPort", "directPort"},
            f"pgstack:pooledPort and pgstack:directPort are both {settings.pooled_port}: give two ports",
        )
    yield from _unknown_clusters(settings)
    try:
        share_out(settings.apps, settings.server_connections, settings.client_connections)
    except ValueError as error:
        yield {"apps", "serverConnections", "clientConnections"}, f"pgstack:serverConnections: {error}"
    for app in settings.apps:
        if (host := known_apps.host(app)) not in settings.apps:
            yield {"apps"}, f"pgstack:apps has {app}, which lives in the database of {host}: add {host}"
    for app, held in settings.revisions.items():
        if app not in known_apps.names():
            yield {"revisions"}, f"pgstack:revisions names {app}: known are {', '.join(known_apps.names())}"
            continue
        known = ["base", *(it.revision for it in migrations.revisions(app)), "head"]
        if held not in known:
            yield {"revisions"}, f'pgstack:revisions holds {app} at "{held}": known are {", ".join(known)}'
        if app not in settings.apps:
            yield {"revisions", "apps"}, f"pgstack:revisions names {app}: not among pgstack:apps"


def _unknown_clusters(settings: Settings) -> Iterator[tuple[set[str], str]]:
    if unknown := sorted(set(settings.live) - set(settings.clusters)):
        yield (
            {"live", "generations"},
            f"pgstack:live names {unknown[0]}, which is not among pgstack:generations: leave both to `pgstack restore`",
        )
    for number, origin in settings.generations.items():
        if origin.repository.endswith("offsite") and settings.offsite is None:
            yield (
                {"generations", "offsite"},
                f"pgstack:generations has {number} from the off-site repository, and pgstack:offsite is not set: "
                f"`pgstack restore drop {number}` first",
            )


_ALLOWED: Mapping[str, Callable[[], str]] = {
    "target": lambda: "give docker",
    "environment": lambda: "give dev, preview, staging or production",
    "apps": lambda: f"give a list, each once, of {', '.join(known_apps.names())}",
    "seeds": lambda: f"give a list, each once, of {', '.join(known_seeds.SETS)}",
    "embeddings": lambda: "give auto, vector or jsonb",
    "revisions": lambda: "give a map of application to revision",
    "generations": lambda: "leave it to `pgstack restore run` and `drop`: a map of number to backup and lsn",
    "live": lambda: "leave it to `pgstack restore swap` and `undo`: numbers such as 1,2, the live one last",
    "memory": lambda: "give a size such as 512MB or 4GB, at least 256MB",
    "address": lambda: "give an IPv4 address of the host, such as 127.0.0.1",
    "pooledPort": lambda: "give a port from 1 to 65535, or 0 to have one chosen",
    "directPort": lambda: "give a port from 1 to 65535, or 0 to have one chosen",
    "clientConnections": lambda: "give a number from 10 to 5000",
    "serverConnections": lambda: "give a number from 10 to 50",
    "slowQuery": lambda: "give whole milliseconds, 0 or more",
    "backupFull": lambda: 'give five cron fields such as "0 2 * * 0"',
    "backupDifferential": lambda: 'give five cron fields such as "0 2 * * 1-6"',
    "backupIncremental": lambda: 'give five cron fields such as "30 */4 * * *"',
    "drill": lambda: 'give five cron fields such as "0 4 * * *"',
    "keepFull": lambda: "give a number from 1 to 100",
    "keepDifferential": lambda: "give a number from 1 to 100",
    "alert": lambda: "give a URL without blanks and quotes, or one line of shell",
    "reserve": lambda: "give a size such as 256MB or 1GB, 0MB for none",
    "walFull": lambda: "give serve or stop",
    "offsite": lambda: "give a map: docs/repositories.md",
    "repositoryKeys": lambda: "leave it to `pgstack keys rotate` and `retire`: one number or two such as 1,2",
}
_SECRET = {"alert"}
_EXAMPLE = {
    "memory": "pgstack:memory 4GB",
    "environment": "pgstack:environment dev",
    "target": "pgstack:target docker",
    "address": "pgstack:address 127.0.0.1",
    "apps": "--path 'pgstack:apps[0]' dovvybuddy",
    "seeds": "--path 'pgstack:seeds[0]' base",
}


def parse(project: str, stack: str, given: Mapping[str, Any], *, encrypted: bool = True) -> Settings:
    """Settings from `pgstack:key` pairs; `encrypted`: the off-site store's secrets are, in the stack file.

    Raises SettingsError with one line for each thing that is wrong.
    """
    values = {key.removeprefix("pgstack:"): value for key, value in given.items() if key.startswith("pgstack:")}
    named = {"project": project, "stack": stack, **values}
    problems, wrong = [], set[str]()
    try:
        settings = Settings.model_validate(named)
    except ValidationError as error:
        problems = [*dict.fromkeys(_problem(stack, values, detail) for detail in error.errors())]
        wrong = {str(detail["loc"][0]) for detail in error.errors()}
        sound = {key: value for key, value in named.items() if key not in wrong}
        settings = Settings.model_validate({"stack": "unnamed", **sound})
    problems += [f"{line} ({_file(stack)})" for keys, line in _conflicts(settings) if not keys & wrong]
    if settings.offsite and not encrypted:
        problems.append(stores.unencrypted(settings.offsite))
    if problems:
        raise SettingsError(problems)
    return settings


def _file(stack: str) -> str:
    return f"stacks/Pulumi.{stack}.yaml"


def _problem(stack: str, values: Mapping[str, Any], detail: Any) -> str:
    key = str(detail["loc"][0])
    if key == "offsite":
        return stores.problem(detail)
    if key == "stack":
        return f'the stack is called "{stack}": give it a name of at most 40 lower-case letters, digits and hyphens'
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(key, _ALLOWED, n=1)
        hint = f"did you mean pgstack:{close[0]}?" if close else f"known are {', '.join(_ALLOWED)}"
        return f"pgstack:{key} is no setting: {hint} (pulumi config rm pgstack:{key})"
    where = _file(stack)
    if key in _EXAMPLE:
        where += f", or: pulumi config set {_EXAMPLE[key]}"
    given = "***" if key in _SECRET else values.get(key)
    return f'pgstack:{key} is "{given}": {_ALLOWED[key]()} ({where})'
