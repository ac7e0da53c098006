"""Where pgstack keeps things on this machine: checkout, cache (may be deleted at any time), state (may not)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import versions
from tools.errors import ToolError

POSTGRES_SOURCES = ("packages", "vendor")
MODULES = Path(__file__).parent / "modules"


@dataclass(frozen=True)
class Places:
    """The folders of one user and one checkout; `environ` is the environment that decided them."""

    repo: Path
    cache: Path
    state: Path
    home: Path
    environ: Mapping[str, str]

    @classmethod
    def of(cls, repo: Path, environ: Mapping[str, str]) -> Places:
        """Follow the XDG base directory rules; PGSTACK_STATE names the state folder outright."""
        home = Path(environ.get("HOME") or Path.home())
        cache = Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "pgstack"
        state = environ.get("PGSTACK_STATE") or Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / "pgstack"
        return cls(repo.absolute(), cache.absolute(), Path(state).absolute(), home, dict(environ))

    @property
    def venv(self) -> Path:
        return self.repo / ".venv"

    @property
    def tools(self) -> Path:
        """One folder for each set of versions: `bin`, `pulumi` (plugins) and manifest.json."""
        return self.cache / fingerprint(self.postgres_source() or "packages")

    @property
    def passphrase(self) -> Path:
        return self.state / "passphrase"

    @property
    def plugin(self) -> Path:
        """The Docker plugin's place below a Pulumi home."""
        return Path(f"plugins/resource-docker-v{versions.DOCKER_PLUGIN}/pulumi-resource-docker")

    def is_ours(self, folder: str) -> bool:
        """Whether a PATH entry is one that `python3 -m tools shell` put there, for this or an older set of tools."""
        return Path(folder) == self.venv / "bin" or self.cache in Path(folder).parents

    def postgres_source(self) -> str | None:
        """Where PostgreSQL's files come from: PGSTACK_POSTGRES_SOURCE, else what was decided once; None if undecided.

        The decision is kept beside the state, because a cluster never moves between sources (their ICU differs), and
        in the cache for states that were made later.
        """
        chosen = self.environ.get("PGSTACK_POSTGRES_SOURCE")
        if chosen and chosen not in POSTGRES_SOURCES:
            raise ToolError(f'PGSTACK_POSTGRES_SOURCE is "{chosen}": give {" or ".join(POSTGRES_SOURCES)}, or unset it')
        if chosen:
            return chosen
        for folder in (self.state, self.cache):
            try:
                recorded = (folder / "postgres_source").read_text().strip()
            except OSError:
                continue
            if recorded in POSTGRES_SOURCES:
                return recorded
        return None


def fingerprint(source: str) -> str:
    """A name for this set of tools: changes with any version, checksum, recipe or Go module."""
    digest = hashlib.sha256(source.encode())
    for path in (Path(versions.__file__), *sorted(path for path in MODULES.rglob("*") if path.is_file())):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
