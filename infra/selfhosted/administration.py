"""What only the stack's administrator may do: prepare databases and logins, and mark points to come back to."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pulumi

from db import apps, restore_points
from db.errors import RestorePointError
from infra.errors import EngineError
from infra.hooks import resolved
from infra.selfhosted import cluster
from infra.selfhosted.backups import ensure_recent_backup
from infra.selfhosted.certificates import Leaf
from infra.selfhosted.credentials import AppPasswords
from infra.selfhosted.engine import Engine
from infra.selfhosted.postgres import ADMIN, POOLER_LOOKUP
from infra.selfhosted.stack import Names
from infra.threads import in_thread


@dataclass(frozen=True)
class Administration:
    """The deployment's own login: a client certificate that exists in the encrypted state and nowhere else."""

    engine: Engine
    names: Names
    server: str  # the container of the live cluster
    host: str
    port: pulumi.Output[int]
    ca: pulumi.Output[str]
    login: Leaf
    passwords: Mapping[str, AppPasswords]
    embeddings: str

    async def bootstrap(self) -> None:
        """Databases, groups, logins, schemas, extensions and grants of every application; changes only what differs."""
        from db.bootstrap import AppAccess, Login, bootstrap  # noqa: PLC0415 - psycopg is not needed by a no-op

        known = await resolved(
            pulumi.Output.all(
                port=self.port,
                ca=self.ca,
                certificate=self.login.certificate,
                key=self.login.key,
                passwords={
                    app: {"owner": it.owner, "application": it.application, "readonly": it.readonly}
                    for app, it in self.passwords.items()
                },
            )
        )
        accesses = [
            AppAccess(
                app=app,
                database=apps.host(app),
                owner=Login(f"{app}_owner_1", given["owner"]),
                application=Login(f"{app}_app_1", given["application"]),
                readonly=Login(f"{app}_readonly_1", given["readonly"]),
            )
            for app in apps.in_order(known["passwords"])
            for given in [known["passwords"][app]]
        ]
        await cluster.allow_writes(self.engine, self.server)
        with _login_files(known["ca"], known["certificate"], known["key"]) as files:
            conninfo = {
                "host": self.host,
                "port": str(known["port"]),
                "user": ADMIN,
                **files,
            }
            done = await in_thread(
                bootstrap,
                conninfo,
                accesses,
                pooler_lookup=POOLER_LOOKUP,
                embeddings=self.embeddings,
                report=lambda _: None,
            )
        for app, missing in done.missing_extensions.items():
            if missing:
                pulumi.log.warn(f"{app}: the server lacks {', '.join(missing)}")

    async def restore_point(self, label: str) -> None:
        """Name a point whose WAL is proven archived, and take an incremental backup if the last is over a day old.

        A cluster that is not live yet can be restored again: nothing is to be done for it.
        """
        if not await cluster.archives(self.engine, self.server):
            return
        await ensure_recent_backup(self.engine, self.names("backup"))
        try:
            await in_thread(restore_points.create, label, self._query)
        except RestorePointError as error:
            raise EngineError(f"{error}: `docker logs {self.server}` says why; nothing was migrated") from error

    def _query(self, sql: str) -> str:
        return cluster.query_now(self.engine, self.server, sql)


@contextmanager
def _login_files(ca: str, certificate: str, key: str) -> Iterator[dict[str, str]]:
    """libpq takes certificates from files only: private ones, gone as soon as they were used."""
    with tempfile.TemporaryDirectory(prefix="pgstack-") as folder:  # mode 0700
        paths = {name: Path(folder) / name for name in ("sslrootcert", "sslcert", "sslkey")}
        for path, text in zip(paths.values(), (ca, certificate, key), strict=True):
            path.touch(mode=0o600)
            path.write_text(text)
        yield {name: str(path) for name, path in paths.items()} | {"sslmode": "verify-full"}
