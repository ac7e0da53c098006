"""What the PostgreSQL server says of itself and of the applications' databases: one psql, over the socket."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from db.apps import host
from ops.engine import Engine
from ops.errors import EngineError

_OF_THE_SERVER = """\
SELECT json_build_object(
  'version', split_part(current_setting('server_version'), ' ', 1),
  'pgvector', (SELECT default_version FROM pg_available_extensions WHERE name = 'vector'),
  'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  'max_connections', current_setting('max_connections')::int,
  'archived_ago', (SELECT extract(epoch FROM now() - last_archived_time) FROM pg_stat_archiver),
  'archive_fails', (SELECT last_failed_time > coalesce(last_archived_time, '-infinity') FROM pg_stat_archiver),
  'waiting', (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
  'oldest_ago', (SELECT extract(epoch FROM max(now() - modification)) FROM pg_ls_archive_statusdir()
             WHERE name LIKE '%.ready'),
  'waiting_bytes', (SELECT count(*) * pg_size_bytes(current_setting('wal_segment_size'))
             FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
  'drops', current_setting('archive_command') LIKE '%queue-max%',
  'damaged', (SELECT coalesce(json_object_agg(coalesce(datname, 'shared'), checksum_failures), '{}')
             FROM pg_stat_database WHERE checksum_failures > 0),
  'replaced', (SELECT coalesce(json_agg(datname ORDER BY datname), '[]')
             FROM pg_database WHERE datname ~ '_before_[0-9]{8}_[0-9]{6}$'));
"""
_OF_AN_APP = """\
\\connect "{database}"
SELECT to_regclass('"{app}".alembic_version') IS NOT NULL
   AND to_regclass('"{app}".migration_history') IS NOT NULL AS migrated \\gset
\\if :migrated
SELECT json_build_object('app', '{app}', 'revision', (SELECT min(version_num) FROM "{app}".alembic_version), 'applied',
  (SELECT coalesce(json_object_agg(revision, checksum), '{{}}')
   FROM "{app}".migration_history WHERE reverted_at IS NULL),
  'covered', (SELECT coalesce(json_object_agg(parent, until), '{{}}') FROM (
    SELECT p.relname AS parent, extract(epoch FROM max(
      (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''([^'']+)''\\)'))[1]::timestamptz)) AS until
    FROM pg_class p JOIN pg_partitioned_table t ON t.partrelid = p.oid AND t.partstrat = 'r' AND t.partnatts = 1
    JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum = t.partattrs[0]
      AND a.atttypid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
    LEFT JOIN pg_inherits i ON i.inhparent = p.oid LEFT JOIN pg_class c ON c.oid = i.inhrelid
    WHERE p.relnamespace = to_regnamespace('"{app}"') AND NOT p.relispartition GROUP BY p.relname
    HAVING NOT coalesce(bool_or(pg_get_expr(c.relpartbound, c.oid) ~ 'DEFAULT|MAXVALUE'), false)) AS partitioned));
\\else
SELECT json_build_object('app', '{app}', 'revision', NULL, 'applied', '{{}}'::json, 'covered', '{{}}'::json);
\\endif
"""


@dataclass(frozen=True)
class Server:
    """The two `_ago` are in seconds: the last archived WAL segment, and the oldest that waits for it.

    `damaged`: how often a page of a database failed its checksum when it was read. `replaced`: databases that `restore
    run --database` replaced and nobody dropped.
    """

    version: str
    pgvector: str | None
    connections: int
    max_connections: int
    archived_ago: float | None
    archive_fails: bool
    waiting: int
    oldest_ago: float | None
    waiting_bytes: int = 0
    drops: bool = False  # pgstack:walFull is serve
    damaged: Mapping[str, int] = field(default_factory=dict)
    replaced: Sequence[str] = ()


@dataclass(frozen=True)
class Database:
    """The revision an app's database is at (None: never migrated) and the checksums of those applied.

    `covered`: until when a table that is partitioned by time has partitions, in seconds since 1970; None without any.
    """

    app: str
    revision: str | None
    applied: Mapping[str, str]
    covered: Mapping[str, float | None] = field(default_factory=dict)


def ask(engine: Engine, container: str, apps: Sequence[str]) -> tuple[Server, dict[str, Database]]:
    """Raises EngineError when the server does not answer; a database that is not there is missing from the answer."""
    script = _OF_THE_SERVER + "".join(_OF_AN_APP.format(app=app, database=host(app)) for app in apps)
    psql = 'printf %s "$1" | psql -XqAt -h /run/postgresql -U postgres -d postgres'
    return parse(engine.ask(container, ["sh", "-c", psql, "sh", script]))


def parse(text: str) -> tuple[Server, dict[str, Database]]:
    """The answer of `ask`: one JSON object a line, the server's first."""
    first, *rest = [json.loads(line) for line in text.splitlines() if line.startswith("{")] or [None]
    if first is None:
        raise EngineError("the server answered with nothing: `pgstack logs postgres` says why")
    return _server(first), {it["app"]: Database(**it) for it in rest}


def _server(given: Mapping[str, Any]) -> Server:
    return Server(**{**given, "archive_fails": bool(given["archive_fails"])})
