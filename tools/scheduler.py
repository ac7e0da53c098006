"""supercronic, the cron of the backup container: the vendor's binary or a build, alone in an image."""

from __future__ import annotations

from pathlib import Path

from tools import go, images, progress, vendor, versions
from tools.cache import Artifact, Cache
from tools.errors import ToolError
from tools.places import Places

BUILD = go.Build(
    "supercronic",
    "supercronic",
    "github.com/aptible/supercronic",
    versions.SUPERCRONIC,
    f"-s -w -X main.Version=v{versions.SUPERCRONIC}",
)


def download() -> Artifact:
    return Artifact("supercronic-download", versions.SUPERCRONIC, (versions.SUPERCRONIC_SHA1,))


def image(source: Artifact) -> images.Image:
    return images.Image("scheduler", Artifact("scheduler-image", versions.SUPERCRONIC, (source.key,)))


def bring(places: Places, vendors: vendor.Vendors) -> images.Image:
    """The image with /usr/local/bin/supercronic, as an archive in the cache.

    Raises ToolError if the program can neither be downloaded nor built.
    """
    store = Cache(places.cache)
    for source in (download(), BUILD.artifact):
        if store.have(image(source).artifact):
            return image(source)
    source, folder = _program(places, vendors)
    made = image(source)
    store.bring(
        made.artifact,
        lambda aside: images.from_files(aside, made, {"usr/local/bin/supercronic": folder / "supercronic"}),
    )
    return made


def _program(places: Places, vendors: vendor.Vendors) -> tuple[Artifact, Path]:
    if go.platform_name()[1] == "amd64" and vendors.answers(versions.SUPERCRONIC_URL):
        try:
            return download(), Cache(places.cache).bring(download(), lambda folder: _download(vendors, folder))
        except ToolError as error:
            progress.say(f"supercronic's own download does not do: {error}; building it instead")
    return BUILD.artifact, go.bring(places, BUILD, usually="10 to 30 s")


def _download(vendors: vendor.Vendors, folder: Path) -> None:
    url = versions.SUPERCRONIC_URL.format(version=versions.SUPERCRONIC)
    with progress.step(f"supercronic {versions.SUPERCRONIC}: downloading", "5 s"):
        file = vendors.download(url, folder, checksum=versions.SUPERCRONIC_SHA1, algorithm="sha1")
    program = file.rename(folder / "supercronic")
    program.chmod(0o755)
