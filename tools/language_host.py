"""Pulumi's Python language host and the two scripts that it starts; part of the vendor's bundle where that is used."""

from __future__ import annotations

import shutil
from pathlib import Path

from tools import go, pulumi_cli, versions
from tools.cache import Artifact, Cache
from tools.places import Places

BUILD = go.Build(
    "pulumi-language-python",
    "language-python",
    "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",
    versions.LANGUAGE_HOST,
)
SDK = "github.com/pulumi/pulumi/sdk/v3"
SCRIPTS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")


def scripts() -> Artifact:
    """The scripts of the CLI's own release: they speak with the Python SDK, which is of that release too."""
    return Artifact("language-scripts", versions.PULUMI, SCRIPTS)


def bring(places: Places) -> tuple[Path, ...]:
    """The folders with the language host and its scripts; none where the vendor's bundle has them.

    Raises ToolError if the build fails.
    """
    store = Cache(places.cache)
    if store.have(pulumi_cli.bundle()):
        return ()
    host = go.bring(places, BUILD, usually="20 s to 1 min on 2 cores")
    return host, store.bring(scripts(), lambda folder: _copy_scripts(places, folder))


def _copy_scripts(places: Places, folder: Path) -> None:
    module = go.module_folder(places, "pulumi-cli", SDK)
    for script in SCRIPTS:
        copy = folder / Path(script).name
        shutil.copyfile(module / script, copy)
        copy.chmod(0o755)
