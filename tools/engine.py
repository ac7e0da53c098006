"""A Docker Engine that answers: the one the user points at, the one that runs, else one is started or installed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tools import commands, progress, system_packages
from tools.cache import Cache
from tools.docker_api import Api
from tools.errors import ToolError
from tools.places import Places

DEFAULT = "unix:///var/run/docker.sock"
SYSTEMD = Path("/run/systemd/system")
START_SECONDS = 60.0
OLDEST_API = (1, 41)  # what the deployment was tried with


def host(environ: Mapping[str, str], home: Path) -> str:
    """Where the engine is: DOCKER_HOST, the current docker context, a rootless socket, else the usual socket."""
    return environ.get("DOCKER_HOST") or context_host(environ, home) or _rootless(environ) or DEFAULT


def context_host(environ: Mapping[str, str], home: Path) -> str | None:
    """The address in the docker context that is in use; None if it is the default one.

    Raises ToolError if the context does not exist.
    """
    folder = Path(environ.get("DOCKER_CONFIG") or home / ".docker")
    name = environ.get("DOCKER_CONTEXT")
    if not name:
        try:
            name = json.loads((folder / "config.json").read_text()).get("currentContext")
        except (OSError, ValueError):
            return None
    if not name or name == "default":
        return None
    meta = folder / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
    try:
        found = json.loads(meta.read_text())["Endpoints"]["docker"]["Host"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(
            f'the docker context "{name}" cannot be read: choose another (docker context use default)'
        ) from error
    return str(found)


def bring(places: Places) -> Api:
    """An engine that answers and is new enough; starts the installed one, or as root installs and starts one.

    Raises ToolError that says what to type where neither is possible.
    """
    api = Api(host(places.environ, places.home), places.environ)
    _bring(places, api)
    version = api.version()
    if version < OLDEST_API:
        spoken, needed = (".".join(map(str, v)) for v in (version, OLDEST_API))
        raise ToolError(
            f"the Docker engine at {api.host} speaks API {spoken}, {needed} (Docker 20.10) is needed: upgrade it"
        )
    return api


def _bring(places: Places, api: Api) -> None:
    reason = api.ping()
    if reason is None:
        return
    if api.host != DEFAULT:
        raise ToolError(
            f"no Docker engine answers at {api.host} ({reason}): start it, or unset DOCKER_HOST or the docker context"
        )
    if reason == os.strerror(errno.EACCES):
        raise ToolError(
            f"this user may not use the Docker engine at {DEFAULT}: sudo usermod -aG docker $USER, then log in again"
        )
    with Cache(places.cache).lock("engine"):
        if api.ping() is not None:
            _start(places, api)


def _start(places: Places, api: Api) -> None:
    daemon = system_packages.find("dockerd", places.environ.get("PATH"))
    if daemon is None:
        why = f"no Docker engine answers at {DEFAULT} and none is installed"
        if not system_packages.can_install():
            raise ToolError(
                f"{why}: sudo apt-get install docker.io (or https://docs.docker.com/engine/install), then again"
            )
        with progress.step("Docker engine: installing docker.io", "1 min"):
            system_packages.install(places, "docker.io", "iptables", why=why)
        daemon = system_packages.find("dockerd", places.environ.get("PATH"))
    if api.ping() is None:
        return  # its package started it
    if os.geteuid() != 0:
        how = "sudo systemctl start docker" if SYSTEMD.is_dir() else f"sudo setsid {daemon} &"
        raise ToolError(f"no Docker engine answers at {DEFAULT} and only root may start one: {how}")
    if daemon is None:
        raise ToolError(
            "docker.io was installed but brought no dockerd: install Docker by hand (https://docs.docker.com/engine/install)"
        )
    with progress.step("Docker engine: starting", "5 s"):
        if SYSTEMD.is_dir():
            commands.run(
                ["systemctl", "start", "docker"],
                what="systemctl start docker",
                log=places.cache / "logs" / "systemctl.log",
            )
            await_answer(api, lambda: None, "journalctl -u docker")
        else:
            _start_detached(places, api, daemon)


def _start_detached(places: Places, api: Api, daemon: Path) -> None:
    log = places.state / "dockerd.log"
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log.open("ab") as output:
        # its own session: a Ctrl-C in this terminal, and its closing, must not reach the engine
        process = subprocess.Popen(
            [str(daemon)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
        )

    def died() -> str | None:
        return commands.last_words(log) if process.poll() is not None else None

    await_answer(api, died, str(log))


def await_answer(api: Api, died: Callable[[], str | None], log: str) -> None:
    """Return when the engine answers.

    Raises ToolError when it died, with its last words, or has not answered for a minute.
    """
    until = time.monotonic() + START_SECONDS
    while (reason := api.ping()) is not None:
        words = died()
        if words is not None and api.ping() is not None:
            raise ToolError(f"the Docker engine stopped right after its start: {words} (all of it: {log})")
        if time.monotonic() > until:
            raise ToolError(f"the Docker engine was started but does not answer at {api.host} ({reason}): see {log}")
        time.sleep(0.1)


def _rootless(environ: Mapping[str, str]) -> str | None:
    folder = environ.get("XDG_RUNTIME_DIR")
    socket = Path(folder) / "docker.sock" if folder else None
    return (
        f"unix://{socket}"
        if socket and socket.exists() and not Path(DEFAULT.removeprefix("unix://")).exists()
        else None
    )
