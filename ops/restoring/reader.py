"""A container that reads an off-site repository where nothing of its stack is: for a plan, before anything is made."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.errors import DeploymentError
from infra.selfhosted.engine import archive
from infra.selfhosted.images import Prepared, tag
from infra.selfhosted.repositories import OFFSITE_CONF, files, offsite_conf
from infra.selfhosted.stores import refusal
from ops.engine import LABEL, Engine
from ops.errors import EngineError, OpsError, UnknownError
from ops.pulumi import REPO, Pulumi
from ops.readings.repository import OFFSITE, config, pgbackrest
from ops.restoring.lost import Saved

_IN_ONE_LINE = 'said=$("$@" 2>&1) || { echo "$said" | tr "\\n" " "; exit 1; }'
_AT_MOST = "3600"  # seconds; then it goes by itself, also where nobody lived to remove it
# Only the Docker provider's own builder takes these Dockerfiles everywhere, so a Pulumi program builds them, which has
# nothing else and whose state nobody needs.
_PROJECT = f"""\
name: pgstack-images
runtime:
  name: python
  options:
    toolchain: pip
    virtualenv: {REPO / ".venv"}
"""
_PROGRAM = """\
from infra.selfhosted.images import Images, Prepared

Images("images", Prepared.load())
"""


def prepared(pulumi: Pulumi) -> Prepared:
    """Of what the images here are built. Raises UnknownError where the tools are not installed."""
    try:
        return Prepared.load(pulumi.environ)
    except DeploymentError as error:
        raise UnknownError(str(error)) from None


@contextmanager
def reading(saved: Saved, engine: Engine, image: str) -> Iterator[str]:
    """The container's name, while it is there. It has the store's secrets in files of its own, and no volume."""
    name = f"{saved.prefix}-reader"
    if leftover := engine.container(name):
        leftover.remove(force=True)
    container = engine.client.containers.create(
        image, ["sleep", _AT_MOST], name=name, labels={LABEL: saved.prefix}, auto_remove=True, init=True
    )
    conf = offsite_conf(saved.store, f"/{saved.prefix}", saved.store_key)
    folder = config(OFFSITE).rpartition("/")[0]
    container.put_archive(folder, archive({OFFSITE_CONF: conf, **files(saved.store)}))
    container.start()
    try:
        _insist_on_answer(saved, engine, name)
        yield name
    finally:
        container.remove(force=True)


def _insist_on_answer(saved: Saved, engine: Engine, container: str) -> None:
    """A store that does not answer is given up in half a minute."""
    try:
        engine.ask(container, ["sh", "-c", _IN_ONE_LINE, "sh", *pgbackrest(OFFSITE), "--io-timeout=3", "repo-ls"])
    except EngineError as error:
        raise OpsError(
            refusal(saved.store, str(error), f"correct `offsite` in {saved.path} and try again; nothing was changed")
        ) from None


def image(pulumi: Pulumi, engine: Engine) -> str:
    """The server's image, which a new host has yet to build. Raises OpsError."""
    wanted = tag("postgres", prepared(pulumi).build_args)
    if not engine.client.images.list(wanted):
        print("building the images", flush=True)
        _build(pulumi)
    return wanted


def _build(pulumi: Pulumi) -> None:
    with tempfile.TemporaryDirectory(prefix="pgstack-images-") as folder:
        (Path(folder) / "Pulumi.yaml").write_text(_PROJECT)
        (Path(folder) / "__main__.py").write_text(_PROGRAM)
        environ = {
            **pulumi.environ,
            "PULUMI_BACKEND_URL": f"file://{folder}",
            "PULUMI_CONFIG_PASSPHRASE": "",  # there is no secret
            "PYTHONPATH": str(REPO),
        }
        there = dataclasses.replace(pulumi, environ=environ)
        there.ask("--cwd", folder, "stack", "init", "images")
        there.ask("--cwd", folder, "up", "--yes", "--skip-preview", "--stack", "images")
