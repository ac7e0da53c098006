"""`python3 -m tools install`: everything that is missing, in two lanes, then one manifest that says what is there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from tools import (
    base_image,
    cache,
    commands,
    docker_plugin,
    engine,
    images,
    language_host,
    postgres_files,
    progress,
    pulumi_cli,
    python_env,
    scheduler,
    vendor,
)
from tools.cache import Cache
from tools.docker_api import Api
from tools.errors import ToolError
from tools.places import Places

_SALT = "encryptionsalt:"  # Pulumi writes it into a stack's file when it first encrypts something for it


def install(places: Places) -> None:
    """Bring what is missing; quick and silent if nothing is.

    Raises ToolError that names what is missing and how to bring it. Killed at any moment, it goes on at the next run.
    """
    prepare_state(places)
    api = engine.bring(places)
    own_cli = pulumi_cli.look(places)
    if python_env.is_made(places) and _is_complete(places, api):
        return
    vendors = vendor.Vendors()
    source = postgres_files.decide(places, vendors)
    tags: dict[str, str] = {}

    def programs() -> None:
        if own_cli is None:
            _link(places, pulumi_cli.bring(places, vendors), *language_host.bring(places))
        if not docker_plugin.own(places):
            docker_plugin.install(places, docker_plugin.bring(places, vendors))

    def containers() -> None:
        python_env.bring(places)
        present = api.tags()
        tags["base_image"] = base_image.bring(places, api, present)
        if tags["base_image"] == base_image.BUILT.tag:
            _load(places, api, base_image.BUILT)
        if source == "packages":
            tags["server_image"] = _load(places, api, postgres_files.bring(places))
        tags["scheduler_image"] = _load(places, api, scheduler.bring(places, vendors))

    in_two_lanes(programs, containers)
    cache.write(places.tools / "manifest.json", json.dumps({"postgres_source": source, **tags}, indent=2) + "\n")
    progress.say(f"tools are ready in {places.tools}")


def in_two_lanes(*lanes: Callable[[], None]) -> None:
    """Compiling keeps the cores busy while the other lane waits for the network.

    Raises the first lane's error after the other one has stopped.
    """
    with ThreadPoolExecutor(len(lanes)) as pool:
        running = [pool.submit(lane) for lane in lanes]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
        except BaseException:
            commands.stop_all()
            raise
        failed = [future for future in done if future.exception()]
        if failed:
            commands.stop_all()
            failed[0].result()


def prepare_state(places: Places) -> None:
    """The state folder (0700), its passphrase (0600, made once) and the checkout's link to the stack files.

    Raises ToolError if `stacks` in the checkout is a folder or file of the user's own, or if the passphrase is gone
    that stacks were made with.
    """
    stacks = places.state / "stacks"
    if not stacks.is_dir():
        places.state.mkdir(parents=True, exist_ok=True)
        places.state.chmod(0o700)
        stacks.mkdir(exist_ok=True)
    if not places.passphrase.exists() and not _has_own_passphrase(places):
        with Cache(places.cache).lock("passphrase"):
            if not places.passphrase.exists():
                _check_nothing_needs_the_lost_one(places, stacks)
                cache.write(places.passphrase, secrets.token_urlsafe(32), mode=0o600)
    link = places.repo / "stacks"
    if link.exists() and not link.is_symlink():
        raise ToolError(
            f"{link} is not the link that pgstack makes: move its files to {stacks} and remove it, then again"
        )
    if link.is_symlink() and link.readlink() != stacks:
        progress.say(f"this checkout's stack files are now those in {stacks}, no longer those in {link.readlink()}")
    cache.link(stacks, link)


def _has_own_passphrase(places: Places) -> bool:
    file = places.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE", "")
    return "PULUMI_CONFIG_PASSPHRASE" in places.environ or file not in {"", str(places.passphrase)}


def _check_nothing_needs_the_lost_one(places: Places, stacks: Path) -> None:
    """A new passphrase opens no older stack, and would hide that the old one has to be found."""
    made = [path.stem.removeprefix("Pulumi.") for path in stacks.glob("Pulumi.*.yaml") if _SALT in path.read_text()]
    if made:
        raise ToolError(
            f"{places.passphrase} is gone, and only it opens {', '.join(sorted(made))}: put it back (`passphrase` in "
            "the file of `pgstack keys export`), or set PULUMI_CONFIG_PASSPHRASE if that was used; if nobody needs "
            f"what those stacks hold, remove their files from {stacks}"
        )


def _is_complete(places: Places, api: Api) -> bool:
    try:
        manifest = json.loads((places.tools / "manifest.json").read_text())
    except (OSError, ValueError):
        return False
    wanted = {tag for name, tag in manifest.items() if name.endswith("_image")}
    has_cli = pulumi_cli.own(places) or all(
        (places.tools / "bin" / name).exists() for name in ("pulumi", language_host.BUILD.program)
    )
    has_plugin = docker_plugin.own(places) or (places.tools / "pulumi" / places.plugin).exists()
    return bool(has_cli and has_plugin and places.postgres_source() and wanted <= api.tags())


def _load(places: Places, api: Api, image: images.Image) -> str:
    with Cache(places.cache).lock("images"):
        if image.tag not in api.tags():
            with progress.step(f"Docker engine: loading {image.tag}", "5 s"):
                api.load(image.archive(places))
    return image.tag


def _link(places: Places, *folders: Path) -> None:
    for folder in folders:
        for program in folder.iterdir():
            cache.place(program, places.tools / "bin" / program.name)
