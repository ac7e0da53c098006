"""Another key for the backups: the repositories of the next one, prepared beside the present ones, then the old ones.

`pgstack keys rotate` takes the first backup in the next ones and then makes them the present ones, so that at no moment
there is none to restore from. What only the old local one has of the WAL since then is handed over afterwards.
"""

from collections.abc import Mapping

import pulumi

from infra.errors import DeploymentError
from infra.hooks import step
from infra.selfhosted import repositories
from infra.selfhosted.engine import Engine
from infra.selfhosted.stack import Names, child
from infra.settings import Settings

_HAND_OVER = "/usr/local/lib/pgstack/hand-over"


def guard(name: str, settings: Settings, parent: pulumi.Resource, after: pulumi.Resource) -> pulumi.Resource:
    """Refuses a deployment whose settings do not know the present key: another clone's, or an old copy.

    Backups would go to a repository that lacks what came since, or to one that was never prepared.
    """

    async def insist(args: pulumi.ResourceHookArgs) -> None:
        before = [int(it) for it in (args.old_inputs or {})["input"].split(",")]
        present, wanted = before[-1], settings.repository_key
        if wanted < present or wanted not in before or present not in settings.repository_keys:
            raise DeploymentError(
                f"backups are made with key {present}, and stacks/Pulumi.{settings.stack}.yaml says {_text(settings)}:"
                f" pulumi config set -s {settings.stack} pgstack:repositoryKeys {','.join(map(str, before))}; only"
                " `pgstack keys rotate` and `retire` change it"
            )

    return pulumi.Stash(
        name,
        input=_text(settings),
        opts=child(
            parent,
            depends_on=[after],
            hooks=pulumi.ResourceHookBinding(before_update=[step(f"{name}-insist", insist, in_preview=True)]),
        ),
    )


def files(
    kind: str,
    number: int | None,
    settings: Settings,
    names: Names,
    local: Mapping[int, pulumi.Output[str]],
    offsite: Mapping[int, pulumi.Output[str]],
) -> dict[str, pulumi.Input[str]]:
    """The files of the `next` or `old` repositories; empty, and so none, if there are none."""
    found: dict[str, pulumi.Input[str]] = {repositories.conf(it): "" for it in (kind, f"{kind}-offsite")}
    if number is None:
        return found
    where = {"path": repositories.path(repositories.LOCAL_PATH, number)}
    found[repositories.conf(kind)] = local[number].apply(
        lambda key: repositories.repository_conf(where, key, settings.keep_full, settings.keep_differential)
    )
    if store := settings.offsite:
        found[repositories.conf(f"{kind}-offsite")] = offsite[number].apply(
            lambda key: repositories.offsite_conf(store, f"/{names.prefix}", key, number)
        )
    return found


async def hand_over(engine: Engine, container: str, settings: Settings, *to: str) -> None:
    """Bring the WAL that only the old local repository has to others. Can be run again. Raises EngineError."""
    if settings.old_key:
        await engine.run(container, [_HAND_OVER, *to])


def _text(settings: Settings) -> str:
    return ",".join(map(str, settings.repository_keys))
