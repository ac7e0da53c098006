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
    `timeline`. `live` tells how the clients moved, the present one last.
    """

    environment: str = "production"
    seeds: tuple[str, ...] = ("base",)
    revisions: Mapping[str, str] = field(default_factory=dict)
    generations: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    live: tuple[int, ...] = (1,)
    embeddings: str = "auto"

    def target(self, app: str) -> str:
        """The revision that the app's database is to be at."""
        return self.revisions.get(app, "head")

    @property
    def beside(self) -> tuple[int, ...]:
        """The clusters that are not the live one, which is a number to have."""
        return tuple(sorted({*self.generations, *self.live} - {self.live[-1]}))


def settings(stack: str, repo: Path = REPO) -> Settings:
    """The settings of a stack; one without a file has the defaults. Raises UnknownError if a file is no YAML."""
    given: dict[str, Any] = {}
    for key, described in (_read(repo / "Pulumi.yaml").get("config") or {}).items():
        if isinstance(described, dict) and "default" in described:
            given[key] = described["default"]
    given |= _read(stack_file(stack, repo)).get("config") or {}
    known = {key: given[f"{PROJECT}:{key}"] for key in Settings.__dataclass_fields__ if f"{PROJECT}:{key}" in given}
    if "seeds" in known:
        known["seeds"] = tuple(known["seeds"])
    known["generations"] = {int(number): origin for number, origin in (known.get("generations") or {}).items()}
    known["live"] = tuple(int(it) for it in str(known.get("live", 1)).split(","))
    return Settings(**known)


def stack_file(stack: str, repo: Path = REPO) -> Path:
    """Where Pulumi keeps the stack's settings and the salt of its passphrase (Pulumi.yaml, stackConfigDir)."""
    return repo / "stacks" / f"Pulumi.{stack}.yaml"


def _read(path: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 - not every verb needs it

    try:
        found = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError) as error:
        raise UnknownError(f"{path} can't be read: {' '.join(str(error).split())}") from error
    return found if isinstance(found, dict) else {}
