"""pgBackRest: a repository of its own, WAL archived continuously, backups by schedule; what else is scheduled."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import tenacity

from db.drills.timelines import lsn_of
from infra.errors import DeploymentError, EngineError
from infra.hooks import before_change, step
from infra.selfhosted import maintenance, repositories, rotation, stores
from infra.selfhosted.alerts import alert_file
from infra.selfhosted.certificates import Certificates
from infra.selfhosted.cluster import archives
from infra.selfhosted.container import ContainerArgs, Mount, run
from infra.selfhosted.engine import Engine
from infra.selfhosted.files import Files, digest
from infra.selfhosted.stack import Names, child
from infra.selfhosted.volumes import ClusterStorage, Volume
from infra.settings import Settings

_PGBACKREST = ["pgbackrest", "--stanza=main"]  # the image says where the configuration is
_TAKE = "/usr/local/lib/pgstack/take-backup"
_IN_ONE_LINE = 'said=$("$@" 2>&1) && echo "$said" || { echo "$said" | tr "\\n" " "; exit 1; }'
_DAY = 24 * 3600  # seconds
_LOCKED = r"(?s).*unable to acquire lock"
_BACKED_UP_WITHIN = 3600  # seconds
_LOCKED_FOR = 60  # seconds; what has piled up while nothing was archived


@dataclass(frozen=True)
class BackupsArgs:
    settings: Settings
    engine: Engine
    network: pulumi.Input[str]
    image: pulumi.Output[str]
    storage: ClusterStorage  # of the live cluster
    repository: Volume
    evidence: pulumi.Output[str]  # the volume with what came of the drills
    certificates: Certificates
    repository_keys: Mapping[int, pulumi.Output[str]]
    offsite_keys: Mapping[int, pulumi.Output[str]]
    after: pulumi.Resource  # nothing is moved to another cluster before that
    clients: Sequence[str]  # the names in the certificates of the servers that may ask it


class Backups(pulumi.ComponentResource):
    """The repository's server and its schedule.

    Outputs: `container` (str), `files` (str, the volume with its configuration), `offsite` (str, a digest of what is
    said there about the off-site repository). Postgres starts after `ready`, because it archives to it.
    """

    def __init__(self, name: str, names: Names, args: BackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pgstack:selfhosted:Backups", name, None, opts)
        settings, storage = args.settings, args.storage
        leaf = args.certificates.leaf("backup", names("backup"), [names("backup"), "backup"])
        # without a store they are empty: no secret of a former one stays, and nothing goes there any more
        offsite: dict[str, pulumi.Input[str]] = {repositories.OFFSITE_CONF: "", **repositories.files(None)}
        if store := settings.offsite:
            key, number = args.offsite_keys[settings.repository_key], settings.repository_key
            conf = key.apply(lambda it: repositories.offsite_conf(store, f"/{names.prefix}", it, number))
            offsite |= {repositories.OFFSITE_CONF: conf, **repositories.files(store)}
        files = Files(
            f"{name}-files",
            names,
            "backup",
            args.engine,
            args.image,
            {
                repositories.LOCAL_CONF: args.repository_keys[settings.repository_key].apply(
                    lambda key: pgbackrest_conf(args.clients, key, settings)
                ),
                **rotation.files("next", settings.next_key, settings, names, args.repository_keys, args.offsite_keys),
                **rotation.files("old", settings.old_key, settings, names, args.repository_keys, args.offsite_keys),
                "crontab": crontab(settings),
                "alert": alert_file(settings.alert.get_secret_value()),
                "tls/ca.crt": args.certificates.ca,
                "tls/server.crt": leaf.certificate,
                "tls/server.key": leaf.key,
                **offsite,
            },
            child(self),
        )
        self.offsite = digest(offsite)
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
                    Mount(args.evidence, "/var/lib/pgstack-evidence", read_only=True),
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
    """Archiving proven and a first full backup taken, in each repository: `ready` is done once the local one is."""

    def __init__(
        self,
        name: str,
        names: Names,
        engine: Engine,
        repository: Volume,
        live: ClusterStorage,
        server: str,
        backups: Backups,
        servers: Sequence[pulumi.Resource],
        settings: Settings,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgstack:selfhosted:Stanza", name, None, opts)

        async def prepare(_: pulumi.ResourceHookArgs) -> None:
            if await archives(engine, server):  # a restored cluster does from when it is live on
                await ensure_full_backup(engine, names("backup"))
                await rotation.hand_over(engine, names("backup"), settings, "local")

        key = {"key": settings.repository_key} if settings.repository_key > 1 else {}
        self.ready = pulumi.Stash(
            name,
            input={"repository": repository.incarnation, "data": live.data.incarnation, **key},
            opts=child(self, depends_on=list(servers), hooks=before_change(step(f"{name}-prepare", prepare))),
        )
        if store := settings.offsite:

            async def prepare_offsite(_: pulumi.ResourceHookArgs) -> None:
                if await archives(engine, server):
                    await ensure_offsite_backup(engine, names("backup"), store)
                    await rotation.hand_over(engine, names("backup"), settings, "offsite", "old-offsite")

            pulumi.Stash(
                f"{name}-offsite",
                input={"store": backups.offsite, "data": live.data.incarnation},
                opts=child(
                    self, depends_on=[self.ready], hooks=before_change(step(f"{name}-offsite-prepare", prepare_offsite))
                ),
            )
        self.register_outputs({})


async def ensure_full_backup(
    engine: Engine, container: str, pgbackrest: Sequence[str] = _PGBACKREST, *, before: int | None = None
) -> None:
    """Create the stanza, prove that WAL arrives, and take a full backup unless one exists. Can be run again.

    One that ended `before` that LSN, where the cluster left another's timeline: none of later leads to it.
    """
    await create_stanza(engine, container, pgbackrest)
    await engine.run(container, [*pgbackrest, "check"])
    await _full_backup(engine, container, pgbackrest, before)


@tenacity.retry(
    retry=tenacity.retry_if_exception_message(match=_LOCKED),
    stop=tenacity.stop_after_delay(_BACKED_UP_WITHIN),
    wait=tenacity.wait_fixed(1),
    reraise=True,
)
async def _full_backup(engine: Engine, container: str, pgbackrest: Sequence[str], before: int | None) -> None:
    """While the schedule takes one, there is none yet, and none can be taken; afterwards it may be the one."""
    there = [lsn_of(it["lsn"]["stop"]) for it in await backups(engine, container, pgbackrest)]
    if not [it for it in there if before is None or it <= before]:
        pulumi.log.info("taking the first full backup (some seconds for a new cluster)", ephemeral=True)
        await engine.run(container, [*pgbackrest, "--type=full", "backup"])


async def ensure_offsite_backup(engine: Engine, container: str, store: stores.Store) -> None:
    """The same off-site. Raises DeploymentError with the setting that is wrong, as far as the store's answer tells."""
    pgbackrest = ["sh", "-c", _IN_ONE_LINE, "sh", "pgbackrest", f"--config={repositories.OFFSITE}"]
    pgbackrest += ["--stanza=main", "--log-level-console=error"]
    try:
        # a store that does not answer is given up in half a minute
        await engine.run(container, [*pgbackrest, "--io-timeout=3", "repo-ls"])
        await ensure_full_backup(engine, container, pgbackrest)
    except EngineError as error:
        raise DeploymentError(stores.refusal(store, str(error))) from error


@tenacity.retry(
    retry=tenacity.retry_if_exception_message(match=_LOCKED),
    stop=tenacity.stop_after_delay(_LOCKED_FOR),
    wait=tenacity.wait_fixed(1),
    reraise=True,
)
async def create_stanza(engine: Engine, container: str, pgbackrest: Sequence[str] = _PGBACKREST) -> None:
    """Changes nothing where there is one, and does not wait for the WAL that a server sends meanwhile."""
    await engine.run(container, [*pgbackrest, "stanza-create"])


async def ensure_recent_backup(engine: Engine, container: str) -> None:
    """Take an incremental backup if the newest is older than a day. Nothing to do for a new cluster."""
    newest = max((int(it["timestamp"]["stop"]) for it in await backups(engine, container)), default=0)
    if time.time() - newest > _DAY:
        pulumi.log.info("the last backup is over a day old: taking an incremental one first", ephemeral=True)
        await engine.run(container, [*_PGBACKREST, "--type=incr", "backup"])


async def backups(engine: Engine, container: str, pgbackrest: Sequence[str] = _PGBACKREST) -> list[dict[str, Any]]:
    """The repository's backups, oldest first, as `pgbackrest info --output=json` describes them."""
    stanzas = json.loads(await engine.run(container, [*pgbackrest, "--output=json", "info"]))
    found: list[dict[str, Any]] = stanzas[0]["backup"] if stanzas else []
    return found


def crontab(settings: Settings) -> str:
    """The schedule, in UTC (https://github.com/aptible/supercronic); each backup is taken in every repository."""
    return (
        f"{settings.backup_full} {_TAKE} full\n"
        f"{settings.backup_differential} {_TAKE} diff\n"
        f"{settings.backup_incremental} {_TAKE} incr\n"
        "* * * * * /usr/local/lib/pgstack/full-after-loss\n"
        "* * * * * /usr/local/lib/pgstack/watch\n" + maintenance.crontab(settings.maintenance, settings.apps)
    )


def pgbackrest_conf(clients: Sequence[str], key: str, settings: Settings) -> str:
    """The local repository's, and whom the container's server lets in (https://pgbackrest.org/configuration.html)."""
    allowed = "".join(f"tls-server-auth={client}=main\n" for client in clients)
    more = f"""\
tls-server-address=*
{allowed}tls-server-ca-file=/etc/pgstack/tls/ca.crt
tls-server-cert-file=/etc/pgstack/tls/server.crt
tls-server-key-file=/etc/pgstack/tls/server.key
"""
    where = {"path": repositories.path(repositories.LOCAL_PATH, settings.repository_key)}
    return repositories.repository_conf(where, key, settings.keep_full, settings.keep_differential, more=more)
