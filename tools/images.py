"""Docker images that tools/ makes without an engine: archives with one layer, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import go
from tools.cache import Artifact, Cache
from tools.places import Places

EPOCH = 1767225600  # 2026-01-01, the time of every file: an image's id then depends on its content alone
ARCHIVE = "image.tar"


@dataclass(frozen=True)
class Image:
    """An image of our own making; `role` names it, the artifact's version and key make its tag."""

    role: str
    artifact: Artifact

    @property
    def tag(self) -> str:
        return f"pgstack/{self.role}:{self.artifact.version}-{self.artifact.key}"

    def archive(self, places: Places) -> Path:
        return Cache(places.cache).path(self.artifact) / ARCHIVE


def from_files(folder: Path, image: Image, files: Mapping[str, Path | str]) -> None:
    """Write the archive of an image with `files`: path there -> file on this machine, or "-> target" for a link."""
    layer = folder / "layer.tar"
    with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as tar:
        made: set[str] = set()
        for name in sorted(files):
            for parent in reversed(Path(name).parents[:-1]):
                if str(parent) not in made:
                    made.add(str(parent))
                    tar.addfile(_entry(str(parent), 0o755, kind=tarfile.DIRTYPE))
            source = files[name]
            if isinstance(source, str):
                tar.addfile(_entry(name, 0o777, kind=tarfile.SYMTYPE, target=source.removeprefix("-> ")))
                continue
            executable = source.stat().st_mode & 0o111
            entry = _entry(name, 0o755 if executable else 0o644, size=source.stat().st_size)
            with source.open("rb") as content:
                tar.addfile(entry, content)
    from_layer(folder, image, layer)


def from_layer(folder: Path, image: Image, layer: Path) -> None:
    """Write the archive of an image whose only layer is the tar `layer`, which is removed."""
    with layer.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    created = "2026-01-01T00:00:00Z"
    config = json.dumps(
        {
            "architecture": go.platform_name()[1],
            "os": "linux",
            "created": created,
            "config": {"Labels": {"pgstack.tools": image.artifact.folder}},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": created, "created_by": f"pgstack tools: {image.role}"}],
        },
        sort_keys=True,
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps(
        [{"Config": config_name, "RepoTags": [image.tag], "Layers": [f"{digest}/layer.tar"]}]
    ).encode()
    with tarfile.open(folder / ARCHIVE, "w") as tar:
        tar.addfile(_entry(config_name, 0o644, size=len(config)), io.BytesIO(config))
        with layer.open("rb") as content:
            tar.addfile(_entry(f"{digest}/layer.tar", 0o644, size=layer.stat().st_size), content)
        tar.addfile(_entry("manifest.json", 0o644, size=len(manifest)), io.BytesIO(manifest))
    layer.unlink()


def tree(folder: Path, prefix: str) -> dict[str, Path | str]:
    """Every file and link below `folder`, as `from_files` takes them, under `prefix`."""
    found: dict[str, Path | str] = {}
    for path in folder.rglob("*"):
        name = f"{prefix}/{path.relative_to(folder)}"
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path
    return found


def _entry(name: str, mode: int, *, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size, entry.type, entry.linkname, entry.mtime = mode, size, kind, target, EPOCH
    return entry
