"""PgBouncer: one pooled port in front of Postgres, transaction mode."""

from dataclasses import dataclass

import pulumi

from db import apps
from infra.selfhosted.budget import LOOKUPS, ConnectionBudget
from infra.selfhosted.certificates import Certificates
from infra.selfhosted.container import ContainerArgs, Mount, run
from infra.selfhosted.engine import Engine
from infra.selfhosted.files import Files
from infra.selfhosted.postgres import POOLER_LOOKUP
from infra.selfhosted.postgres import PORT as POSTGRES_PORT
from infra.selfhosted.stack import Names, child
from infra.selfhosted.switchover import take_up

PORT = 6432
_LOOKUP = "pgstack_lookup"  # auth_dbname must be one of [databases]; a client that asks for it is refused by Postgres


@dataclass(frozen=True)
class PoolerArgs:
    engine: Engine
    network: pulumi.Input[str]
    image: pulumi.Output[str]
    certificates: Certificates
    budget: ConnectionBudget
    address: str
    port: pulumi.Output[int]
    generation: int
    server: str  # the container of that generation
    databases: pulumi.Resource  # done once they are what the repository says


class Pooler(pulumi.ComponentResource):
    """Accepts `budget.clients` clients and keeps at most `budget.pooled` server connections.

    It is declared after the databases: clients are never sent to some that are not ready. Outputs: `container` (str),
    `port` (int, on the host).
    """

    def __init__(self, name: str, names: Names, args: PoolerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pgstack:selfhosted:Pooler", name, None, opts)
        server = args.certificates.leaf(
            "pooler", names("pooler"), [names("pooler"), "pooler", "localhost", "127.0.0.1", args.address]
        )
        client = args.certificates.leaf("pooler-lookup", POOLER_LOOKUP)

        async def reload() -> None:
            await take_up(args.engine, names("pooler"), args.server, args.generation)

        files = Files(
            f"{name}-files",
            names,
            "pooler",
            args.engine,
            args.image,
            {
                "pgbouncer.ini": pgbouncer_ini(args.budget, args.server),
                "userlist.txt": f'"{POOLER_LOOKUP}" ""\n',  # it logs in by certificate: no password stands anywhere
                "tls/ca.crt": args.certificates.ca,
                "tls/server.crt": server.certificate,
                "tls/server.key": server.key,
                "tls/client.crt": client.certificate,
                "tls/client.key": client.key,
            },
            child(self),
            after=[args.databases],
            reload=reload,
        )
        running = run(
            f"{name}-container",
            args.engine,
            names,
            "pooler",
            ContainerArgs(
                image=args.image,
                network=args.network,
                mounts=[Mount(files.volume, "/etc/pgstack", read_only=True)],
                command=["pgbouncer", "/etc/pgstack/pgbouncer.ini"],
                stop_signal="SIGINT",  # running transactions end; since 1.23 SIGTERM waits for every client to leave
                grace=30,
                port=(args.address, args.port, PORT),
                settings=str(args.budget.clients),
            ),
            self,
            [files.written],
        )
        self.container, self.port, self.ready = running.container.name, args.port, running.ready
        self.register_outputs({"container": self.container, "port": self.port})


def pgbouncer_ini(budget: ConnectionBudget, host: str) -> str:
    """pgbouncer.ini (https://www.pgbouncer.org/config.html) for this budget; pure, so tested without Pulumi."""
    server = f"host={host} port={POSTGRES_PORT}"
    databases = [f"{_LOOKUP} = {server} dbname=postgres pool_size={LOOKUPS} max_db_connections={LOOKUPS}"]
    for app, pool in budget.pools.items():
        database = apps.host(app)
        databases += [
            f"{app} = {server} dbname={database} pool_size={pool.application} max_db_connections={pool.application}",
            f"{app}_readonly = {server} dbname={database} pool_size={pool.readonly} max_db_connections={pool.readonly}",
        ]
    return (
        "[databases]\n"
        + "\n".join(databases)
        + f"""

[pgbouncer]
listen_addr = *
listen_port = {PORT}
unix_socket_dir = /tmp
pool_mode = transaction
max_client_conn = {budget.clients}
max_prepared_statements = 200
ignore_startup_parameters = extra_float_digits

auth_type = scram-sha-256
auth_file = /etc/pgstack/userlist.txt
auth_user = {POOLER_LOOKUP}
auth_dbname = {_LOOKUP}
auth_query = SELECT uname, phash FROM pgbouncer.user_lookup($1)
admin_users = pgbouncer

client_tls_sslmode = require
client_tls_protocols = tlsv1.3
client_tls_cert_file = /etc/pgstack/tls/server.crt
client_tls_key_file = /etc/pgstack/tls/server.key
server_tls_sslmode = verify-full
server_tls_protocols = tlsv1.3
server_tls_ca_file = /etc/pgstack/tls/ca.crt
server_tls_cert_file = /etc/pgstack/tls/client.crt
server_tls_key_file = /etc/pgstack/tls/client.key

; what a burst opened is closed soon after it: an idle connection costs Postgres memory, a new one 10 ms
server_idle_timeout = 10
server_lifetime = 3600
; the default of 15 s would be a 15 s stall after every restart of Postgres
server_login_retry = 1
server_connect_timeout = 5
query_wait_timeout = 120
listen_backlog = 4096
log_connections = 0
log_disconnections = 0
"""
    )
