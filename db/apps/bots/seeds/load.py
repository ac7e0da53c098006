"""Rows to measure with: 10 organizations, and 100,000 rows of all that people and bots make.

Organization i has the users, bots and everything else whose number ends in i; the first 1,000 users made it all, and
the first 10,000 bots and workflows ran. Small stay organizations, their API keys and settings, and roles with their
permissions, which are a product's choice and come with `base`; histories fill by changes, of which a seed makes none.
Instants begin in January 2026, so that a row is the same whenever it is written; the partitions that the logs need are
made first, whatever month it is. Nobody signs in with these rows: no hash is one of a known token, no secret opens with
any key.
"""

import json
from typing import Any
from uuid import UUID

from db.apps.bots.documents import BotConfig, LogContext, Step, WorkflowDefinition
from db.apps.bots.enums import CredentialType
from db.apps.bots.models import (
    ActivityLog,
    ApiKey,
    Bot,
    BotLog,
    BotRun,
    Credential,
    Notification,
    Organization,
    OrganizationMember,
    Session,
    SessionRecording,
    Setting,
    Task,
    User,
    Workflow,
    WorkflowRun,
)
from db.apps.bots.seeds import base
from db.documents import Document
from db.seeds.generated import Generated, one_of
from db.seeds.rows import key, key_sql

ORGANIZATIONS, AUTHORS, EACH = 10, 1_000, 100_000
_HURRIED = 3  # the organization whose tasks have high priority
WORDS = ("price", "invoice", "stock", "review", "ticket", "news", "flight", "hotel", "weather", "order", "account")
VERBS = ("watch", "fetch", "compare", "check", "export", "archive", "count")

ROWS = base.ROWS  # memberships have its roles
PREPARE = tuple(
    f"SELECT bots.make_partition('{table}', '2026-0{month}-01')"
    for table in ("bot_logs", "activity_logs")
    for month in (1, 2)
)


def _id(table: str, number: int) -> UUID:
    return key("bots", "load", table, str(number))


def _sql(table: str, number: str = "n") -> str:
    """SQL for `_id`."""
    return key_sql(number, "bots", "load", table)


_ORGANIZATION = [_id("organizations", it) for it in range(ORGANIZATIONS)]
_USER = [_id("users", it) for it in range(AUTHORS)]
_OWNER, _BUILDER = base.role("owner"), base.role("builder")
_AUTHOR = _sql("users", f"n % {AUTHORS}")
_OWN = {"organization_id": _sql("organizations", f"n % {ORGANIZATIONS}")}
_BUSY = (
    f"n % {ORGANIZATIONS} + n / 100 * {ORGANIZATIONS}"  # bot or workflow of a run: ten runs each, in its organization
)
_AT = "timestamptz '2026-01-01 00:00+00' + n * interval '20 seconds'"
_STAMPS = {"created_at": _AT, "updated_at": _AT}
_STAMPED = {**_OWN, **_STAMPS}  # what the product made by itself
_AUTHORED = {**_STAMPED, "created_by_id": _AUTHOR}


def _words(number: str = "n") -> str:
    return f"{one_of(WORDS, number)} || ' ' || {one_of(VERBS, number)}"


def _hash(table: str) -> str:
    """32 bytes that are no SHA-256 of anything known."""
    return f"decode(md5('{table} ' || n) || md5(n || ' {table}'), 'hex')"


def _json(value: Document) -> str:
    column: dict[str, Any] = {"version": value.document_version, **value.model_dump(mode="json")}
    return f"'{json.dumps(column)}'"


def generated(each: int = EACH) -> tuple[Generated, ...]:
    """The set with `each` rows a table, 1,000 or more."""
    return (
        Generated(
            User,
            each,
            {
                "id": _sql("users"),
                "email": "'user' || n || '@load.example'",
                "name": "'User ' || n",
                "created_at": _AT,
                "updated_at": _AT,
            },
        ),
        Generated(
            Organization,
            ORGANIZATIONS,
            {
                "id": _sql("organizations"),
                "name": "'Load ' || n",
                "slug": "'load-' || n",
                **_STAMPS,
            },
        ),
        Generated(
            OrganizationMember,
            each,
            {
                "id": _sql("members"),
                **_STAMPED,
                "user_id": _sql("users"),
                "role_id": f"CASE WHEN n < {ORGANIZATIONS} THEN '{_OWNER}' ELSE '{_BUILDER}' END",
                "status": "'active'",
            },
        ),
        Generated(
            Session,
            each,
            {
                "id": _sql("sessions"),
                **_OWN,
                "user_id": _sql("users"),
                "token_hash": _hash("sessions"),
                "ip_address": "'192.0.2.' || n % 256",
                "user_agent": "'load'",
                "last_seen_at": _AT,
                "expires_at": f"CASE WHEN n % 10 = 9 THEN {_AT} ELSE timestamptz '2100-01-01 00:00+00' END",
                "created_at": _AT,
                "updated_at": _AT,
            },
        ),
        Generated(
            Setting,
            each // 10,
            {"id": _sql("settings"), "user_id": _sql("users"), "key": "'theme'", "value": "'\"dark\"'", **_STAMPED},
        ),
        Generated(
            ApiKey,
            each // 100,
            {
                "id": _sql("api keys"),
                "name": "'Key ' || n",
                "prefix": "'load_' || n",
                "key_hash": _hash("api keys"),
                **_AUTHORED,
            },
        ),
        Generated(
            Bot,
            each,
            {
                "id": _sql("bots"),
                "name": f"'Bot ' || n || ' to ' || {_words()}",
                "slug": "'bot-' || n",
                "description": f"'Does the ' || {_words('n / 7')} || ' of department ' || n % 97",
                "is_active": "n % 20 <> 0",
                # so that no worker takes them for due ones
                "next_run_at": "timestamptz '2100-01-01 00:00+00' + n * interval '1 second'",
                "config": _json(
                    BotConfig(
                        start_url="https://example.com", steps=[Step(action="open", target="https://example.com")]
                    )
                ),
                **_AUTHORED,
            },
        ),
        Generated(
            Credential,
            each,
            {
                "id": _sql("credentials"),
                "bot_id": _sql("bots"),
                "name": "'Login of bot ' || n",
                "type": one_of(tuple(CredentialType)),
                "secret": _hash("credentials"),
                **_AUTHORED,
            },
        ),
        Generated(
            Workflow,
            each,
            {
                "id": _sql("workflows"),
                "name": f"'Workflow ' || n || ': ' || {_words()}",
                "slug": "'workflow-' || n",
                "definition": _json(WorkflowDefinition()),
                **_AUTHORED,
            },
        ),
        Generated(
            WorkflowRun,
            each,
            {
                "id": _sql("workflow runs"),
                **_STAMPED,
                "workflow_id": _sql("workflows", _BUSY),
                "status": "'succeeded'",
                "started_at": _AT,
                "finished_at": f"{_AT} + interval '1 minute'",
            },
        ),
        Generated(
            BotRun,
            each,
            {
                "id": _sql("runs"),
                **_OWN,
                "bot_id": _sql("bots", _BUSY),
                "status": "CASE WHEN n % 17 = 0 THEN 'failed' ELSE 'succeeded' END",
                "trigger": "'schedule'",
                "started_at": _AT,
                "finished_at": f"{_AT} + (5 + n % 60) * interval '1 second'",
                "created_at": _AT,
                "updated_at": _AT,
            },
        ),
        Generated(
            SessionRecording,
            each,
            {
                "id": _sql("recordings"),
                "bot_run_id": _sql("runs"),
                "status": "'complete'",
                "events": '\'[{"type": "open", "at": 0}, {"type": "click", "at": \' || 1 + n % 60 || \'}]\'',
                "page_url": "'https://example.com/' || n",
                "started_at": _AT,
                "ended_at": f"{_AT} + interval '1 minute'",
                **_STAMPED,
            },
        ),
        Generated(
            BotLog,
            each,
            {
                "id": _sql("logs"),
                **_OWN,
                "bot_id": _sql("bots", _BUSY),
                "bot_run_id": _sql("runs"),
                "level": "CASE WHEN n % 17 = 0 THEN 'error' ELSE 'info' END",
                "message": f"'step ' || n % 9 || ' of ' || {_words()}",
                "context": _json(LogContext(step=1)),
                "created_at": _AT,
            },
        ),
        Generated(
            Task,
            each,
            {
                "id": _sql("tasks"),
                "bot_id": _sql("bots"),
                "assignee_id": _AUTHOR,
                "title": f"'Look at ' || {_words()} || ' ' || n",
                "priority": f"CASE WHEN n % {ORGANIZATIONS} = {_HURRIED} THEN 'high' ELSE 'normal' END",
                **_STAMPED,
            },
        ),
        Generated(
            Notification,
            each,
            {
                "id": _sql("notifications"),
                "user_id": _AUTHOR,
                "title": f"'Run ' || n || ' of ' || {_words()} || ' is done'",
                **_STAMPED,
            },
        ),
        Generated(
            ActivityLog,
            each,
            {
                "id": _sql("activities"),
                **_OWN,
                "actor_id": _AUTHOR,
                "action": "CASE WHEN n % 3 = 0 THEN 'updated' ELSE 'ran' END",
                "entity_type": "'bots'",
                "entity_id": _sql("bots"),
                "created_at": _AT,
            },
        ),
    )


GENERATED = generated()
