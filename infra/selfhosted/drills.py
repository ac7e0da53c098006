"""Restore drills: a container that notes what is committed, restores copies of the past and compares the two."""

from dataclasses import dataclass
from pathlib import Path

import pulumi
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.selfhosted.container import ContainerArgs, Mount, run
from infra.selfhosted.engine import Engine
from infra.selfhosted.files import Files
from infra.selfhosted.stack import Names, child, kept
from infra.selfhosted.volumes import Volume

_PACKAGE = Path(__file__).parents[2] / "db"
_MEMORY = 512 * 1024**2  # the copy's server is a small one, whatever the live one is; what reads a large table streams
_SHM = 128 * 1024**2


@dataclass(frozen=True)
class DrillsArgs:
    """`schedule` is five cron fields; the volumes: the live server's `socket`, the `repository`, and the `backup_files`
    of its container, with its key; in `evidence` is kept what must outlast the rest.
    """

    schedule: str
    engine: Engine
    image: pulumi.Output[str]
    socket: pulumi.Input[str]
    repository: pulumi.Input[str]
    evidence: pulumi.Input[str]
    backup_files: pulumi.Input[str]
    ready: pulumi.Resource  # a backup is there to be restored
    lasting: bool


class Drills(pulumi.ComponentResource):
    """Heartbeats, the ledger, drills by schedule, and their signed evidence.

    It is no part of the way to or from the archive, reaches no network, and has a limit of memory: whatever happens in
    it, nothing else stops. Outputs: `container` (str), `public_key` (str, PEM: its evidence is verified by it).
    """

    def __init__(self, name: str, names: Names, args: DrillsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pgstack:selfhosted:Drills", name, None, opts)
        key = kept(f"{name}-key", private_key(), self, lasting=args.lasting)
        files = Files(
            f"{name}-files",
            names,
            "drills",
            args.engine,
            args.image,
            {"crontab": crontab(args.schedule), "key.pem": key, **program()},
            child(self),
        )
        scratch = Volume(f"{name}-scratch", names, "drill", self)
        running = run(
            f"{name}-container",
            args.engine,
            names,
            "drills",
            ContainerArgs(
                image=args.image,
                network=None,
                mounts=[
                    Mount(args.socket, "/run/postgresql"),
                    Mount(args.repository, "/var/lib/pgbackrest", read_only=True),
                    Mount(args.backup_files, "/etc/pgstack", read_only=True),
                    Mount(files.volume, "/etc/pgstack-drills", read_only=True),
                    Mount(scratch.name, "/var/lib/pgstack-drill"),
                    Mount(args.evidence, "/var/lib/pgstack-evidence"),
                ],
                command=["python3", "-m", "db.drills", "serve"],
                stop_signal="SIGTERM",
                grace=30,  # a drill that is cut short removes its copy, else the next one does
                memory=_MEMORY,
                shm=_SHM,
            ),
            self,
            [files.written, args.ready],
        )
        self.container = running.container.name
        self.public_key = pulumi.Output.unsecret(key.apply(public_key))
        self.register_outputs({"container": self.container})


def crontab(schedule: str) -> str:
    """The schedule, in UTC (https://github.com/aptible/supercronic)."""
    return (
        "* * * * * python3 -m db.drills heartbeat\n"
        "0 * * * * python3 -m db.drills ledger\n"
        f"{schedule} python3 -m db.drills drill\n"
    )


def program() -> dict[str, str]:
    """What the container runs, by its path: another version of it needs no other image."""
    sources = [_PACKAGE / "__init__.py", *sorted((_PACKAGE / "drills").glob("*.py"))]
    return {f"program/db/{it.relative_to(_PACKAGE).as_posix()}": it.read_text() for it in sources}


def private_key() -> str:
    """A new Ed25519 key, PEM."""
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def public_key(private: str) -> str:
    """The public part of a key, PEM."""
    key = serialization.load_pem_private_key(private.encode(), password=None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
