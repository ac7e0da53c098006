"""Target docker: the whole Postgres on one Docker host, as a list of what exists."""

from urllib.parse import quote

import pulumi

from db import apps
from infra.platform import AppUrls, Platform
from infra.selfhosted import reserve, rotation, switchover
from infra.selfhosted.administration import Administration
from infra.selfhosted.backups import Backups, BackupsArgs, Stanza
from infra.selfhosted.budget import share_out
from infra.selfhosted.certificates import Certificates
from infra.selfhosted.credentials import Credentials
from infra.selfhosted.drills import Drills, DrillsArgs
from infra.selfhosted.identity import claim
from infra.selfhosted.images import Images
from infra.selfhosted.network import bridge
from infra.selfhosted.pooler import Pooler, PoolerArgs
from infra.selfhosted.postgres import ADMIN, Postgres, PostgresArgs
from infra.selfhosted.preflight import Host
from infra.selfhosted.restored import Restored, RestoredArgs
from infra.selfhosted.stack import Names, child
from infra.selfhosted.switchover import Live
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
        credentials = Credentials(
            "credentials", settings.apps, settings.repository_keys, lasting=lasting, opts=child(self)
        )
        certificates = Certificates("certificates", lasting=lasting, opts=child(self))
        images = Images("images", prepared, child(self))
        network = bridge("network", names, engine, self)
        guarded = rotation.guard("repository-keys", settings, self, switchover.guard("generation", settings, self))
        storage = Storage("storage", names, lasting=lasting, with_first=1 in settings.clusters, opts=child(self))
        restored = {
            number: Restored(
                f"generation-{number}", names, number, lasting=lasting and number in settings.live, opts=child(self)
            )
            for number in sorted(settings.generations)
        }
        storages = {number: it.storage for number, it in restored.items()}
        if storage.first:
            storages[1] = storage.first
        live = settings.generation
        backups = Backups(
            "backups",
            names,
            BackupsArgs(
                settings=settings,
                engine=engine,
                network=network.id,
                image=images.postgres,
                storage=storages[live],
                repository=storage.repository,
                evidence=storage.evidence.name,
                certificates=certificates,
                repository_keys=credentials.repository_keys,
                offsite_keys=credentials.offsite_keys,
                after=guarded,
                clients=[switchover.container(names, it) for it in settings.clusters],
            ),
            child(self),
        )
        first = PostgresArgs(
            settings=settings,
            engine=engine,
            network=network.id,
            image=images.postgres,
            storage=storages.get(1, storages[live]),
            archive=backups.ready,
            source=prepared.postgres_source,
            stack_id=names.id,
            certificates=certificates,
            budget=budget,
            port=credentials.port("direct", host.direct_port),
            live=live == 1,
        )
        servers = {1: Postgres("postgres", names, first, child(self))} if storage.first else {}
        for number, it in restored.items():
            servers[number] = it.restore(
                RestoredArgs(
                    origin=settings.generations[number],
                    postgres=first,
                    port=credentials.port(f"direct-{number}", 0),
                    live=live == number,
                    repository=storage.repository.name,
                    backup_files=backups.files,
                )
            )
        postgres = servers[live]
        server = switchover.container(names, live)
        reserve.keep(engine, server, settings.reserve, postgres.ready)
        stanza = Stanza(
            "stanza",
            names,
            engine,
            storage.repository,
            storages[live],
            server,
            backups,
            [backups.ready, postgres.ready],
            settings,
            child(self),
        )
        drills = Drills(
            "drills",
            names,
            DrillsArgs(
                schedule=settings.drill,
                engine=engine,
                image=images.drills,
                socket=storages[live].socket.name,
                repository=storage.repository.name,
                evidence=storage.evidence.name,
                backup_files=backups.files,
                ready=stanza.ready,
                lasting=lasting,
            ),
            child(self),
        )
        administration = Administration(
            engine=engine,
            names=names,
            server=server,
            host=host.reachable_at,
            port=postgres.port,
            ca=certificates.ca,
            login=certificates.leaf("admin", ADMIN),
            passwords=credentials.passwords,
            embeddings=settings.embeddings,
        )
        pooled_port = credentials.port("pooled", host.pooled_port)

        def admit(databases: pulumi.Resource) -> None:
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
                    port=pooled_port,
                    generation=live,
                    server=server,
                    databases=databases,
                ),
                child(self),
            )
            Live("live", names, engine, settings, storages[live], pooler.ready, child(self))

        beside = {number: it for number, it in servers.items() if number != live}
        self.platform = Platform(
            target="docker",
            apps={
                app: AppUrls(
                    pooled=url(f"{app}_app_1", logins.application, host.reachable_at, pooled_port, app),
                    readonly=url(
                        f"{app}_readonly_1", logins.readonly, host.reachable_at, pooled_port, f"{app}_readonly"
                    ),
                    direct=url(f"{app}_owner_1", logins.owner, host.reachable_at, postgres.port, apps.host(app)),
                )
                for app, logins in credentials.passwords.items()
            },
            ca_certificate=certificates.ca,
            incarnation=storages[live].data.incarnation,
            ready=[postgres.ready, stanza.ready],
            bootstrap=administration.bootstrap,
            restore_point=administration.restore_point,
            admit=admit,
            outputs={
                "network": network.name,
                "postgres_container": postgres.container,
                "pooler_container": names("pooler"),
                "backup_container": backups.container,
                "data_volume": storages[live].data.name,
                "backup_volume": storage.repository.name,
                "drills_container": drills.container,
                "drills_public_key": drills.public_key,
                **({"generations": list(beside)} if beside else {}),
                **{f"postgres_{number}_container": it.container for number, it in beside.items()},
                **{f"postgres_{number}_port": it.port for number, it in beside.items()},
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
