"""Real virtual environments of a tiny project that brings its own build backend: nothing is fetched."""

from __future__ import annotations

import subprocess

import pytest

from tools import python_env
from tools.errors import ToolError
from tools.places import Places

BACKEND = """
import pathlib, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        wheel.writestr("tiny.pth", str(pathlib.Path.cwd()))
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.0.dist-info/entry_points.txt", "[console_scripts]\\ntiny = tiny:main\\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    return name
"""


@pytest.fixture
def project(places: Places) -> Places:
    (places.repo / "requirements.txt").write_text("")
    (places.repo / "backend.py").write_text(BACKEND)
    (places.repo / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "tiny"\nversion = "1.0"\n'
    )
    (places.repo / "tiny.py").write_text("def main():\n    print('hello')\n")
    return places


def test_the_environment_is_made_once_and_made_anew_when_it_was_interrupted_or_broken(project: Places) -> None:
    python_env.bring(project)
    assert subprocess.check_output([project.venv / "bin/tiny"], text=True) == "hello\n"
    stray = project.venv / "stray"
    stray.touch()
    python_env.bring(project)
    assert stray.exists()

    (project.repo / "pyproject.toml").write_text((project.repo / "pyproject.toml").read_text() + "# a comment\n")
    assert not python_env.is_made(project)
    python_env.bring(project)
    assert python_env.is_made(project)
    assert stray.exists()

    (project.venv / python_env.PACKAGES).unlink()  # as after a kill: the stamp is written last
    python_env.bring(project)
    assert not stray.exists()
    assert subprocess.check_output([project.venv / "bin/tiny"], text=True) == "hello\n"


def test_an_environment_whose_python_is_gone_is_not_taken_for_whole(project: Places) -> None:
    folder = project.venv / "bin"
    folder.mkdir(parents=True)
    for stamp in (python_env.PACKAGES, python_env.PROJECT):
        (project.venv / stamp).write_text("whatever")
    (folder / "python").symlink_to("/gone/python3")
    assert not python_env.is_made(project)


def test_a_package_without_a_hash_is_refused_and_the_environment_is_not_taken_for_whole(project: Places) -> None:
    wheel = project.repo / "tiny-1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    (project.repo / "requirements.txt").write_text(f"{wheel}\n")
    with pytest.raises(ToolError, match=r"pip install failed \(python exited 1\): .* \(all of it: .*python\.log\)"):
        python_env.bring(project)
    assert not python_env.is_made(project)
