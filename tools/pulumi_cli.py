"""The Pulumi CLI: the machine's own if it is new enough, else the vendor's bundle, else a build from Go modules."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from tools import cache, commands, go, progress, vendor, versions
from tools.cache import Artifact, Cache
from tools.errors import ToolError
from tools.places import Places

BUILD = go.Build(
    "pulumi",
    "pulumi-cli",
    "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    versions.PULUMI,
    f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{versions.PULUMI}",
)


def bundle() -> Artifact:
    """The vendor's archive: the CLI with every language host."""
    return Artifact("pulumi-bundle", versions.PULUMI, go.platform_name())


def bring(places: Places, vendors: vendor.Vendors) -> Path:
    """The folder with the program `pulumi`.

    Raises ToolError if it can neither be downloaded nor built.
    """
    store = Cache(places.cache)
    if store.have(bundle()):
        return store.path(bundle())
    if store.have(BUILD.artifact):
        return store.path(BUILD.artifact)
    try:
        return store.bring(bundle(), lambda folder: _download(vendors, folder))
    except ToolError as error:
        if vendors.answers(versions.PULUMI_URL):
            progress.say(f"Pulumi's own download does not do: {error}; building it instead")
    return go.bring(places, BUILD, usually="3 to 5 min on 2 cores")


def _download(vendors: vendor.Vendors, folder: Path) -> None:
    system, machine = go.platform_name()
    url = versions.PULUMI_URL.format(version=versions.PULUMI, os=system, arch=machine.replace("amd64", "x64"))
    checksum = vendors.published_sum(versions.PULUMI_SUMS_URL.format(version=versions.PULUMI), Path(url).name)
    with progress.step(f"pulumi {versions.PULUMI}: downloading", "20 s"):
        vendor.unpack(vendors.download(url, folder, checksum=checksum), folder)
    for path in (folder / "pulumi").iterdir():
        path.rename(folder / f".{path.name}")  # `pulumi` is both the archive's folder and a file in it
    (folder / "pulumi").rmdir()
    for path in folder.iterdir():
        path.rename(folder / path.name.removeprefix("."))


def own(places: Places) -> Path | None:
    """The user's own `pulumi`, if `look` found this very file new enough; starts no process."""
    found = _on_path(places)
    if found and _known(places).get(str(found), {}) == {**_identity(found), "good": True}:
        return found
    return None


def look(places: Places) -> Path | None:
    """The user's own `pulumi` if it is new enough and its Python language host is there too; remembers the answer."""
    found = _on_path(places)
    if found is None:
        return None
    known = _known(places)
    if {k: v for k, v in known.get(str(found), {}).items() if k != "good"} != _identity(found):
        good = _is_new_enough(places, found)
        known[str(found)] = {**_identity(found), "good": good}
        cache.write(_record(places), json.dumps(known, indent=1))
    return own(places)


def version_in(said: str) -> tuple[int, ...]:
    """(3, 259, 0) from `v3.259.0`; () from anything else."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(part) for part in match.groups()) if match else ()


def _is_new_enough(places: Places, found: Path) -> bool:
    try:
        version = version_in(
            commands.output_of([found, "version"], env={**places.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"})
        )
    except ToolError:
        return False
    wanted = version_in(versions.PULUMI)
    good = version[:1] == wanted[:1] and version >= wanted
    if not good:
        said = ".".join(map(str, version)) or "of no known version"
        progress.say(f"{found} is {said} and {versions.PULUMI} is needed: bringing that")
    return good


def _on_path(places: Places) -> Path | None:
    path = os.pathsep.join(f for f in places.environ.get("PATH", "").split(os.pathsep) if not places.is_ours(f))
    host = shutil.which("pulumi-language-python", path=path)
    found = shutil.which("pulumi", path=path)
    return Path(found) if found and host else None


def _identity(program: Path) -> dict[str, object]:
    status = program.stat()
    return {"size": status.st_size, "modified": status.st_mtime_ns}


def _known(places: Places) -> dict[str, dict[str, object]]:
    try:
        known = json.loads(_record(places).read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _record(places: Places) -> Path:
    return places.cache / "own-pulumi.json"
