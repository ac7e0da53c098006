"""A cluster of the past: its own volumes, container and port. Its WAL stays with it until it is made the live one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pulumi
import tenacity

from infra.errors import DeploymentError, EngineError
from infra.hooks import before_change, resolved, step
from infra.selfhosted import cluster, repositories
from infra.selfhosted.backups import create_stanza
from infra.selfhosted.engine import Engine, Task
from infra.selfhosted.health import Condition, asked
from infra.selfhosted.postgres import Postgres, PostgresArgs
from infra.selfhosted.stack import Names, child
from infra.selfhosted.volumes import ClusterStorage
from infra.settings import Origin
from infra.threads import in_thread

_REPLAYED_WITHIN = 3600  # seconds; a day's WAL of a busy server
_OFTEN = 0.2  # seconds between two looks
# what pgbackrest restore writes: left there, a replica made of this cluster would stop at the same target
_OF_THE_RECOVERY = (
    *("restore_command", "recovery_target", "recovery_target_lsn", "recovery_target_inclusive"),
    *("recovery_target_action", "recovery_target_timeline"),
)


@dataclass(frozen=True)
class RestoredArgs:
    """`postgres` is the first server's; `repository` and `backup_files` are volumes of the backup container."""

    origin: Origin
    postgres: PostgresArgs
    port: pulumi.Output[int]
    live: bool
    repository: pulumi.Output[str]
    backup_files: pulumi.Output[str]


class Restored(pulumi.ComponentResource):
    """Generation `number`: `storage` at once, for the backups begin with it; the rest is declared by `restore`.

    A `lasting` one is protected as the first cluster is.
    """

    def __init__(
        self,
        name: str,
        names: Names,
        number: int,
        *,
        lasting: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgstack:selfhosted:Restored", name, None, opts)
        self._name, self._names, self._number = name, names, number
        self.storage = ClusterStorage(name, names, self, suffix=f"-{number}", lasting=lasting)

    def restore(self, args: RestoredArgs) -> Postgres:
        """The server, which is `ready` once it has replayed what it is to replay, and the steps that lead there."""
        name, names, number, storage = self._name, self._names, self._number, self.storage
        given, suffix = args.postgres, f"-{number}"
        role = f"postgres{suffix}"

        async def restore(_: pulumi.ResourceHookArgs) -> None:
            known = await resolved(
                pulumi.Output.all(
                    image=given.image,
                    id=given.stack_id,
                    files=args.backup_files,
                    repository=args.repository,
                    network=given.network,
                )
            )
            pulumi.log.info(f"restoring backup {args.origin.backup} into generation {number}", ephemeral=True)
            await given.engine.run_once(
                Task(
                    name=names(f"restore{suffix}"),
                    image=known["image"],
                    command=["restore", *options(args.origin)],
                    labels=names.labels(f"restore{suffix}"),
                    environment={"PGSTACK_ID": known["id"], "PGSTACK_SOURCE": given.source},
                    mounts={
                        "/var/lib/postgresql": (names(f"data{suffix}"), "rw"),
                        "/var/lib/pgstack": (names(f"identity{suffix}"), "rw"),
                        "/var/lib/pgbackrest": (known["repository"], "ro"),
                        "/etc/pgstack": (known["files"], "ro"),
                    },
                    network=known["network"] if args.origin.repository.endswith("offsite") else "none",
                )
            )

        filled = pulumi.Stash(
            f"{name}-filled",
            input={"origin": args.origin.model_dump(), "data": storage.data.incarnation},
            opts=child(
                self,
                depends_on=[given.archive, storage.data.resource, storage.identity.resource],
                hooks=before_change(step(f"{name}-restore", restore)),
            ),
        )
        server = Postgres(
            f"{name}-postgres",
            names,
            replace(given, storage=storage, archive=filled, role=role, port=args.port, live=args.live),
            child(self),
        )

        async def replayed(_: pulumi.ResourceHookArgs) -> None:
            await finish(given.engine, names(role), names("backup") if args.live else None)

        server.ready = pulumi.Stash(
            f"{name}-replayed",
            input={"data": storage.data.incarnation},
            opts=child(self, depends_on=[server.ready], hooks=before_change(step(f"{name}-replay", replayed))),
        )
        self.register_outputs({"container": server.container})
        return server


def options(origin: Origin) -> Sequence[str]:
    """Of `pgbackrest restore` (https://pgbackrest.org/command.html#command-restore): that backup, and stop there."""
    config = [] if origin.repository == "local" else [f"--config={repositories.file_of(origin.repository)}"]
    target = [f"--target={origin.lsn}", f"--target-timeline={origin.timeline}", "--target-action=promote"]
    return [*config, f"--set={origin.backup}", "--type=lsn", *target]


async def finish(engine: Engine, container: str, backup: str | None = None) -> None:
    """Wait until the server has replayed all it is to replay and takes writes; then forget how it came here.

    `backup` is the container that serves this cluster where it is live at once: on a new host, its repository is empty.
    """
    async for attempt in tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(EngineError),
        stop=tenacity.stop_after_delay(_REPLAYED_WITHIN),
        wait=tenacity.wait_fixed(_OFTEN),
        reraise=True,
    ):
        with attempt:
            there = await in_thread(engine.container, container)
            if there is None or Condition.of(there.attrs).hopeless:
                raise DeploymentError(await asked(engine, container, patiently=False))
            if await cluster.query(engine, container, "SELECT pg_is_in_recovery()") != "f":
                raise EngineError(f"{container} still replays WAL: `docker logs {container}` shows how far it is")
    await cluster.query(engine, container, *(f"ALTER SYSTEM RESET {it}" for it in _OF_THE_RECOVERY))
    try:
        if backup:
            await create_stanza(engine, backup)
        await cluster.reserve_timeline(engine, container)
    except EngineError as error:  # a repository that is full or gone, which may be why this one is restored
        pulumi.log.warn(
            f"the local archive takes nothing now, so {container} can't be made live before it does: {error}"
        )
