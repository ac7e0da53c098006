"""The step after the servers: bootstrap, restore point, migrate, seed, on every target alike.

A Stash remembers which migrations and seeds stand in the databases. A preview so lists what is pending, an unchanged
schema costs nothing, and a failed update leaves the state as it was: the next `pulumi up` tries again.
"""

import datetime
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi

from db import apps, migrations, seeds
from db.errors import MigrationError
from db.migrations import sums
from infra.errors import DeploymentError
from infra.hooks import before_change, resolved, step
from infra.platform import Platform
from infra.settings import Settings
from infra.threads import in_thread


class Schema(pulumi.ComponentResource):
    """Migrates and seeds the databases of `settings.apps` on `platform`; `done` once they are what is wanted."""

    def __init__(
        self, name: str, settings: Settings, platform: Platform, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("pgstack:index:Schema", name, None, opts)
        wanted = {app: content(app, settings) for app in settings.apps}
        for app, revision in settings.revisions.items():
            pulumi.log.info(
                f"{app} is held at revision {revision}: `pgstack migrate up {app}` lets it go to the newest"
            )

        async def announce(args: pulumi.ResourceHookArgs) -> None:
            before = (args.old_inputs or {}).get("input") or {}
            for line in changes(before.get("apps") or {}, wanted):
                pulumi.log.info(line)
            for line in contradictions(before.get("apps") or {}, wanted):
                pulumi.log.warn(line)

        async def apply(_: pulumi.ResourceHookArgs) -> None:
            await platform.bootstrap()
            point = f"migrate-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}"
            await platform.restore_point(point)
            with tempfile.TemporaryDirectory(prefix="pgstack-") as folder:
                ca_file = Path(folder) / "ca.crt"
                ca_file.write_text(await resolved(platform.ca_certificate))
                for app in apps.in_order(settings.apps):
                    if apps.host(app) != app:
                        await platform.bootstrap()  # what guests may do with tables that their host has only now
                    url = await resolved(platform.apps[app].direct)
                    try:
                        await in_thread(_bring_up_to_date, settings, app, url, ca_file)
                    except MigrationError as error:
                        raise DeploymentError(
                            f"{error} (as it was before this deployment: pgstack restore run --to {point})"
                        ) from error

        self.done = pulumi.Stash(
            name,
            input={
                "generation": settings.generation,  # another one's databases may be older than the state
                "incarnation": platform.incarnation,
                "apps": wanted,
                # the bootstrap does something about it; what most stacks leave alone is not in their state
                **({"embeddings": settings.embeddings} if settings.embeddings != "auto" else {}),
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(platform.ready),
                hooks=before_change(step(f"{name}-announce", announce, in_preview=True), step(f"{name}-apply", apply)),
            ),
        )
        self.register_outputs({})


def content(app: str, settings: Settings) -> dict[str, Any]:
    """What an application's database is to contain: the target revision, and the checksums on the way there.

    A database that is held at an older revision is not seeded: seeds are rows of the newest tables. Raises
    RevisionError for a target or a file that is wrong, and for a draft in an environment that lasts.
    """
    target = settings.revisions.get(app, "head")
    files, reached = migrations.revisions(app), migrations.applicable(app, target)
    if not settings.disposable:
        sums.verify(app, files)
    newest = reached == files
    return {
        "target": target,
        "revisions": {it.revision: it.checksum for it in reached},
        "seeds": dict(seeds.checksums(app, settings.seeds)) if newest else {},
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One line for each revision and seed set that is to be applied or undone."""
    lines = []
    for app, wanted in after.items():
        had = before.get(app) or {"target": "head", "revisions": {}, "seeds": {}}
        known = had["revisions"]
        lines += [
            f"{app}: migration {revision} is pending" for revision in wanted["revisions"] if revision not in known
        ]
        if wanted["target"] != "head":
            lines += [
                f"{app}: migration {revision} will be undone"
                for revision in known
                if revision not in wanted["revisions"]
            ]
        lines += [
            f"{app}: seed set {seed} is pending"
            for seed, checksum in wanted["seeds"].items()
            if had["seeds"].get(seed) != checksum
        ]
        if had["target"] != wanted["target"]:
            lines.append(f"{app}: goes to revision {wanted['target']}")
    return lines


def contradictions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One line for each applied revision whose file is no longer what was applied; the update will refuse it."""
    lines = []
    for app, wanted in after.items():
        known = (before.get(app) or {"revisions": {}})["revisions"]
        lines += [
            f"{app}: migration {revision} was changed after it was applied: put its file back, "
            "the update refuses anything else"
            for revision, checksum in wanted["revisions"].items()
            if known.get(revision, checksum) != checksum
        ]
        if wanted["target"] == "head":
            lines += [
                f"{app}: migration {revision} was applied and its file is gone: put it back, the update refuses to go "
                "on without it"
                for revision in known
                if revision not in wanted["revisions"]
            ]
    return lines


def goes_down(app: str, current: str | None, target: str) -> bool:
    """Whether `target` lies before the `current` revision of the database."""
    if target == "head" or current is None:
        return False
    order = ["base", *(it.revision for it in migrations.revisions(app))]
    return target in order and current in order and order.index(target) < order.index(current)


def migrate(
    settings: Settings, app: str, url: str, ca_file: Path | None, *, report: Callable[[str], None] = pulumi.log.info
) -> None:
    """Bring the schema of `app` up or down to the revision that the settings want. Raises what the migrations raise."""
    target = settings.revisions.get(app, "head")
    if goes_down(app, migrations.current(app, url, ca_file=ca_file), target):
        migrations.downgrade(app, url, ca_file=ca_file, target=target, report=report)
        return
    migrations.upgrade(
        app,
        url,
        ca_file=ca_file,
        target=target,
        report=report,
        drafts=settings.disposable,
        embeddings=settings.embeddings,
    )


def _bring_up_to_date(settings: Settings, app: str, url: str, ca_file: Path) -> None:
    migrate(settings, app, url, ca_file)
    sets = tuple(content(app, settings)["seeds"])
    seeds.seed(app, url, sets, ca_file=ca_file, report=pulumi.log.info, environment=settings.environment)
