"""What a shell needs so that plain Pulumi works here: `eval "$(python3 -m tools shell)"`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from tools import docker_plugin, engine, pulumi_cli
from tools.errors import ToolError
from tools.places import Places

# Beside each file Pulumi's library writes a second one of metadata, not atomically: whoever reads meanwhile, or after
# a kill just then, gets "failed to load checkpoint: EOF" (gocloud.dev/blob/fileblob, setAttrs). Nothing reads it.
_ATOMIC = "metadata=skip"


def environment(repo: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to set on top of `environ`; what the user chose there stays, and no process is started.

    Raises ToolError for a setting that cannot be right.
    """
    places = Places.of(repo, environ)
    folders = [str(places.venv / "bin")]
    if pulumi_cli.own(places) is None:
        folders.append(str(places.tools / "bin"))
    others = [f for f in environ.get("PATH", os.defpath).split(os.pathsep) if f and not places.is_ours(f)]
    variables = {
        "PATH": os.pathsep.join([*folders, *others]),
        "PGSTACK_TOOLS": str(places.tools),
        "PULUMI_BACKEND_URL": environ.get("PULUMI_BACKEND_URL") or f"file://{places.state}?{_ATOMIC}",
        "PULUMI_SKIP_UPDATE_CHECK": environ.get("PULUMI_SKIP_UPDATE_CHECK") or "1",
    }
    # an empty PULUMI_CONFIG_PASSPHRASE is a passphrase too
    if "PULUMI_CONFIG_PASSPHRASE" not in environ:
        variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = environ.get("PULUMI_CONFIG_PASSPHRASE_FILE") or str(
            places.passphrase
        )
    if not docker_plugin.own(places):
        variables["PULUMI_HOME"] = str(places.tools / "pulumi")
    if not environ.get("DOCKER_HOST"):
        # Pulumi's plugin and the Python client do not read docker's contexts
        found = engine.host(environ, places.home)
        if found != engine.DEFAULT:
            variables["DOCKER_HOST"] = found
    return variables


def exports(repo: Path, environ: Mapping[str, str]) -> str:
    """The same as POSIX shell lines.

    Raises ToolError if the tools were not installed yet.
    """
    variables = environment(repo, environ)
    if not (Path(variables["PGSTACK_TOOLS"]) / "manifest.json").is_file():
        raise ToolError("the tools are not installed yet: python3 -m tools install")
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
