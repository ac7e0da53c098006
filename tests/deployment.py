"""Real deployments: a copy of the checkout, a state of its own, stacks of their own names, removed whatever happens."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import docker
import psycopg
import pytest
from docker.models.containers import Container

CHECKOUT = Path(__file__).parents[1]
ROLES = ("postgres", "pooler", "backup", "drills")  # a stack's containers
_UP_WITHIN = 600  # seconds; the images may have to be built


@dataclass
class Stack:
    """One stack of a copied checkout; `home` is the copy, so a test may edit it."""

    name: str
    home: Path
    env: dict[str, str]
    engine: docker.DockerClient = field(default_factory=docker.from_env)
    _outputs: dict[str, Any] | None = None  # as last read: a reading costs half a second

    @property
    def prefix(self) -> str:
        """What the names of its containers, volumes and network start with."""
        return f"pgstack-{self.name}"

    @property
    def config_file(self) -> Path:
        """The stack file that `pulumi config set` edits."""
        return self.home / "stacks" / f"Pulumi.{self.name}.yaml"

    def run(self, *command: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command as a user in a prepared shell would; its output is in the failure's message."""
        done = subprocess.run(
            command, cwd=self.home, env=self.env, text=True, capture_output=True, check=False,
            timeout=_UP_WITHIN, stdin=subprocess.DEVNULL, **options,
        )  # fmt: skip
        if check and done.returncode != 0:
            pytest.fail(
                f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
            )
        return done

    def pulumi(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`pulumi ARGS --stack NAME`."""
        if args[0] in {"up", "destroy", "refresh"}:
            self._outputs = None
        return self.run("pulumi", *args, "--stack", self.name, "--non-interactive", check=check)

    def pgstack(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The `pgstack` command of the copied checkout, on this stack."""
        return self.run(str(self.home / ".venv/bin/python"), "-m", "ops.main", *args, check=check)

    def init(self, template: str) -> None:
        """Start from a template, as README says."""
        shutil.copy(self.home / "environments" / f"{template}.yaml", self.config_file)
        self.run("pulumi", "stack", "init", self.name, "--non-interactive")

    def configure(self, key: str, value: str) -> None:
        """`pulumi config set pgstack:KEY VALUE`."""
        self.pulumi("config", "set", f"pgstack:{key}", value)

    @contextmanager
    def configured(self, **settings: str) -> Iterator[None]:
        """Other settings for a while; the stack file is put back afterwards, without an `up`."""
        before = self.config_file.read_text()
        try:
            for key, value in settings.items():
                self.configure(key, value)
            yield
        finally:
            self.config_file.write_text(before)

    def clone(self, home: Path) -> "Stack":
        """The same stack, with the same state, from another copy of the checkout, to be edited."""
        shutil.copytree(self.home, home, symlinks=True)
        return replace(self, home=home)

    def up(self, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`pulumi up` without its preview."""
        return self.pulumi("up", "--yes", "--skip-preview", check=check)

    def plan(self) -> list[dict[str, Any]]:
        """The steps of `pulumi preview` that are not `same`: `op`, `urn`, `oldState`, `newState`."""
        steps = json.loads(self.pulumi("preview", "--json").stdout)["steps"]
        return [step for step in steps if step["op"] not in {"same", "read", "refresh"}]

    @property
    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets in clear."""
        if self._outputs is None:
            self._outputs = json.loads(self.pulumi("stack", "output", "--json", "--show-secrets").stdout)
        assert self._outputs is not None
        return self._outputs

    @property
    def ca_file(self) -> Path:
        """The CA certificate of the stack, in a file outside the copied checkout."""
        path = self.home.parent / f"{self.name}-ca.crt"
        path.write_text(self.outputs["ca_certificate"])
        return path

    def container(self, role: str) -> Container:
        """The running container of `role`, one of ROLES."""
        return self.engine.containers.get(f"{self.prefix}-{role}")

    def serves(self, role: str) -> bool:
        """Whether the container of `role` runs and its own health check passes now."""
        container = self.container(role)
        return container.status == "running" and container.exec_run(["/usr/local/bin/healthy"]).exit_code == 0

    def execute(self, role: str, *command: str) -> str:
        """The output of a command in a container. Fails the test if it fails."""
        code, output = self.container(role).exec_run(list(command))
        assert isinstance(output, bytes)
        assert code == 0, f"{command}: {output.decode()}"
        return output.decode()

    def admin_sql(self, sql: str, database: str = "postgres") -> str:
        """What psql prints for `sql` as the superuser, inside the server's container."""
        return self.execute(
            "postgres", "psql", "-X", "-qAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", sql
        ).strip()

    def connect(self, output: str) -> psycopg.Connection[Any]:
        """A connection by one of the URL outputs, such as `maps_pooled_url`."""
        return psycopg.connect(self.outputs[output], sslrootcert=str(self.ca_file), autocommit=True)

    def remove(self) -> None:
        """Destroy the stack; what the state no longer knows goes by its label."""
        self.pulumi("destroy", "--yes", "--skip-preview", check=False)
        labelled: dict[str, Any] = {"label": f"pgstack.stack={self.prefix}"}
        for container in self.engine.containers.list(all=True, filters=labelled):
            container.remove(force=True)
        for volume in self.engine.volumes.list(filters=labelled):
            volume.remove(force=True)
        for network in self.engine.networks.list(filters=labelled):
            network.remove()


NewStack = Callable[..., Stack]
Run = Callable[..., subprocess.CompletedProcess[str]]


def copy_of_the_checkout(home: Path) -> Path:
    """A copy of what git would commit, as a repository of its own, beside a state of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, text=True, capture_output=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (source := CHECKOUT / name).is_file():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, home / name)
    (home / ".venv").symlink_to(CHECKOUT / ".venv")
    state = home.parent / f"{home.name}-state"
    (state / "stacks").mkdir(parents=True, mode=0o700)
    (state / "passphrase").write_text(uuid.uuid4().hex)
    (home / "stacks").symlink_to(state / "stacks")
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "a copy"]):
        subprocess.run(
            ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", *command], cwd=home, check=True
        )
    return home
