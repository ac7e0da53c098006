"""What an app's schema consists of, as the server's catalogue tells it, in a form that does not depend on the target.

`read` takes it from a database, `load` from the repository: alembic/versions/<app>/schema.json is what all revisions
together make, written by `make snapshots`. The queries are in catalogue/, a file a kind of object. Not in a snapshot is
what differs between targets and is no drift: the schema that holds an extension, the name of the role that owns
everything, what PostgreSQL 15 to 18 say differently, what guests are granted, and which months have a partition.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from db import apps
from db.bootstrap import roles as bootstrap
from db.bootstrap.databases import EXTENSION_SCHEMA, OPTIONAL, REQUIRED
from db.bootstrap.pooler import SCHEMA as POOLER_SCHEMA
from db.errors import SnapshotError, UnknownAppError
from db.migrations import history
from db.migrations.revisions import HOME, folder

Definition = Mapping[str, Any]
Objects = dict[str, dict[str, Definition]]
Rows = list[tuple[str, str, dict[str, Any]]]

COMMAND = "make snapshots"
FILE = "schema.json"
WITHOUT_VECTOR = "schema-without-vector.json"
MONTH = "yyyy_mm"  # stands for the month in the names of partitions, which are alike
_QUERIES = Path(__file__).parent / "catalogue"
# Schemas that Neon and Supabase bring along; no app's business.
PROVIDERS = (
    *("auth", "storage", "realtime", "_realtime", "_analytics", "graphql", "graphql_public", "vault", "cron", "net"),
    *("pgsodium", "pgsodium_masks", "supabase_functions", "supabase_migrations", "pgtle", "pgmq", "neon", "neon_auth"),
)
# Names as they are whoever asks: extensions' unqualified, for their schema differs by target, all others qualified.
_SETTINGS = """
SELECT set_config('search_path', concat_ws(', ', 'pg_catalog', string_agg(DISTINCT quote_ident(n.nspname), ', ')
        FILTER (WHERE n.nspname NOT IN ('pg_catalog', %(app)s)), 'pg_temp'), true),
    set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true),
    set_config('intervalstyle', 'postgres', true), set_config('bytea_output', 'hex', true),
    set_config('quote_all_identifiers', 'off', true), set_config('extra_float_digits', '1', true),
    set_config('jit', 'off', true), -- it would take longer to compile the query than to run it
    to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'), bool_or(e.extname = 'vector'),
    (SELECT rolname FROM pg_roles WHERE rolname = %(group)s),
    (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %(app)s)
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"""


@dataclass(frozen=True)
class Snapshot:
    """Objects of one app by kind and name; names of what belongs to a table are "table.name".

    `months` are the monthly partitions found, by the name they share ("bot_logs_yyyy_mm"), each as "2026_11"; `month`
    is the server's. A snapshot that is a file has neither: its partitions are named as in `months`.
    """

    app: str
    revision: str | None
    objects: Objects
    vectors: bool = True
    """Whether embeddings are vectors; JSONB where the server had no pgvector, or the bootstrap was told so."""
    months: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    month: str = ""

    def folded(self) -> Snapshot:
        """The same with one partition for all months that are alike."""
        objects: Objects = {}
        for kind, named in self.objects.items():
            kept = objects.setdefault(kind, {})
            for name, definition in named.items():
                shared = _shared(name, self.months)
                alike = kept.setdefault(shared, definition) == definition
                if not alike:
                    kept[name] = definition
        return Snapshot(self.app, self.revision, objects, self.vectors)

    def text(self) -> str:
        """The file: JSON with one object a line, functions with a line for each of theirs, all of it sorted."""
        folded = self.folded()
        head = {"app": self.app, "revision": self.revision}
        parts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
        for kind, named in sorted(folded.objects.items()):
            lines = [f"{json.dumps(name)}: {_line(definition)}" for name, definition in sorted(named.items())]
            parts.append(f"{json.dumps(kind)}: {{\n" + ",\n".join(lines) + "\n}")
        return "{\n" + ",\n".join(parts) + "\n}\n"


def read(connection: psycopg.Connection[Any], app: str) -> Snapshot:
    """The schema of `app` in the database of `connection`: of any login, for the catalogue is everyone's to read.

    Reads in one transaction, or in the one that is open; sets and leaves nothing. `revision` is None also where the
    login may not read it.
    """
    owner_group, *others = groups = bootstrap.groups(app)
    with connection.transaction(force_rollback=True), connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(_SETTINGS, {"app": app, "group": owner_group})
        *_, month, vectors, group, schema_owner = cursor.fetchone() or ()
        owner = group or schema_owner
        given = {
            "app": app,
            "owner": owner,
            "groups": list({owner, *groups}),
            "required": list(REQUIRED),
            "extensions": [*REQUIRED, *OPTIONAL, "plpgsql"],
            "extension_schema": EXTENSION_SCHEMA,
            "pooler_schema": POOLER_SCHEMA,
            "providers": list(PROVIDERS),
            "apps": list(apps.names()),
            "settings": Jsonb(bootstrap.settings(app, [EXTENSION_SCHEMA])),
        }
        cursor.execute(_query(), given)
        rows: Rows = cursor.fetchall()
        revision = history.seen(connection, app)
    roles = {owner: "owner", **{name: name.removeprefix(f"{app}_") for name in others}}
    guests = _guests(app)
    objects: Objects = {}
    for kind, name, definition in rows:
        known = _without_target(roles, guests, kind, name, definition)
        if known is not None:
            own = objects.setdefault(kind, {})
            own[known[0]] = {**own.get(known[0], {}), **known[1]}  # a stray may be found for two reasons
    months = _alike(objects)
    return Snapshot(app, revision, objects, bool(vectors) and not _as_jsonb(app, objects), months, month)


def file(app: str, *, vectors: bool = True, home: Path = HOME) -> Path:
    """Where the snapshot of `app` is; of two, the second is for servers without pgvector."""
    without = folder(app, home) / WITHOUT_VECTOR
    return folder(app, home) / FILE if vectors or not without.exists() else without


def load(app: str, *, vectors: bool = True, home: Path = HOME) -> Snapshot:
    """The repository's snapshot of `app`. Raises SnapshotError where there is none, or none that can be read."""
    path = file(app, vectors=vectors, home=home)
    try:
        found = json.loads(path.read_text())
        return Snapshot(found.pop("app"), found.pop("revision"), found, vectors)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"{path.name} of {app} can't be read ({error}): `{COMMAND}` writes it") from None


def _as_jsonb(app: str, objects: Objects) -> bool:
    """Whether a column has the type that only the snapshot without pgvector gives it."""
    if file(app) == file(app, vectors=False):
        return False
    usual, without = (load(app, vectors=it).objects["column"] for it in (True, False))
    differing = [name for name in usual if name in without and usual[name] != without[name]]
    found = objects.get("column", {})
    return any(found.get(name, {}).get("type") == without[name].get("type") for name in differing)


def _query() -> bytes:
    scope = (_QUERIES / "scope.sql").read_text()
    kinds = [path.read_text() for path in sorted(_QUERIES.glob("*.sql")) if path.stem != "scope"]
    return (scope + "(" + ")\nUNION ALL (".join(kinds) + ")").encode()


def _line(definition: Definition) -> str:
    if "body" not in definition:
        return json.dumps(definition, sort_keys=True)
    rest = {key: value for key, value in definition.items() if key != "body"}
    lines = ",\n".join(f"  {json.dumps(line)}" for line in definition["body"])
    return f'{json.dumps(rest, sort_keys=True)[:-1]}, "body": [\n{lines}\n]}}'


def _without_target(
    roles: Mapping[str, str],
    guests: Mapping[tuple[str, str], list[str]],
    kind: str,
    name: str,
    definition: dict[str, Any],
) -> tuple[str, Definition] | None:
    """Name and definition without what differs by target; None for what is all a guest's."""
    kept = {key: value for key, value in definition.items() if value is not None}
    if "owner" in kept and kind != "grants":
        kept["owner"] = roles.get(kept["owner"], kept["owner"])
    for key in ("to", "usable by"):
        if key in kept:
            kept[key] = sorted({roles.get(role, role) for role in kept[key]})
    if kind == "grants":
        future, of, role = name.rpartition(" of ")
        name = f"{future}{of}{roles.get(role, role)}" if future.startswith("future ") else name
        own = {role: [it for it in its if it not in guests.get((name, role), ())] for role, its in kept.items()}
        kept = {roles.get(role, role): its for role, its in own.items() if its}
        if not kept:
            return None
    return name, kept


def _guests(app: str) -> Mapping[tuple[str, str], list[str]]:
    """What the bootstrap gives the guests of `app` on its objects: privileges by object and role."""
    try:
        guests = [guest for guest in apps.names() if guest != app and apps.host(guest) == app]
        columns = [f"column {table}.{column}" for table, its in apps.shared(app).items() for column in its]
    except UnknownAppError:  # a schema without models here
        return {}
    given: dict[tuple[str, str], list[str]] = {}
    for guest in guests:
        for group, on_columns in ((f"{guest}_owner", ["REFERENCES"]), (f"{guest}_app", ["SELECT"])):
            given[f"schema {app}", group] = ["USAGE"]
            given |= {(column, group): on_columns for column in columns}
    return given


def _alike(objects: Objects) -> dict[str, tuple[str, ...]]:
    """Makes the definitions of monthly partitions, and of what is theirs, alike; returns their months.

    Such a partition is named parent_2026_11 and holds that month in UTC.
    """
    months: dict[str, list[str]] = {}
    for table, definition in objects.get("table", {}).items():
        parent, _, month = table.rpartition("_")[0].rpartition("_")[0], "", table[-7:]
        if not re.fullmatch(r"\d{4}_(0[1-9]|1[0-2])", month) or definition.get("part of") != [parent]:
            continue
        months.setdefault(f"{parent}_{MONTH}", []).append(month)
        if definition["bounds"] == bounds(month):
            objects["table"][table] = {**definition, "bounds": "its month in UTC"}
    shared = {name: tuple(sorted(its)) for name, its in months.items()}
    for kind, named in objects.items():
        for name, definition in named.items():
            partition = _partition(name, shared)
            if partition:
                text = json.dumps(definition).replace(partition, partition[:-7] + MONTH)
                objects[kind][name] = json.loads(text)
    return shared


def bounds(month: str) -> str:
    """The bounds of the partition that holds `month` ("2026_11") in UTC, as the catalogue shows them there."""
    year, number = int(month[:4]), int(month[5:])
    after = f"{year + number // 12}-{number % 12 + 1:02d}"
    return f"FOR VALUES FROM ('{year}-{number:02d}-01 00:00:00+00') TO ('{after}-01 00:00:00+00')"


def _partition(name: str, months: Mapping[str, tuple[str, ...]]) -> str | None:
    """The monthly partition that an object of this name is or belongs to."""
    for shared, its in months.items():
        stem = shared.removesuffix(MONTH)
        found = re.search(rf"(?:^| ){re.escape(stem)}(\d{{4}}_\d\d)(?![a-z0-9_])", name)
        if found and found[1] in its:
            return stem + found[1]
    return None


def _shared(name: str, months: Mapping[str, tuple[str, ...]]) -> str:
    partition = _partition(name, months)
    return name.replace(partition, partition[:-7] + MONTH) if partition else name
