"""pgBackRest: a repository of its own, WAL archived continuously, backups by schedule; what else is scheduled."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import tenacity

from infra.hooks import before_change, step
from infra.selfhosted import maintenance
from infra.selfhosted.alerts import alert_file
from infra.selfhosted.certificates import Certificates
from infra.selfhosted.cluster import archives
from infra.selfhosted.container import ContainerArgs, Mount, run
from infra.selfhosted.engine import Engine
from infra.selfhosted.files import Files
from infra.selfhosted.stack import Names, child
from infra.selfhosted.volumes import ClusterStorage, Volume
from infra.settings import Settings

_PGBACKREST = ["pgbackrest", "--stanza=main"]  # the image says where the configuration is
_DAY = 24 * 3600  # seconds
_LOCKED_FOR = 60  # seconds; what has piled up while nothing was archived


@dataclass(frozen=True)
class BackupsArgs:
    settings: Settings
    engine: Engine
    network: pulumi.Input[str]
    image: pulumi.Output[str]
    storage: ClusterStorage  # of the live cluster
    repository: Volume
    certificates: Certificates
    repository_key: pulumi.Output[str]
    after: pulumi.Resource  # nothing is moved to another cluster before that
    clients: Sequence[str]  # the names in the certificates of the servers that may ask it


class Backups(pulumi.ComponentResource):
    """The repository's server and its schedule.

    Outputs: `container` (str), `files` (str, the volume with its configuration). Postgres starts after `ready`, because
    it archives to it.
    """

    def __init__(self, name: str, names: Names, args: BackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pgstack:selfhosted:Backups", name, None, opts)
        settings, storage = args.settings, args.storage
        leaf = args.certificates.leaf("backup", names("backup"), [names("backup"), "backup"])
        files = Files(
            f"{name}-files",
            names,
            "backup",
            args.engine,
            args.image,
            {
                "pgbackrest.conf": args.repository_key.apply(
                    lambda key: pgbackrest_conf(args.clients, key, settings.keep_full, settings.keep_differential)
                ),
                "crontab": crontab(settings),
                "alert": alert_file(settings.alert.get_secret_value()),
                "tls/ca.crt": args.certificates.ca,
                "tls/server.crt": leaf.certificate,
                "tls/server.key": leaf.key,
            },
            child(self),
        )
        running = run(
            f"{name}-container",
            args.engine,
            names,
            "backup",
            ContainerArgs(
                image=args.image,
                network=args.network,
                mounts=[
                    Mount(storage.data.name, "/var/lib/postgresql", read_only=True),
                    Mount(storage.socket.name, "/run/postgresql"),
                    Mount(args.repository.name, "/var/lib/pgbackrest"),
                    Mount(files.volume, "/etc/pgstack", read_only=True),
                ],
                command=["backup"],
                stop_signal="SIGTERM",
                grace=60,  # it outlives a stopping Postgres; a backup that is cut short is taken again
            ),
            self,
            [files.written, args.after],
        )
        self.container, self.ready, self.files = running.container.name, running.ready, files.volume
        self.register_outputs({"container": self.container})


class Stanza(pulumi.ComponentResource):
    """Archiving proven and a first full backup taken: `ready` is done once both hold."""

    def __init__(
        self,
        name: str,
        names: Names,
        engine: Engine,
        repository: Volume,
        live: ClusterStorage,
        server: str,
        servers: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgstack:selfhosted:Stanza", name, None, opts)

        async def prepare(_: pulumi.ResourceHookArgs) -> None:
            if await archives(engine, server):  # a restored cluster does from when it is live on
                await ensure_full_backup(engine, names("backup"))

        self.ready = pulumi.Stash(
            name,
            input={"repository": repository.incarnation, "data": live.data.incarnation},
            opts=child(self, depends_on=list(servers), hooks=before_change(step(f"{name}-prepare", prepare))),
        )
        self.register_outputs({})


async def ensure_full_backup(engine: Engine, container: str) -> None:
    """Create the stanza, prove that WAL arrives, and take a full backup unless one exists. Can be run again."""
    await _create_stanza(engine, container)
    await engine.run(container, [*_PGBACKREST, "check"])
    if not await backups(engine, container):
        pulumi.log.info("taking the first full backup (some seconds for a new cluster)", ephemeral=True)
        await engine.run(container, [*_PGBACKREST, "--type=full", "backup"])


@tenacity.retry(
    retry=tenacity.retry_if_exception_message(match=".*unable to acquire lock"),
    stop=tenacity.stop_after_delay(_LOCKED_FOR),
    wait=tenacity.wait_fixed(1),
    reraise=True,
)
async def _create_stanza(engine: Engine, container: str) -> None:
    """Changes nothing where there is one, and does not wait for the WAL that a server sends meanwhile."""
    await engine.run(container, [*_PGBACKREST, "stanza-create"])


async def ensure_recent_backup(engine: Engine, container: str) -> None:
    """Take an incremental backup if the newest is older than a day. Nothing to do for a new cluster."""
    newest = max((int(it["timestamp"]["stop"]) for it in await backups(engine, container)), default=0)
    if time.time() - newest > _DAY:
        pulumi.log.info("the last backup is over a day old: taking an incremental one first", ephemeral=True)
        await engine.run(container, [*_PGBACKREST, "--type=incr", "backup"])


async def backups(engine: Engine, container: str) -> list[dict[str, Any]]:
    """The repository's backups, oldest first, as `pgbackrest info --output=json` describes them."""
    stanzas = json.loads(await engine.run(container, [*_PGBACKREST, "--output=json", "info"]))
    found: list[dict[str, Any]] = stanzas[0]["backup"] if stanzas else []
    return found


def crontab(settings: Settings) -> str:
    """The schedule, in UTC (https://github.com/aptible/supercronic)."""
    backup = " ".join([*_PGBACKREST, "backup"])
    return (
        f"{settings.backup_full} {backup} --type=full\n"
        f"{settings.backup_differential} {backup} --type=diff\n"
        f"{settings.backup_incremental} {backup} --type=incr\n"
        "* * * * * /usr/local/lib/pgstack/full-after-loss\n"
        "* * * * * /usr/local/lib/pgstack/watch\n" + maintenance.crontab(settings.maintenance, settings.apps)
    )


def pgbackrest_conf(clients: Sequence[str], key: str, keep_full: int, keep_differential: int) -> str:
    """The repository's side of pgBackRest (https://pgbackrest.org/configuration.html); holds the only key."""
    allowed = "\n".join(f"tls-server-auth={client}=main" for client in clients)
    return f"""\
[global]
repo1-path=/var/lib/pgbackrest
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={key}
repo1-retention-full={keep_full}
repo1-retention-diff={keep_differential}
repo1-bundle=y
repo1-block=y
compress-type=zst
compress-level=3
process-max=2
start-fast=y
log-level-console=info
log-level-file=off
lock-path=/tmp/pgbackrest
tls-server-address=*
{allowed}
tls-server-ca-file=/etc/pgstack/tls/ca.crt
tls-server-cert-file=/etc/pgstack/tls/server.crt
tls-server-key-file=/etc/pgstack/tls/server.key

[main]
pg1-path=/var/lib/postgresql/16/main
pg1-socket-path=/run/postgresql
"""
