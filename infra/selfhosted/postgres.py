"""The PostgreSQL server: its data, its identity, its configuration."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from infra.selfhosted import maintenance, repositories
from infra.selfhosted.budget import OPERATORS, SUPERUSER_RESERVE, ConnectionBudget
from infra.selfhosted.certificates import Certificates
from infra.selfhosted.container import ContainerArgs, Mount, run
from infra.selfhosted.engine import Engine
from infra.selfhosted.files import Files
from infra.selfhosted.sizing import Sizing, size_for
from infra.selfhosted.stack import Names, child
from infra.selfhosted.volumes import ClusterStorage
from infra.settings import Settings

ADMIN = "pgstack_admin"  # created by the image, logs in by certificate only
POOLER_LOOKUP = "pgbouncer_auth"
PORT = 5432
_MIB = 1024**2
_QUEUE = {  # what becomes of WAL that can't be archived: dropped before it fills the disk, or never
    "serve": " --archive-push-queue-max=$(/usr/local/lib/pgstack/queue-bound)",
    "stop": "",
}


@dataclass(frozen=True)
class PostgresArgs:
    settings: Settings
    engine: Engine
    network: pulumi.Input[str]
    image: pulumi.Output[str]
    storage: ClusterStorage
    archive: pulumi.Resource  # where WAL goes: there before the server, gone only after it
    source: str  # packages or vendor: their ICU differs, so a cluster never moves between them
    stack_id: pulumi.Input[str]
    certificates: Certificates
    budget: ConnectionBudget
    port: pulumi.Output[int]
    role: str = "postgres"
    live: bool = True  # a deployment insists that the live one serves; one beside it may be broken


class Postgres(pulumi.ComponentResource):
    """PostgreSQL 16 on the stack's network and on one port of the host.

    Outputs: `container` (str), `port` (int, on the host). Once `ready`, it answers queries; beside the live one, it
    was started.
    """

    def __init__(self, name: str, names: Names, args: PostgresArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pgstack:selfhosted:Postgres", name, None, opts)
        settings, storage, role = args.settings, args.storage, args.role
        sizing = size_for(settings.memory, args.budget.max_connections)
        restart_settings = needs_restart(args.budget, sizing)
        server = args.certificates.leaf(
            role,
            names(role),
            [names(role), role, "localhost", "127.0.0.1", settings.address],
        )
        files = Files(
            f"{name}-files",
            names,
            role,
            args.engine,
            args.image,
            {
                "postgresql.conf": postgresql_conf(settings, sizing, restart_settings),
                "pg_hba.conf": pg_hba_conf(settings.apps),
                "pg_ident.conf": maintenance.ident(settings.apps),
                **{
                    repositories.conf(it): pgbackrest_conf(names("backup"), repositories.conf(it))
                    for it in repositories.names("", settings.offsite)
                },
                # empty, and so none, unless there is such a repository: what is in the volume stays there
                **{
                    repositories.conf(it): pgbackrest_conf(names("backup"), repositories.conf(it))
                    if settings.old_key
                    else ""
                    for it in repositories.names("old", settings.offsite)
                },
                "tls/ca.crt": args.certificates.ca,
                "tls/server.crt": server.certificate,
                "tls/server.key": server.key,
            },
            child(self),
        )
        running = run(
            f"{name}-container",
            args.engine,
            names,
            role,
            ContainerArgs(
                image=args.image,
                network=args.network,
                mounts=[
                    Mount(storage.data.name, "/var/lib/postgresql"),
                    Mount(storage.identity.name, "/var/lib/pgstack"),
                    Mount(storage.socket.name, "/run/postgresql"),
                    Mount(files.volume, "/etc/pgstack", read_only=True),
                ],
                command=["postgres"],
                stop_signal="SIGINT",  # fast shutdown; SIGTERM would wait for every client to leave
                grace=180,  # a busy server's checkpoint, and 30 s for an archive that is gone
                port=(settings.address, args.port, PORT),
                environment={"PGSTACK_ID": args.stack_id, "PGSTACK_SOURCE": args.source},
                settings=hashlib.sha256(restart_settings.encode()).hexdigest()[:16],
                memory=settings.memory,
                shm=sizing.shm,
            ),
            self,
            [files.written, args.archive],
            insist=args.live,
        )
        self.container, self.port, self.ready = running.container.name, args.port, running.ready
        self.register_outputs({"container": self.container, "port": self.port})


def pg_hba_conf(apps: Sequence[str]) -> str:
    """Who may log in how (https://www.postgresql.org/docs/16/auth-pg-hba-conf.html); pure."""
    return f"""\
# Unix socket: the servers' own user as postgres (backups, health checks) and for the daily maintenance; nobody else.
local   all       postgres        peer
{maintenance.hba(apps)}local   all       all             reject
# The deployment and the pooler's password look-up log in by certificate, everybody else by SCRAM; nothing without TLS.
hostssl all       {ADMIN}   all   cert
hostssl postgres  {POOLER_LOOKUP}  all   cert
hostssl postgres  all             all   reject
hostssl all       all             all   scram-sha-256
"""


def needs_restart(budget: ConnectionBudget, sizing: Sizing) -> str:
    """The part of postgresql.conf that only another server process takes up."""
    return f"""\
listen_addresses = '*'
port = {PORT}
unix_socket_directories = '/run/postgresql'
hba_file = '/etc/pgstack/pg_hba.conf'
ident_file = '/etc/pgstack/pg_ident.conf'
max_connections = {budget.max_connections}
superuser_reserved_connections = {SUPERUSER_RESERVE}
reserved_connections = {OPERATORS}
shared_buffers = {_mb(sizing.shared_buffers)}
shared_preload_libraries = 'pg_stat_statements'
wal_level = replica
archive_mode = on
max_wal_senders = 10
track_commit_timestamp = on
track_activity_query_size = 4096
"""


def postgresql_conf(settings: Settings, sizing: Sizing, restart_settings: str) -> str:
    """The whole postgresql.conf (https://www.postgresql.org/docs/16/runtime-config.html); pure."""
    return f"""\
{restart_settings}
# TLS
ssl = on
ssl_ca_file = '/etc/pgstack/tls/ca.crt'
ssl_cert_file = '/etc/pgstack/tls/server.crt'
ssl_key_file = '/etc/pgstack/tls/server.key'
ssl_min_protocol_version = 'TLSv1.3'
password_encryption = scram-sha-256

# memory, from {_mb(settings.memory)}
effective_cache_size = {_mb(sizing.effective_cache_size)}
maintenance_work_mem = {_mb(sizing.maintenance_work_mem)}
work_mem = {_mb(sizing.work_mem)}
random_page_cost = 1.1  # SSD
effective_io_concurrency = 200  # SSD

# write-ahead log and its archive
max_wal_size = {_mb(sizing.max_wal_size)}
min_wal_size = {_mb(sizing.min_wal_size)}
checkpoint_timeout = 15min
wal_compression = pglz  # lz4 is not compiled in everywhere
archive_command = 'pgbackrest --stanza=main{_QUEUE[settings.wal_full]} archive-push %p'
archive_timeout = 60  # an idle server's last row is archived within a minute
max_slot_wal_keep_size = {_mb(4 * sizing.max_wal_size)}  # a forgotten slot must not fill the disk

# sessions
idle_in_transaction_session_timeout = 5min
tcp_keepalives_idle = 60

# what is logged; parameters never are: they may be secrets
log_destination = stderr
logging_collector = off
log_line_prefix = '%m [%p] %q%u@%d %a '
log_timezone = UTC
timezone = UTC
log_min_duration_statement = {settings.slow_query}
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_lock_waits = on
deadlock_timeout = 1s
log_checkpoints = on
log_autovacuum_min_duration = 1s
log_temp_files = 10MB
track_io_timing = on
pg_stat_statements.track = top
"""


def pgbackrest_conf(repository_host: str, config: str = repositories.LOCAL_CONF) -> str:
    """The server's side of pgBackRest (https://pgbackrest.org/configuration.html): no repository, no key.

    `config` is the file of the repository on its host. WAL goes to the local one; a cluster that was restored from the
    off-site one fetches its WAL from there.
    """
    return f"""\
[global]
{repositories.host_conf(repository_host, config)}archive-async=y
spool-path=/var/lib/postgresql/spool
process-max=2
compress-type=zst
compress-level=3
log-level-console=warn
log-level-file=off
lock-path=/tmp/pgbackrest

# A stopping server waits six times this for an archive that is gone (two rounds of three tries): well below its grace.
[global:archive-push]
archive-timeout=5

[main]
pg1-path=/var/lib/postgresql/16/main
"""


def _mb(value: int) -> str:
    return f"{value // _MIB}MB"
