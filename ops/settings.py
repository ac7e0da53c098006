"""A stack's own settings, as far as verbs go by them: its file in stacks/ over the defaults of Pulumi.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops import PROJECT
from ops.errors import UnknownError
from ops.pulumi import REPO


@dataclass(frozen=True)
class Settings:
    """`revisions` are the pins that `pgstack migrate down` sets: app to revision.

    `generations` are the restored clusters: number to what `pgstack restore run` wrote, `backup`, `lsn` and
    `timeline`. `live` tells how the clients moved, the present one last. `repository_keys` are one or two numbers, the
    present one last: a smaller one is the old one, a greater one the next.
    """

    environment: str = "production"
    seeds: tuple[str, ...] = ("base",)
    revisions: Mapping[str, str] = field(default_factory=dict)
    generations: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    live: tuple[int, ...] = (1,)
    repository_keys: tuple[int, ...] = (1,)
    embeddings: str = "auto"

    def target(self, app: str) -> str:
        """The revision that the app's database is to be at."""
        return self.revisions.get(app, "head")

    def beside(self, live: int) -> tuple[int, ...]:
        """The clusters that are not the `live` one, which is what was deployed, not what is to be."""
        return tuple(sorted({*self.generations, *self.live} - {live}))


def settings(stack: str, repo: Path = REPO, *, text: str | None = None) -> Settings:
    """The settings of a stack; one without a file has the defaults. Raises UnknownError if a file is no YAML.

    `text` stands for what is in its file.
    """
    given: dict[str, Any] = {}
    for key, described in (_read(repo / "Pulumi.yaml").get("config") or {}).items():
        if isinstance(described, dict) and "default" in described:
            given[key] = described["default"]
    own = _read(stack_file(stack, repo)) if text is None else _parsed(text, f"the file of stack {stack}")
    given |= own.get("config") or {}
    known = {key: given[f"{PROJECT}:{key}"] for key in Settings.__dataclass_fields__ if f"{PROJECT}:{key}" in given}
    known["repository_keys"] = _numbers(given.get(f"{PROJECT}:repositoryKeys", 1))
    if "seeds" in known:
        known["seeds"] = tuple(known["seeds"])
    known["generations"] = {int(number): origin for number, origin in (known.get("generations") or {}).items()}
    known["live"] = _numbers(known.get("live", 1))
    return Settings(**known)


def stack_file(stack: str, repo: Path = REPO) -> Path:
    """Where Pulumi keeps the stack's settings and the salt of its passphrase (Pulumi.yaml, stackConfigDir)."""
    return repo / "stacks" / f"Pulumi.{stack}.yaml"


def _numbers(value: object) -> tuple[int, ...]:
    return tuple(int(it) for it in str(value).split(","))


def _read(path: Path) -> dict[str, Any]:
    try:
        return _parsed(path.read_text(), path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UnknownError(f"{path} can't be read: {error.strerror}") from error


def _parsed(text: str, what: object) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - not every verb needs it

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UnknownError(f"{what} can't be read: {' '.join(str(error).split())}") from error
    return found if isinstance(found, dict) else {}
