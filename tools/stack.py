"""`python3 -m tools stack NAME`: what comes before `pulumi up` the first time, and after a killed one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools import cache, progress
from tools.cache import Cache
from tools.errors import ToolError
from tools.places import Places
from tools.shell import environment

PROJECT = "pgstack"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")  # infra/settings.py says why; here no file must be made of a bad one


def prepare(places: Places, name: str, template: str) -> None:
    """Start the stack from environments/<template>.yaml if it does not exist, and clear a dead update's lock.

    Raises ToolError if there is no such template or Pulumi refuses.
    """
    if not NAME.fullmatch(name):
        raise ToolError(f'a stack can\'t be called "{name}": give at most 40 lower-case letters, digits and hyphens')
    variables = {**places.environ, **environment(places.repo, places.environ)}
    exists, locked = _look(places, name, variables)
    file = _file(places, name)
    if exists and not file.exists():  # Pulumi would deploy what is there with the defaults of every setting
        raise ToolError(
            f"the stack {name} is known and its settings, {file.relative_to(places.repo)}, are gone: put the file back"
            f" (`pgstack keys export` keeps one), or begin anew: cp environments/{template}.yaml"
            f" {file.relative_to(places.repo)}"
        )
    if not exists:
        with Cache(places.cache).lock(f"stack-{name}"):  # two `make up` at once start it once
            if not _look(places, name, variables)[0]:
                _create(places, name, template, variables)
    if locked:
        # `recover` alone knows whether the lock's holder still lives; starting it costs half a second, so only now
        _run([places.venv / "bin/pgstack", "recover", "--quiet", "--stack", name], places, variables)


def _create(places: Places, name: str, template: str, variables: Mapping[str, str]) -> None:
    file = _file(places, name)
    if not file.exists():
        source = places.repo / "environments" / f"{template}.yaml"
        if not source.is_file():
            known = ", ".join(sorted(path.stem for path in source.parent.glob("*.yaml")))
            raise ToolError(
                f'there is no template "{template}" for the stack {name}: give one with TEMPLATE=, of {known}'
            )
        progress.say(f"starting stack {name} from environments/{template}.yaml")
        cache.write(file, source.read_bytes())
    _run(["pulumi", "stack", "init", name], places, variables)


def _file(places: Places, name: str) -> Path:
    return places.repo / "stacks" / f"Pulumi.{name}.yaml"


def _look(places: Places, name: str, variables: Mapping[str, str]) -> tuple[bool, bool]:
    """Whether the stack exists and whether an update holds its lock; in the default backend this is two files."""
    backend = variables["PULUMI_BACKEND_URL"]
    if backend.startswith("file://"):
        folder = Path(backend.removeprefix("file://").partition("?")[0].replace("~", str(places.home), 1)) / ".pulumi"
        locks = folder / "locks/organization" / PROJECT / name
        return (folder / "stacks" / PROJECT / f"{name}.json").exists(), locks.is_dir() and any(locks.iterdir())
    done = subprocess.run(
        ["pulumi", "stack", "ls", "--json"],
        cwd=places.repo,
        env=dict(variables),
        capture_output=True,
        text=True,
        check=False,
    )
    return f'"name": "{name}"' in done.stdout, False


def _run(argv: list[str | Path], places: Places, variables: Mapping[str, str]) -> None:
    program = shutil.which(argv[0], path=variables["PATH"])
    if program is None:
        raise ToolError(f"{argv[0]} is missing: python3 -m tools install")
    code = subprocess.run(
        [program, *map(str, argv[1:])],
        cwd=places.repo,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode
    if code:
        raise ToolError(f"{' '.join(map(str, argv))} exited {code} (see above)")
