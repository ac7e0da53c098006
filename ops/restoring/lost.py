"""What `pgstack keys export` saved of a stack, for a host that has nothing of it any more."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from infra.selfhosted.stores import Offsite, Store
from ops import PROJECT
from ops.errors import OpsError, UnknownError
from ops.files import PRIVATE, write
from ops.pulumi import Pulumi
from ops.settings import stack_file

_OFFSITE = f"{PROJECT}:offsite"
_NEEDED = ("stack", "exported_at", "passphrase", "state", "stack_file")
# the rest of a state says what was on the lost host, and that is gone
_COMPONENTS = ("", "pgstack:selfhosted:SelfHosted", "pgstack:selfhosted:Credentials", "pgstack:selfhosted:Certificates")
_RANDOM = tuple(f"{it}$pulumi:index:Stash" for it in _COMPONENTS[2:])


@dataclass(frozen=True)
class Saved:
    """The file's contents; `state` is what `pulumi stack export` gave, its secrets encrypted by the passphrase."""

    path: Path
    stack: str
    exported_at: datetime.datetime
    passphrase: str = field(repr=False)
    state: Mapping[str, Any] = field(repr=False)
    stack_file: str = field(repr=False)
    offsite: Mapping[str, Any] = field(repr=False)
    store: Store  # the same, checked
    store_key: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Saved:
        """Raises UnknownError, one line, for a file that is no such file or lacks something."""
        try:
            given = json.loads(path.expanduser().read_text())
        except OSError as error:
            raise UnknownError(f"{path} can't be read ({error.strerror})") from error
        except ValueError:
            given = None
        if not isinstance(given, dict) or "repository_key" not in given:
            raise UnknownError(f"{path} is no file of `pgstack keys export`: give the one that was kept off the host")
        missing = [it for it in _NEEDED if given.get(it) is None]
        if "state" not in missing and "resources" not in given["state"].get("deployment", {}):
            missing.append("state")
        if missing:
            raise UnknownError(
                f"{path} lacks {', '.join(missing)}: an older pgstack made it, or somebody shortened it, and nothing"
                " can be rebuilt from it; give a newer export"
            )
        if not given.get("offsite") or not given.get("offsite_key"):
            raise UnknownError(
                f"{path} names no off-site repository: stack {given['stack']} had none on {given['exported_at']}, so"
                " its backups are lost with the host; if the stack got one later, give an export made after that"
            )
        try:
            store = TypeAdapter[Store](Offsite).validate_python(given["offsite"])
        except ValidationError as error:
            names = ", ".join(dict.fromkeys(str(it["loc"][-1]) for it in error.errors() if it["loc"])) or "type"
            raise UnknownError(f"{path}: the off-site repository's settings are not right: {names}") from None
        return cls(
            path,
            str(given["stack"]),
            datetime.datetime.fromisoformat(given["exported_at"]),
            given["passphrase"],
            given["state"],
            given["stack_file"],
            given["offsite"],
            store,
            given["offsite_key"],
        )

    @property
    def prefix(self) -> str:
        """What the names of its containers begin with."""
        return f"{PROJECT}-{self.stack}"

    def check_source(self, here: str) -> None:
        """Raises OpsError unless PostgreSQL comes from where it came from: `packages` or `vendor`.

        Their ICU differs, and so the order in which the indexes of the cluster are sorted.
        """
        for resource in self.state["deployment"]["resources"]:
            for setting in resource.get("inputs", {}).get("envs", ()):
                name, _, source = str(setting).partition("=")
                if name == "PGSTACK_SOURCE" and source != here:
                    raise OpsError(
                        f"stack {self.stack} ran PostgreSQL from {source}, this machine is prepared for {here}, and"
                        f" their ICU differs: `export PGSTACK_POSTGRES_SOURCE={source}`, `make tools`, then again"
                    )

    def secrets(self) -> dict[str, Any]:
        """Of the state what can't be made again: passwords, keys, certificates and ports, and what they are part of."""
        deployment = self.state["deployment"]
        resources = list(_kept(deployment["resources"]))
        if not any(it["urn"].endswith("::certificates-authority") for it in resources):
            raise UnknownError(f"{self.path}: its state holds no keys of a stack that was deployed")
        rest = {key: value for key, value in deployment.items() if key != "pending_operations"}
        return {**self.state, "deployment": {**rest, "resources": resources}}


def _kept(resources: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for resource in resources:
        if resource["type"] == "pulumi:pulumi:Stack":
            yield {**resource, "outputs": {}}
        elif resource["type"] in {*_COMPONENTS, "pulumi:providers:pulumi"} or any(
            it in resource["urn"] for it in _RANDOM
        ):
            yield resource


def put_passphrase(saved: Saved, pulumi: Pulumi) -> None:
    """Have the saved passphrase open this user's stacks. Raises OpsError where another one opens some already."""
    environ = pulumi.environ
    if "PULUMI_CONFIG_PASSPHRASE" in environ:
        if environ["PULUMI_CONFIG_PASSPHRASE"] != saved.passphrase:
            raise OpsError(f"PULUMI_CONFIG_PASSPHRASE is not the passphrase in {saved.path}: unset it")
        return
    path = Path(environ["PULUMI_CONFIG_PASSPHRASE_FILE"])
    if path.is_file() and path.read_text().rstrip("\n") == saved.passphrase:
        return
    if there := pulumi.stacks():
        raise OpsError(
            f"{path} is another passphrase than the one in {saved.path}, and {', '.join(there)} need it: give the"
            " restored stack a state of its own (`export PGSTACK_STATE=FOLDER`, `make tools`, then again)"
        )
    write(path, saved.passphrase, PRIVATE)


def put_settings(saved: Saved) -> None:
    """The stack file as it was. Raises OpsError if another one is there."""
    path = stack_file(saved.stack)
    if path.is_file() and path.read_text() != saved.stack_file:
        raise OpsError(f"{path} is there and differs from the one in {saved.path}: move it away, then again")
    write(path, saved.stack_file)


def put_store(saved: Saved, pulumi: Pulumi) -> None:
    """Where the settings of the off-site store were edited in the saved file, the stack's own become those."""
    config = json.loads(pulumi.ask("config", "--show-secrets", "--json", stack=saved.stack)).get(_OFFSITE, {})
    known = config.get("objectValue") or json.loads(config.get("value") or "{}")
    # the file names the folder that there is, the settings only one of somebody's choice
    place = {"path": known["path"]} if "path" in known else {}
    wanted = {key: value for key, value in saved.offsite.items() if key != "path"} | place
    if wanted != known:
        pulumi.tell(json.dumps(wanted), "config", "set", "--secret", _OFFSITE, stack=saved.stack)
