"""`pgstack keys`: what must survive the host that it protects."""

from __future__ import annotations

import datetime
import json
import os
import re
from pathlib import Path
from typing import Annotated

import typer

from ops import PROJECT
from ops.errors import OpsError
from ops.pulumi import REPO
from ops.settings import stack_file
from ops.stack import KINDS, Stack, StackOption

keys = typer.Typer(
    name="keys",
    help="Bring the stack's keys to a safe place; change the backups' own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_REPOSITORY = re.compile(
    r"^repo1-path=(?P<path>[^\n]+)$.*^repo1-cipher-pass=(?P<key>[^\n]+)$", re.MULTILINE | re.DOTALL
)
_OFFSITE = f"{PROJECT}:offsite"
_HOW_TO_USE = (
    "This file opens everything of the stack: keep it where only its owners get at it, and not on the stack's host.",
    "If the host is lost: `pgstack restore bare THIS_FILE` on another one, docs/runbooks/lost-host.md.",
    "repository_key decrypts the pgBackRest repository (repo1-cipher-pass).",
    "offsite is the other repository's store, with secrets (pgstack:offsite); offsite_key decrypts what is there.",
    "old has the keys of before the last rotation, by the repositories' paths; they open nothing of after it.",
    "passphrase opens the secrets in state and stack_file (PULUMI_CONFIG_PASSPHRASE).",
    "state is what `pulumi stack import` takes, stack_file is stacks/Pulumi.STACK.yaml; both are as of exported_at.",
)


@keys.callback()
def _group() -> None:
    pass


@keys.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, outside the checkout.")],
    stack: StackOption = None,
) -> None:
    """Write the state and its passphrase, the repository's key, the CA and the URLs to a file only you can read.

    Without them, backups and state are worth nothing once the host is lost. Keep the file elsewhere: it opens all.

    Example: pgstack keys export ~/pgstack-staging-keys.json -s staging
    """
    target = file.expanduser().absolute()
    if target.resolve().is_relative_to(REPO):
        raise OpsError(f"{target} lies in the checkout, where it could be committed: choose a path outside of {REPO}")
    found = Stack.read(stack)
    from ops import exported  # noqa: PLC0415 - after what fails fast

    _write_new(target, json.dumps(_collected(found), indent=2) + "\n")
    exported.stamp(found)
    print(f"the keys of stack {found.name} are in {target}: move it off this machine, and never commit it")


def _collected(stack: Stack) -> dict[str, object]:
    file = stack_file(stack.name)
    return {
        "how_to_use": _HOW_TO_USE,
        "stack": stack.name,
        "exported_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "passphrase": _passphrase(stack),
        "repository_key": _repository(stack, "local")[0],
        **_offsite(stack),
        **_old(stack),
        "ca_certificate": stack.outputs["ca_certificate"],
        "urls": {app: {kind: stack.url(app, kind) for kind in KINDS} for app in stack.apps},
        "stack_file": file.read_text() if file.is_file() else "",
        "state": json.loads(stack.pulumi.ask("stack", "export", stack=stack.name)),
    }


def _passphrase(stack: Stack) -> str:
    environ = stack.pulumi.environ
    if "PULUMI_CONFIG_PASSPHRASE" in environ:
        return environ["PULUMI_CONFIG_PASSPHRASE"]
    path = Path(environ["PULUMI_CONFIG_PASSPHRASE_FILE"])
    try:
        return path.read_text().rstrip("\n")
    except OSError as error:
        raise OpsError(f"the passphrase's file {path} can't be read ({error.strerror})") from error


def _offsite(stack: Stack) -> dict[str, object]:
    """Nothing for a stack that has no off-site repository."""
    from ops.readings.repository import OFFSITE  # noqa: PLC0415 - slow import

    given = json.loads(stack.pulumi.ask("config", "--show-secrets", "--json", stack=stack.name)).get(_OFFSITE, {})
    store = given.get("objectValue") or json.loads(given.get("value") or "{}")
    if not store:
        return {}
    key, path = _repository(stack, OFFSITE)
    return {"offsite_key": key, "offsite": {**store, "path": path}}


def _old(stack: Stack) -> dict[str, object]:
    """Nothing unless the keys were rotated and the old ones are not retired yet."""
    from ops.engine import Engine  # noqa: PLC0415 - slow imports
    from ops.readings.repository import repositories  # noqa: PLC0415

    names = repositories(Engine.connect(stack.pulumi.environ), stack.container("backup"), kind="old")
    found = {path: key for key, path in (_repository(stack, it) for it in names)}
    return {"old": found} if found else {}


def _repository(stack: Stack, repository: str) -> tuple[str, str]:
    """Its key and its path."""
    from ops.engine import Engine  # noqa: PLC0415 - slow imports
    from ops.readings.repository import config  # noqa: PLC0415

    path = config(repository)
    conf = Engine.connect(stack.pulumi.environ).read(stack.container("backup"), path)
    match = _REPOSITORY.search(conf)
    if match is None:
        raise OpsError(f"{stack.container('backup')} has no repo1-cipher-pass in {path}: run `pulumi up`")
    return match["key"].strip(), match["path"].strip()


def _write_new(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise OpsError(f"{path} exists: give a new file, so that no older key is lost") from None
    except OSError as error:
        raise OpsError(f"{path} can't be written ({error.strerror})") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
