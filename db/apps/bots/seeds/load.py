"""Rows to measure with: 10 organizations of 100 people, 100,000 bots, and 100,000 or more of all that bots make.

Organization i has the users, bots and everything else whose number ends in i. Instants begin in January 2026, so that a
row is the same whenever it is written; the partitions that the logs need are made first, whatever month it is.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from db.apps.bots.documents import BotConfig, LogContext, Step, WorkflowDefinition
from db.apps.bots.enums import (
    ActivityAction,
    LogLevel,
    MemberStatus,
    NotificationType,
    RunStatus,
    RunTrigger,
    TaskPriority,
)
from db.apps.bots.models import (
    ActivityLog,
    Bot,
    BotLog,
    BotRun,
    Notification,
    Organization,
    OrganizationMember,
    Task,
    User,
    Workflow,
    WorkflowRun,
)
from db.apps.bots.seeds import base
from db.seeds.generated import Generated
from db.seeds.rows import key

ORGANIZATIONS, USERS, BOTS, RUNS = 10, 1_000, 100_000, 200_000
WORKFLOWS, EACH = 1_000, 100_000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NEXT = datetime(2100, 1, 1, tzinfo=UTC)  # so that no worker takes the bots for due ones
_HURRIED = 3  # the organization whose tasks have high priority
_WORDS = ("price", "invoice", "stock", "review", "ticket", "news", "flight", "hotel", "weather", "order", "account")
_VERBS = ("watch", "fetch", "compare", "check", "export", "archive", "count")
_CONFIG = BotConfig(start_url="https://example.com", steps=[Step(action="open", target="https://example.com")])
_CONTEXT = LogContext(step=1)
_DEFINITION = WorkflowDefinition()

ROWS = base.ROWS  # memberships have its roles
PREPARE = tuple(
    f"SELECT bots.make_partition('{table}', '2026-0{month}-01')"
    for table in ("bot_logs", "activity_logs")
    for month in (1, 2)
)


def _id(table: str, number: int) -> UUID:
    return key("bots", "load", table, str(number))


_ORGANIZATION = [_id("organizations", it) for it in range(ORGANIZATIONS)]
_USER = [_id("users", it) for it in range(USERS)]


def _own(number: int) -> dict[str, Any]:
    return {"organization_id": _ORGANIZATION[number % ORGANIZATIONS]}


def _authored(number: int, seconds: int = 20) -> dict[str, Any]:
    at = BEGAN + timedelta(seconds=number * seconds)
    return {**_own(number), "created_by_id": _USER[number % USERS], "created_at": at, "updated_at": at}


def _words(number: int) -> str:
    return f"{_WORDS[number % len(_WORDS)]} {_VERBS[number % len(_VERBS)]}"


def _organization(number: int) -> dict[str, Any]:
    return {"id": _ORGANIZATION[number], "name": f"Load {number}", "slug": f"load-{number}"}


def _user(number: int) -> dict[str, Any]:
    return {"id": _USER[number], "email": f"user{number}@load.example", "name": f"User {number}"}


def _member(number: int) -> dict[str, Any]:
    name = "owner" if number < ORGANIZATIONS else "builder"
    member = {"id": _id("members", number), **_own(number), "user_id": _USER[number], "role_id": base.role(name)}
    return {**member, "status": MemberStatus.ACTIVE}


def _bot(number: int) -> dict[str, Any]:
    return {
        "id": _id("bots", number),
        "name": f"Bot {number} to {_words(number)}",
        "slug": f"bot-{number}",
        "description": f"Does the {_words(number // 7)} of department {number % 97}",
        "is_active": number % 20 != 0,
        "next_run_at": NEXT + timedelta(seconds=number),
        "config": _CONFIG,
        **_authored(number),
    }


def _workflow(number: int) -> dict[str, Any]:
    return {
        "id": _id("workflows", number),
        "name": f"Workflow {number}: {_words(number)}",
        "slug": f"workflow-{number}",
        "definition": _DEFINITION,
        **_authored(number),
    }


def _run(number: int) -> dict[str, Any]:
    start = BEGAN + timedelta(seconds=number * 10)
    failed = number % 17 == 0
    return {
        "id": _id("runs", number),
        **_own(number),
        "bot_id": _id("bots", number % BOTS),
        "status": RunStatus.FAILED if failed else RunStatus.SUCCEEDED,
        "trigger": RunTrigger.SCHEDULE,
        "started_at": start,
        "finished_at": start + timedelta(seconds=5 + number % 60),
        "created_at": start,
        "updated_at": start,
    }


def _workflow_run(number: int) -> dict[str, Any]:
    start = BEGAN + timedelta(seconds=number * 20)
    return {
        "id": _id("workflow runs", number),
        **_own(number),
        "workflow_id": _id("workflows", number % WORKFLOWS),
        "status": RunStatus.SUCCEEDED,
        "started_at": start,
        "finished_at": start + timedelta(minutes=1),
    }


def _log(number: int) -> dict[str, Any]:
    return {
        "id": _id("logs", number),
        **_own(number),
        "bot_id": _id("bots", number % BOTS),
        "bot_run_id": _id("runs", number % RUNS),
        "level": LogLevel.ERROR if number % 17 == 0 else LogLevel.INFO,
        "message": f"step {number % 9} of {_words(number)}",
        "context": _CONTEXT,
        "created_at": BEGAN + timedelta(seconds=number * 10),
    }


def _task(number: int) -> dict[str, Any]:
    return {
        "id": _id("tasks", number),
        "bot_id": _id("bots", number),
        "assignee_id": _USER[number % USERS],
        "title": f"Look at {_words(number)} {number}",
        "priority": TaskPriority.HIGH if number % 10 == _HURRIED else TaskPriority.NORMAL,
        **_authored(number),
    }


def _notification(number: int) -> dict[str, Any]:
    return {
        "id": _id("notifications", number),
        "user_id": _USER[number % USERS],
        "type": NotificationType.INFO,
        "title": f"Run {number} of {_words(number)} is done",
        **_authored(number),
    }


def _activity(number: int) -> dict[str, Any]:
    return {
        "id": _id("activities", number),
        **_own(number),
        "actor_id": _USER[number % USERS],
        "action": ActivityAction.RAN if number % 3 else ActivityAction.UPDATED,
        "entity_type": "bots",
        "entity_id": _id("bots", number),
        "created_at": BEGAN + timedelta(seconds=number * 20),
    }


GENERATED = (
    Generated(User, USERS, _user),
    Generated(Organization, ORGANIZATIONS, _organization),
    Generated(OrganizationMember, USERS, _member),
    Generated(Bot, BOTS, _bot),
    Generated(Workflow, WORKFLOWS, _workflow),
    Generated(WorkflowRun, EACH, _workflow_run),
    Generated(BotRun, RUNS, _run),
    Generated(BotLog, RUNS, _log),
    Generated(Task, EACH, _task),
    Generated(Notification, EACH, _notification),
    Generated(ActivityLog, EACH, _activity),
)
