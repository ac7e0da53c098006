"""A cluster of the past beside the live one: its own volumes, container and port, and never a word to the archive."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pulumi
import tenacity

from infra.errors import DeploymentError, EngineError
from infra.hooks import before_change, resolved, step
from infra.selfhosted import repositories
from infra.selfhosted.engine import Engine, Task
from infra.selfhosted.postgres import Postgres, PostgresArgs
from infra.selfhosted.stack import Names, child
from infra.selfhosted.volumes import ClusterStorage
from infra.settings import Origin

_REPLAYED_WITHIN = 3600  # seconds; a day's WAL of a busy server
_OFTEN = 0.2  # seconds between two looks
# what pgbackrest restore writes: left there, a replica made of this cluster would stop at the same target
_OF_THE_RECOVERY = (
    *("restore_command", "recovery_target", "recovery_target_lsn", "recovery_target_inclusive"),
    *("recovery_target_action", "recovery_target_timeline"),
)


@dataclass(frozen=True)
class RestoredArgs:
    """`postgres` is the live server's; `repository` and `backup_files` are volumes of the backup container."""

    number: int
    origin: Origin
    postgres: PostgresArgs
    repository: pulumi.Output[str]
    backup_files: pulumi.Output[str]


class Restored(pulumi.ComponentResource):
    """Generation `number`, restored once. Outputs: `container` (str), `port` (int, on the host)."""

    def __init__(self, name: str, names: Names, args: RestoredArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pgstack:selfhosted:Restored", name, None, opts)
        given, suffix = args.postgres, f"-{args.number}"
        role = f"postgres{suffix}"
        storage = ClusterStorage(name, names, self, suffix=suffix, lasting=False)

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
            pulumi.log.info(f"restoring backup {args.origin.backup} into generation {args.number}", ephemeral=True)
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
                    network=known["network"] if args.origin.repository == "offsite" else "none",
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
            replace(given, storage=storage, archive=filled, role=role, archives=False),
            child(self),
        )

        async def replayed(_: pulumi.ResourceHookArgs) -> None:
            await finish(given.engine, names(role))

        pulumi.Stash(
            f"{name}-replayed",
            input={"data": storage.data.incarnation},
            opts=child(self, depends_on=[server.ready], hooks=before_change(step(f"{name}-replay", replayed))),
        )
        self.container, self.port = server.container, server.port
        self.register_outputs({"container": self.container})


def options(origin: Origin) -> Sequence[str]:
    """Of `pgbackrest restore` (https://pgbackrest.org/command.html#command-restore): that backup, and stop there."""
    target = ["--type=lsn", f"--target={origin.lsn}"] if origin.lsn else ["--type=immediate"]
    config = [f"--config={repositories.OFFSITE}"] if origin.repository == "offsite" else []
    return [
        *config,
        f"--set={origin.backup}",
        *target,
        "--target-action=promote",
        "--target-timeline=current",
        "--archive-mode=off",
    ]


async def finish(engine: Engine, container: str) -> None:
    """Wait until the server has replayed all it is to replay and takes writes; then forget how it came here."""
    psql = ["psql", "-XqAt", "-U", "postgres", "-d", "postgres"]
    async for attempt in tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(EngineError),
        stop=tenacity.stop_after_delay(_REPLAYED_WITHIN),
        wait=tenacity.wait_fixed(_OFTEN),
        reraise=True,
    ):
        with attempt:
            said = (await engine.run(container, [*psql, "-c", "SELECT pg_is_in_recovery()"])).strip()
            if said != "f":
                raise EngineError(f"{container} still replays WAL: `docker logs {container}` shows how far it is")
    reset = [it for name in _OF_THE_RECOVERY for it in ("-c", f"ALTER SYSTEM RESET {name}")]
    try:
        await engine.run(container, [*psql, *reset])
    except EngineError as error:
        raise DeploymentError(str(error)) from error
