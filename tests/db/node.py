"""The applications' TypeScript on the host's node: packages installed once a machine, Drizzle definitions compiled."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

CLIENTS = Path(__file__).parent / "clients"
DRIZZLE = Path(__file__).parents[2] / "docs/drizzle"
_WITHIN = 180  # seconds


def packages() -> Path:
    """A node_modules folder with what package-lock.json names, kept outside the checkout for the next run."""
    files = [CLIENTS / "package.json", CLIENTS / "package-lock.json"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgstack" / "tests"
    kept, aside = cache / f"database-clients-{digest}", cache / f"database-clients-{digest}.{os.getpid()}"
    if not kept.exists():
        aside.mkdir(parents=True)
        for path in files:
            shutil.copy(path, aside)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=aside, check=True)
        aside.rename(kept)
    return kept / "node_modules"


def workplace(folder: Path) -> Path:
    """`folder` with the clients, the packages, and the generated definitions as TypeScript and as modules."""
    (folder / "node_modules").symlink_to(packages())
    for source in (*CLIENTS.glob("*.mjs"), CLIENTS / "package.json", CLIENTS / "tsconfig.json", *DRIZZLE.glob("*.ts")):
        shutil.copy(source, folder)
    for path in sorted(folder.glob("*.ts")):
        bundle = ["--bundle", "--packages=external", "--format=esm", "--platform=node", "--log-level=error"]
        run(folder, "node_modules/.bin/esbuild", path.name, *bundle, f"--outfile={path.stem}.mjs")
    return folder


def run(folder: Path, *command: str, environment: Mapping[str, str] | None = None, given: str = "") -> str:
    """What `command` prints; a failure is an AssertionError with what it said."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "NODE_"))}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**inherited, **(environment or {})},
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=_WITHIN,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
