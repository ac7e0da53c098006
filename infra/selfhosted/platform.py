"""Target docker: the whole Postgres on one Docker host, as a list of what exists."""

from dataclasses import replace
from urllib.parse import quote

import pulumi

from db import apps
from infra.platform import AppUrls, Platform
from infra.selfhosted.administration import Administration
from infra.selfhosted.backups import Backups, BackupsArgs, Stanza
from infra.selfhosted.budget import share_out
from infra.selfhosted.certificates import Certificates
from infra.selfhosted.credentials import Credentials
from infra.selfhosted.identity import claim
from infra.selfhosted.images import Images
from infra.selfhosted.network import bridge
from infra.selfhosted.pooler import Pooler, PoolerArgs
from infra.selfhosted.postgres import ADMIN, Postgres, PostgresArgs
from infra.selfhosted.preflight import Host
from infra.selfhosted.restored import Restored, RestoredArgs
from infra.selfhosted.stack import Names, child
from infra.selfhosted.volumes import Storage
from infra.settings import Settings


class SelfHosted(pulumi.ComponentResource):
    """PostgreSQL, PgBouncer and pgBackRest. `platform` is what the rest of the program knows of it."""

    def __init__(self, name: str, settings: Settings, host: Host, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pgstack:selfhosted:SelfHosted", name, None, opts)
        engine, prepared = host.engine, host.prepared
        lasting = not settings.disposable
        names = Names(settings.name, claim("stack-id", Names.of(settings), engine, self, lasting=lasting))
        budget = share_out(settings.apps, settings.server_connections, settings.client_connections)
        credentials = Credentials("credentials", settings.apps, lasting=lasting, opts=child(self))
        certificates = Certificates("certificates", lasting=lasting, opts=child(self))
        images = Images("images", prepared, child(self))
        network = bridge("network", names, engine, self)
        storage = Storage("storage", names, lasting=lasting, opts=child(self))
        backups = Backups(
            "backups",
            names,
            BackupsArgs(
                settings=settings,
                engine=engine,
                network=network.id,
                image=images.postgres,
                storage=storage,
                certificates=certificates,
                repository_key=credentials.repository_key,
                offsite_key=credentials.offsite_key,
                clients=[names("postgres"), *(names(f"postgres-{it}") for it in sorted(settings.generations))],
            ),
            child(self),
        )
        live = PostgresArgs(
            settings=settings,
            engine=engine,
            network=network.id,
            image=images.postgres,
            storage=storage,
            archive=backups.ready,
            source=prepared.postgres_source,
            stack_id=names.id,
            certificates=certificates,
            budget=budget,
            port=credentials.port("direct", host.direct_port),
        )
        postgres = Postgres("postgres", names, live, child(self))
        restored = {
            number: Restored(
                f"generation-{number}",
                names,
                RestoredArgs(
                    number=number,
                    origin=origin,
                    postgres=replace(live, port=credentials.port(f"direct-{number}", 0)),
                    repository=storage.repository.name,
                    backup_files=backups.files,
                ),
                child(self),
            )
            for number, origin in sorted(settings.generations.items())
        }
        pooler = Pooler(
            "pooler",
            names,
            PoolerArgs(
                engine=engine,
                network=network.id,
                image=images.pooler,
                certificates=certificates,
                budget=budget,
                address=settings.address,
                port=credentials.port("pooled", host.pooled_port),
            ),
            child(self),
        )
        stanza = Stanza(
            "stanza", names, engine, storage, backups, [backups.ready, postgres.ready], settings.offsite, child(self)
        )
        administration = Administration(
            engine=engine,
            names=names,
            host=host.reachable_at,
            port=postgres.port,
            ca=certificates.ca,
            login=certificates.leaf("admin", ADMIN),
            passwords=credentials.passwords,
            embeddings=settings.embeddings,
        )
        self.platform = Platform(
            target="docker",
            apps={
                app: AppUrls(
                    pooled=url(f"{app}_app_1", logins.application, host.reachable_at, pooler.port, app),
                    readonly=url(
                        f"{app}_readonly_1", logins.readonly, host.reachable_at, pooler.port, f"{app}_readonly"
                    ),
                    direct=url(f"{app}_owner_1", logins.owner, host.reachable_at, postgres.port, apps.host(app)),
                )
                for app, logins in credentials.passwords.items()
            },
            ca_certificate=certificates.ca,
            incarnation=storage.data.incarnation,
            ready=[postgres.ready, stanza.ready],
            bootstrap=administration.bootstrap,
            restore_point=administration.restore_point,
            outputs={
                "network": network.name,
                "postgres_container": postgres.container,
                "pooler_container": pooler.container,
                "backup_container": backups.container,
                "data_volume": storage.data.name,
                "backup_volume": storage.repository.name,
                **({"generations": list(restored)} if restored else {}),
                **{f"postgres_{number}_container": it.container for number, it in restored.items()},
                **{f"postgres_{number}_port": it.port for number, it in restored.items()},
            },
        )
        self.register_outputs({})


def url(
    login: str, password: pulumi.Output[str], host: str, port: pulumi.Output[int], database: str
) -> pulumi.Output[str]:
    """A `postgresql://` URL that every client understands (shared facts: other parameters break JavaScript drivers)."""
    return pulumi.Output.secret(
        pulumi.Output.all(password, port).apply(
            lambda given: f"postgresql://{login}:{quote(given[0])}@{host}:{given[1]}/{database}?sslmode=verify-full"
        )
    )
