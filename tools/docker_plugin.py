"""Pulumi's Docker plugin: the user's, else the vendor's download, else the upstream provider behind Pulumi's bridge."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tools import go, progress, vendor, versions
from tools.cache import Artifact, Cache
from tools.errors import ToolError
from tools.places import Places

PROGRAM = "pulumi-resource-docker"
BUILD = go.Build(PROGRAM, "docker-plugin", ".", versions.DOCKER_PLUGIN)


def download() -> Artifact:
    return Artifact("docker-plugin-download", versions.DOCKER_PLUGIN, go.platform_name())


def own(places: Places) -> bool:
    """Whether the user's own Pulumi home has the plugin: then that home is used as it is."""
    home = places.environ.get("PULUMI_HOME")
    if home and places.cache in Path(home).parents:
        home = None  # set by an older `python3 -m tools shell`
    return (Path(home or places.home / ".pulumi") / places.plugin).is_file()


def bring(places: Places, vendors: vendor.Vendors) -> Path:
    """The folder with the program `pulumi-resource-docker`.

    Raises ToolError if it can neither be downloaded nor built.
    """
    store = Cache(places.cache)
    for artifact in (download(), BUILD.artifact):
        if store.have(artifact):
            return store.path(artifact)
    try:
        return store.bring(download(), lambda folder: _download(vendors, folder))
    except ToolError as error:
        if vendors.answers(versions.DOCKER_PLUGIN_URL):
            progress.say(f"the Docker plugin's own download does not do: {error}; building it instead")
    return go.bring(places, BUILD, usually="2 to 4 min on 2 cores")


def install(places: Places, folder: Path) -> None:
    """Put the plugin into our own Pulumi home: on PATH instead, every Pulumi command warns twice."""
    target = places.tools / "pulumi" / places.plugin
    if target.exists() and target.samefile(folder / PROGRAM):
        return
    aside = target.parent.with_name(f".{target.parent.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    (aside / PROGRAM).symlink_to(folder / PROGRAM)
    shutil.rmtree(target.parent, ignore_errors=True)
    aside.rename(target.parent)


def _download(vendors: vendor.Vendors, folder: Path) -> None:
    system, machine = go.platform_name()
    values = {"version": versions.DOCKER_PLUGIN, "os": system, "arch": machine}
    url = versions.DOCKER_PLUGIN_URL.format(**values)
    checksum = vendors.published_sum(versions.DOCKER_PLUGIN_SUMS_URL.format(**values), Path(url).name)
    with progress.step(f"{PROGRAM} {versions.DOCKER_PLUGIN}: downloading", "15 s"):
        vendor.unpack(vendors.download(url, folder, checksum=checksum), folder)
