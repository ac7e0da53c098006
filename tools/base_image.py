"""The Debian image that every other image starts from: the vendor's, pinned, or one made of Debian's packages."""

from __future__ import annotations

import os
from pathlib import Path

from tools import cache, commands, images, progress, system_packages, versions
from tools.cache import Artifact, Cache
from tools.docker_api import Api
from tools.errors import ToolError
from tools.places import Places

BUILT = images.Image("base", Artifact("base-image", versions.DEBIAN, versions.BASE_IMAGE_RECIPE))
PULLED = f"pgstack/base:{versions.DEBIAN}-{versions.BASE_IMAGE_DIGEST.removeprefix('sha256:')[:12]}"


def bring(places: Places, api: Api, present: set[str]) -> str:
    """The tag of the base image in the engine.

    Raises ToolError if it can neither be pulled nor built.
    """
    for tag in (PULLED, BUILT.tag):
        if tag in present:
            return tag
    if not Cache(places.cache).have(BUILT.artifact):
        try:
            with progress.step(f"base image: pulling {versions.BASE_IMAGE} {versions.DEBIAN}", "10 s"):
                api.pull(versions.BASE_IMAGE, versions.BASE_IMAGE_DIGEST, PULLED)
        except ToolError as error:
            progress.say(f"the base image cannot be pulled: {error}; building it instead")
        else:
            return PULLED
    Cache(places.cache).bring(BUILT.artifact, lambda folder: _build(places, folder))
    return BUILT.tag


def _build(places: Places, folder: Path) -> None:
    cache.require_space(places.cache, 2, "building the base image")
    if system_packages.find("mmdebstrap") is None:
        with progress.step("mmdebstrap: installing", "15 s"):
            system_packages.install(places, "mmdebstrap", why="mmdebstrap is needed to build the base image")
    layer = folder / "layer.tar"
    with progress.step(f"base image: building Debian {versions.DEBIAN} from its packages", "30 s"):
        commands.run(
            ["mmdebstrap", "--quiet", *versions.BASE_IMAGE_RECIPE, versions.DEBIAN, layer],
            what="building the base image",
            hint=f"a Debian mirror or a registry with debian:{versions.DEBIAN}-slim must be within reach",
            log=places.cache / "logs" / "base-image.log",
            env={**os.environ, "SOURCE_DATE_EPOCH": str(images.EPOCH)},
        )
        images.from_layer(folder, BUILT, layer)
