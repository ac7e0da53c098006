from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import time
from pathlib import Path

import pytest

from tests.unit.tools.conftest import Vendor
from tools import docker_plugin, pulumi_cli, vendor, versions
from tools.errors import ToolError
from tools.places import Places


def archive(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def test_a_download_with_the_published_checksum_is_kept(vendor_site: Vendor, tmp_path: Path) -> None:
    vendor_site.files["/tool.tgz"] = b"content"
    vendors = vendor.Vendors(())
    found = vendors.download(f"{vendor_site.url}/tool.tgz", tmp_path, checksum=hashlib.sha256(b"content").hexdigest())
    assert found.read_bytes() == b"content"


def test_a_download_that_was_altered_is_refused_and_nothing_is_left(vendor_site: Vendor, tmp_path: Path) -> None:
    vendor_site.files["/tool.tgz"] = b"altered"
    with pytest.raises(ToolError, match="expected 00"):
        vendor.Vendors(()).download(f"{vendor_site.url}/tool.tgz", tmp_path, checksum="00")
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_is_not_there_says_its_address(vendor_site: Vendor, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"/tool\.tgz could not be downloaded: .*404"):
        vendor.Vendors(()).download(f"{vendor_site.url}/tool.tgz", tmp_path, checksum="00")
    assert list(tmp_path.iterdir()) == []


def test_vendors_that_never_answer_cost_a_few_seconds_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        urls = tuple(f"http://127.0.0.1:{silent.getsockname()[1]}/file" for silent in (one, other))
        vendors = vendor.Vendors(urls)
        began = time.monotonic()
        assert not any(vendors.answers(url) for url in urls)
        assert time.monotonic() - began < vendor.ANSWERS_WITHIN + 2
        began = time.monotonic()
        with pytest.raises(ToolError, match="does not answer from this machine"):
            vendors.download(urls[0], tmp_path, checksum="00")
        assert time.monotonic() - began < 0.1


def test_a_vendor_is_asked_once_whether_it_answers(vendor_site: Vendor) -> None:
    vendors = vendor.Vendors((vendor_site.url,))
    assert vendors.answers(f"{vendor_site.url}/a")
    assert vendors.answers(f"{vendor_site.url}/b")
    assert vendor_site.asked == ["HEAD /"]


def test_a_checksum_is_read_from_the_vendors_list(vendor_site: Vendor) -> None:
    vendor_site.files["/sums"] = b"aa  one.tgz\nbb *two.tgz\n"
    vendors = vendor.Vendors(())
    assert vendors.published_sum(f"{vendor_site.url}/sums", "one.tgz") == "aa"
    assert vendors.published_sum(f"{vendor_site.url}/sums", "two.tgz") == "bb"
    with pytest.raises(ToolError, match=r"does not list three\.tgz"):
        vendors.published_sum(f"{vendor_site.url}/sums", "three.tgz")


def test_an_archive_that_reaches_outside_of_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "evil.tgz").write_bytes(archive({"../escaped": b"x"}))
    with pytest.raises(ToolError, match=r"holds \.\./escaped, which does not stay in its folder"):
        vendor.unpack(tmp_path / "evil.tgz", tmp_path / "in")
    assert not (tmp_path / "escaped").exists()


def test_pulumis_own_bundle_is_used_where_its_vendor_answers(
    vendor_site: Vendor, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = archive({"pulumi/pulumi": b"cli", "pulumi/pulumi-language-python": b"host"})
    vendor_site.files["/pulumi.tgz"] = bundle
    vendor_site.files["/sums"] = f"{hashlib.sha256(bundle).hexdigest()}  pulumi.tgz\n".encode()
    monkeypatch.setattr(versions, "PULUMI_URL", f"{vendor_site.url}/pulumi.tgz")
    monkeypatch.setattr(versions, "PULUMI_SUMS_URL", f"{vendor_site.url}/sums")

    folder = pulumi_cli.bring(places, vendor.Vendors(()))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "pulumi": b"cli",
        "pulumi-language-python": b"host",
    }
    assert pulumi_cli.bring(places, vendor.Vendors(())) == folder
    assert vendor_site.asked.count("GET /pulumi.tgz") == 1


def test_the_docker_plugins_download_lands_in_our_own_pulumi_home(
    vendor_site: Vendor, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive({"pulumi-resource-docker": b"plugin", "README.md": b"x"})
    vendor_site.files["/plugin.tgz"] = content
    vendor_site.files["/sums"] = f"{hashlib.sha256(content).hexdigest()}  plugin.tgz\n".encode()
    monkeypatch.setattr(versions, "DOCKER_PLUGIN_URL", f"{vendor_site.url}/plugin.tgz")
    monkeypatch.setattr(versions, "DOCKER_PLUGIN_SUMS_URL", f"{vendor_site.url}/sums")

    docker_plugin.install(places, docker_plugin.bring(places, vendor.Vendors(())))
    assert (places.tools / "pulumi" / places.plugin).read_bytes() == b"plugin"
    assert not (places.home / ".pulumi").exists()
