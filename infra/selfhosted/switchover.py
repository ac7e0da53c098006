"""Which cluster is live: PgBouncer moves its clients there while they wait, and what was live before retires.

PAUSE lets running transactions end and holds new ones back, RELOAD reads where the databases are, RESUME lets the
clients go on (https://www.pgbouncer.org/usage.html#admin-console).
"""

import asyncio
import contextlib
import csv
from collections.abc import Mapping
from typing import Any

import pulumi

from db.drills.timelines import lsn_of
from infra.errors import DeploymentError, EngineError
from infra.hooks import before_change, step
from infra.selfhosted import cluster
from infra.selfhosted.backups import ensure_full_backup
from infra.selfhosted.engine import Engine
from infra.selfhosted.stack import Names, child
from infra.selfhosted.volumes import ClusterStorage
from infra.settings import Settings
from infra.threads import in_thread

_CONSOLE = ["psql", "-X", "--csv", "-h", "/tmp", "-p", "6432", "-U", "pgbouncer", "-d", "pgbouncer"]  # noqa: S108
_TRANSACTIONS_END_WITHIN = 5  # seconds; then they are ended, for all clients wait for them


def container(names: Names, generation: int) -> str:
    """The name of the container that runs that cluster."""
    return names("postgres" if generation == 1 else f"postgres-{generation}")


def guard(name: str, settings: Settings, parent: pulumi.Resource) -> pulumi.Resource:
    """Refuses a deployment whose settings do not know the cluster that is live: another clone's, or an old copy.

    What depends on it is not touched then, and in a preview the refusal shows as well, with the way out.
    """

    async def insist(args: pulumi.ResourceHookArgs) -> None:
        before = (args.old_inputs or {})["input"]
        live = int(before["moves"].split(",")[-1])
        if live not in settings.clusters:
            raise DeploymentError(
                f"generation {live} is live, made by `pgstack restore`, and stacks/Pulumi.{settings.stack}.yaml does"
                f" not name it: pulumi config set-all -s {settings.stack} --path {_options(before)}"
            )

    return pulumi.Stash(
        name,
        input={
            "moves": ",".join(map(str, settings.live)),
            "generations": {
                str(number): it.model_dump(exclude_defaults=True) for number, it in settings.generations.items()
            },
        },
        opts=child(
            parent, hooks=pulumi.ResourceHookBinding(before_update=[step(f"{name}-insist", insist, in_preview=True)])
        ),
    )


def _options(known: Mapping[str, Any]) -> str:
    """What brings the settings back to what was deployed."""
    values = {"live": known["moves"]}
    for number, origin in known["generations"].items():
        values |= {f"generations.{number}.{key}": str(value) for key, value in origin.items()}
    # a Stash's numbers come back as floats
    return " ".join(f"--plaintext pgstack:{key}={value.removesuffix('.0')}" for key, value in values.items())


class Live(pulumi.ComponentResource):
    """After the clients were moved: the live cluster archives, which is proven; those before it are read only.

    The clusters that were live, in order, change with every move, so that what a failed one left half done is done
    after the next.
    """

    def __init__(
        self,
        name: str,
        names: Names,
        engine: Engine,
        settings: Settings,
        storage: ClusterStorage,
        pooler: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgstack:selfhosted:Live", name, None, opts)
        moves = settings.live
        server = container(names, moves[-1])
        origin = settings.generations.get(moves[-1])

        async def settle(_: pulumi.ResourceHookArgs) -> None:
            for generation in sorted(set(moves) - {moves[-1]}):
                await _retire(engine, container(names, generation))
            await cluster.allow_writes(engine, server)
            if not await cluster.archives(engine, server):
                await cluster.start_archiving(engine, server)
                await ensure_full_backup(engine, names("backup"), before=lsn_of(origin.lsn) if origin else None)

        pulumi.Stash(
            name,
            input={"moves": list(moves), "data": storage.data.incarnation},
            opts=child(self, depends_on=[pooler], hooks=before_change(step(f"{name}-settle", settle))),
        )
        self.register_outputs({})


async def _retire(engine: Engine, server: str) -> None:
    try:
        if await cluster.archives(engine, server):
            await cluster.retire(engine, server)
    except EngineError as error:  # it may be broken, and that be why another one is live
        pulumi.log.warn(f"{server} could not be made read only: {error}")


async def take_up(engine: Engine, pooler: str, server: str, generation: int) -> None:
    """Have the pooler read its files again; if they lead to another server, its clients wait while they are moved.

    Raises DeploymentError if they were not moved; they then go on where they were.
    """
    there = await in_thread(engine.container, pooler)
    if there is None or there.status != "running":  # it reads them when it starts, and lets the clients in then
        if generation > 1 and not await cluster.archives(engine, server):
            await cluster.mark_live(engine, server, generation)
        return
    before = await in_thread(_server_of, engine, pooler)
    if before in {None, server}:
        await engine.signal(pooler, "HUP")
        return
    pulumi.log.info(f"moving the clients to generation {generation}", ephemeral=True)
    if not await _moved(engine, pooler, str(before), server, generation):
        raise DeploymentError(
            f"{pooler} did not move its clients from {before} to {server}, they go on where they were: "
            f"`docker logs {pooler}` says why, `pulumi up` tries again"
        )


def _server_of(engine: Engine, pooler: str) -> str | None:
    rows = csv.DictReader(engine.run_now(pooler, [*_CONSOLE, "-c", "SHOW DATABASES"]).splitlines())
    return next((row["host"] for row in rows if row["name"] != "pgbouncer"), None)


async def _moved(engine: Engine, pooler: str, before: str, server: str, generation: int) -> bool:
    with engine.conversation(pooler, ["switch"]) as talk:
        heard = asyncio.ensure_future(in_thread(talk.hear))
        await asyncio.wait([heard], timeout=_TRANSACTIONS_END_WITHIN)
        if not heard.done():
            with contextlib.suppress(EngineError):  # without an answer, it runs no transaction either
                await cluster.end_transactions(engine, before, _TRANSACTIONS_END_WITHIN)
        if await heard != "paused":
            return False
        await cluster.mark_live(engine, server, generation)
        talk.say("go on")
        return await in_thread(talk.hear) == "moved" and await in_thread(talk.hear) is None
