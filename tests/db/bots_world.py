"""Two organizations with the same things in each, for the tests of bots: what one has, the other must not see."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.types.json import Jsonb

from db import migrations
from tests.db.conftest import Connection, Prepare, Prepared

SYSTEM_ROLE = uuid.UUID(int=99)
CONFIG = {"version": 1}


@dataclass(frozen=True)
class World:
    """An organization and one row of every table in it; `number` tells the two apart."""

    number: int

    def __getattr__(self, name: str) -> uuid.UUID:
        kinds = (
            "user", "organization", "member", "role", "session", "api_key", "setting", "bot", "run", "credential",
            "recording", "workflow", "workflow_run", "task", "notification", "log", "activity", "other_bot",
        )  # fmt: skip
        if name not in kinds:
            raise AttributeError(name)
        return uuid.UUID(int=self.number * 100 + kinds.index(name))

    @property
    def word(self) -> str:
        """What names and texts of this organization have in them, and the other's have not."""
        return {1: "pelican", 2: "walrus"}[self.number]


OURS, THEIRS = World(1), World(2)


def migrated(prepare: Prepare) -> Prepared:
    """A migrated database with both organizations in it, written by the owner."""
    prepared = prepare("bots")
    migrations.upgrade("bots", prepared.owner_url, report=lambda _: None)
    fill(prepared)
    return prepared


def fill(prepared: Prepared) -> None:
    """The rows of both organizations."""
    with psycopg.connect(prepared.owner_url) as owner:
        owner.execute("INSERT INTO roles (id, name) VALUES (%s, 'owner')", (SYSTEM_ROLE,))
        owner.execute("INSERT INTO permissions (key, description) VALUES ('bots:run', 'Run bots')")
        owner.execute(
            "INSERT INTO role_permissions (role_id, permission_id) SELECT %s, id FROM permissions", (SYSTEM_ROLE,)
        )
        for world in (OURS, THEIRS):
            for table, values in _rows(world):
                names, places = ", ".join(values), ", ".join(f"%({name})s" for name in values)
                owner.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", values)


def _rows(it: World) -> Iterator[tuple[str, dict[str, object]]]:
    org, word = it.organization, it.word
    yield (
        "users",
        {"id": it.user, "email": f"{word}@example.com", "name": f"Ms {word}", "password_hash": f"hash {word}"},
    )
    yield "organizations", {"id": org, "name": f"The {word}s", "slug": word}
    yield "roles", {"id": it.role, "organization_id": org, "name": f"keeper of {word}s"}
    yield (
        "organization_members",
        {"id": it.member, "organization_id": org, "user_id": it.user, "role_id": SYSTEM_ROLE, "status": "active"},
    )
    yield (
        "sessions",
        {
            "id": it.session, "user_id": it.user, "organization_id": org, "token_hash": bytes([it.number]) * 32,
            "expires_at": "2999-01-01Z",
        },
    )  # fmt: skip
    own = {"organization_id": org, "created_by_id": it.user}
    yield "api_keys", {"id": it.api_key, "name": word, "prefix": word, "key_hash": bytes([it.number]) * 32, **own}
    yield "settings", {"id": it.setting, "key": "colour", "value": Jsonb(word), **own}
    bot = {"description": f"counts every {word}", "config": Jsonb(CONFIG), **own}
    yield "bots", {"id": it.bot, "name": f"Counter of {word}s", "slug": "counter", **bot}
    yield "bots", {"id": it.other_bot, "name": f"Feeder of {word}s", "slug": "feeder", **bot}
    yield "workflows", {
        "id": it.workflow, "name": f"Day of a {word}", "slug": "day", "definition": Jsonb(CONFIG), **own,
    }  # fmt: skip
    yield "workflow_runs", {"id": it.workflow_run, "workflow_id": it.workflow, **own}
    yield "bot_runs", {"id": it.run, "bot_id": it.bot, "workflow_run_id": it.workflow_run, **own}
    yield "credentials", {
        "id": it.credential, "bot_id": it.bot, "name": word, "type": "password", "secret": word.encode() * 9, **own,
    }  # fmt: skip
    yield "session_recordings", {"id": it.recording, "bot_run_id": it.run, "page_url": word, **own}
    yield "tasks", {"id": it.task, "bot_id": it.bot, "assignee_id": it.user, "title": f"Feed the {word}", **own}
    yield "notifications", {"id": it.notification, "user_id": it.user, "title": f"The {word} is fed", **own}
    yield "bot_logs", {
        "id": it.log, "organization_id": org, "bot_id": it.bot, "bot_run_id": it.run, "message": f"saw a {word}",
    }  # fmt: skip
    yield "activity_logs", {
        "id": it.activity, "organization_id": org, "actor_id": it.user, "action": "ran", "entity_type": word,
    }  # fmt: skip


@contextmanager
def acting(url: str, world: World | None, *, user: bool = True, writing: bool = False) -> Iterator[Connection]:
    """A connection in a transaction of `world` (None: nobody's), rolled back at the end; `writing` undoes read-only."""
    with psycopg.connect(url, prepare_threshold=None) as connection:
        if writing:
            connection.execute("SET TRANSACTION READ WRITE")
        if world is not None:
            connection.execute(
                "SELECT set_config('app.organization_id', %s, true), set_config('app.user_id', %s, true)",
                (str(world.organization), str(world.user) if user else ""),
            )
        yield connection
        connection.rollback()


def one(connection: Connection, query: str, *values: object) -> object:
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def add_bot(us: Connection, **values: object) -> uuid.UUID:
    row = {"organization_id": OURS.organization, "name": "a bot", "slug": "a-bot", "config": "{}", **values}
    names, places = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    [(bot,)] = us.execute(f"INSERT INTO bots ({names}) VALUES ({places}) RETURNING id", row).fetchall()
    return uuid.UUID(str(bot))
