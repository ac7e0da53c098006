from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools import cache
from tools.cache import Artifact, Cache
from tools.errors import ToolError

ARTIFACT = Artifact("thing", "1.0", ("how",))
CHECKOUT = Path(__file__).parents[3]


def test_an_artifact_is_built_once_and_then_found(tmp_path: Path) -> None:
    store, built = Cache(tmp_path), []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "program").write_text("works")

    assert store.bring(ARTIFACT, build) == store.bring(ARTIFACT, build) == store.path(ARTIFACT)
    assert (store.path(ARTIFACT) / "program").read_text() == "works"
    assert len(built) == 1


def test_a_build_that_fails_leaves_neither_a_tool_nor_a_scrap(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "program").write_text("half")
        raise ToolError("the compiler said no")

    with pytest.raises(ToolError, match="the compiler said no"):
        Cache(tmp_path).bring(ARTIFACT, build)
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_a_build_that_was_killed_leaves_no_tool_and_the_next_one_succeeds(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tools.cache import Artifact, Cache\n"
        "def build(folder):\n"
        "    (folder / 'program').write_text('half')\n"
        "    print('building', flush=True)\n"
        "    time.sleep(600)\n"
        "Cache(Path(sys.argv[1])).bring(Artifact('thing', '1.0', ('how',)), build)\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "building\n"
        process.send_signal(signal.SIGKILL)
    store = Cache(tmp_path)
    assert not store.have(ARTIFACT)

    def build(folder: Path) -> None:
        (folder / "program").write_text("whole")

    store.bring(ARTIFACT, build)
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [ARTIFACT.folder]
    assert (store.path(ARTIFACT) / "program").read_text() == "whole"


def test_two_processes_that_want_the_same_artifact_build_it_once(tmp_path: Path) -> None:
    script = (
        "import os, sys, time; from pathlib import Path; from tools.cache import Artifact, Cache\n"
        "root = Path(sys.argv[1])\n"
        "def build(folder):\n"
        "    (root / f'built-{os.getpid()}').touch()\n"
        "    while len(list(root.glob('started-*'))) < 2: time.sleep(0.01)\n"  # so that both are sure to overlap
        "    (folder / 'program').write_text('works')\n"
        "(root / f'started-{os.getpid()}').touch()\n"
        "print((Cache(root).bring(Artifact('thing', '1.0'), build) / 'program').read_text())\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    both = [subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in both] == ["works\n", "works\n"]
    assert len(list(tmp_path.glob("built-*"))) == 1


def test_anything_that_decides_the_content_changes_the_folder() -> None:
    names = {
        Artifact(*a).folder for a in (("t", "1"), ("t", "2"), ("u", "1"), ("t", "1", ("x",)), ("t", "1", ("x", "")))
    }
    assert len(names) == 5


def test_a_file_with_another_checksum_is_refused_and_removed(tmp_path: Path) -> None:
    file = tmp_path / "archive.tgz"
    file.write_bytes(b"not what was published")
    with pytest.raises(ToolError, match=r"archive\.tgz has sha256 .*, expected 0000: .*run it again"):
        cache.verify(file, "0000")
    assert not file.exists()


def test_a_file_with_the_right_checksum_stays(tmp_path: Path) -> None:
    file = tmp_path / "archive.tgz"
    file.write_bytes(b"published")
    cache.verify(file, hashlib.sha1(b"published", usedforsecurity=False).hexdigest(), algorithm="sha1")
    assert file.read_bytes() == b"published"


def test_a_written_file_has_its_mode_and_no_scrap_beside_it(tmp_path: Path) -> None:
    cache.write(tmp_path / "deep/secret", "x", mode=0o600)
    cache.write(tmp_path / "deep/secret", "y", mode=0o600)
    assert (tmp_path / "deep/secret").read_text() == "y"
    assert (tmp_path / "deep/secret").stat().st_mode & 0o777 == 0o600
    assert len(list((tmp_path / "deep").iterdir())) == 1


def test_a_link_is_turned_to_its_new_target(tmp_path: Path) -> None:
    cache.link(tmp_path / "old", tmp_path / "name")
    cache.link(tmp_path / "new", tmp_path / "name")
    assert (tmp_path / "name").readlink() == tmp_path / "new"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_placed_program_is_a_file_of_its_own_folder_and_follows_its_new_version(tmp_path: Path) -> None:
    for version in ("old", "new", "new"):
        cache.write(tmp_path / version / "program", version)
        cache.place(tmp_path / version / "program", tmp_path / "bin/program")
    assert not (tmp_path / "bin/program").is_symlink()
    assert (tmp_path / "bin/program").read_text() == "new"
    assert len(list((tmp_path / "bin").iterdir())) == 1


def test_a_disk_that_is_nearly_full_is_said_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"GB free and building pulumi needs 1000000000: free some space, then again"):
        cache.require_space(tmp_path / "not/there/yet", 1e9, "building pulumi")


def test_a_placed_program_is_the_file_itself_so_that_it_finds_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "new").write_text("new")
    cache.place(tmp_path / "old", tmp_path / "bin/name")
    cache.place(tmp_path / "new", tmp_path / "bin/name")
    assert (tmp_path / "bin/name").resolve() == tmp_path / "bin/name"
    assert (tmp_path / "bin/name").read_text() == "new"
