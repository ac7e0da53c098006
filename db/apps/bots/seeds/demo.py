"""Acme, an organization to look at: two people, three bots with runs, a workflow, tasks and notifications.

Nobody can sign in as them: they have no password. There is no credential either: it would need the application's key.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from db.apps.bots.documents import BotConfig, NotificationData, Step, WorkflowDefinition, WorkflowStep
from db.apps.bots.enums import (
    MemberStatus,
    NotificationType,
    OrganizationPlan,
    RunStatus,
    RunTrigger,
    TaskPriority,
    TaskStatus,
    WorkflowStatus,
)
from db.apps.bots.models import (
    Bot,
    BotRun,
    Notification,
    Organization,
    OrganizationMember,
    Setting,
    Task,
    User,
    Workflow,
    WorkflowRun,
)
from db.apps.bots.seeds.base import role
from db.seeds.rows import key

BEGAN = datetime(2026, 1, 5, 8, tzinfo=UTC)
_BROKEN = 2  # the day on which the runs fail


def _id(*parts: str) -> UUID:
    return key("bots", "demo", *parts)


ACME = _id("organizations", "acme")
ADA, BEN = _id("users", "ada"), _id("users", "ben")
_BOTS = {
    "price-watch": (
        "Price watch",
        "Reads competitors' prices every morning and notes what changed",
        "0 6 * * 1-5",
        [Step(action="open", target="https://shop.example.com"), Step(action="extract", target=".price")],
    ),
    "invoice-fetcher": (
        "Invoice fetcher",
        "Signs in to the suppliers' portals and downloads new invoices",
        "@daily",
        [Step(action="open", target="https://portal.example.com"), Step(action="click", target="#invoices")],
    ),
    "uptime-check": ("Uptime check", None, None, [Step(action="open", target="https://www.example.com")]),
}

ROWS = (
    User(id=ADA, email="ada@acme.example", name="Ada Acme"),
    User(id=BEN, email="ben@acme.example", name="Ben Builder"),
    Organization(
        id=ACME,
        name="Acme",
        slug="acme-demo",
        plan=OrganizationPlan.PRO,
    ),
    *(
        OrganizationMember(
            id=_id("members", name),
            organization_id=ACME,
            user_id=user,
            role_id=role(as_role),
            status=MemberStatus.ACTIVE,
            joined_at=BEGAN,
        )
        for name, user, as_role in (("ada", ADA, "owner"), ("ben", BEN, "builder"))
    ),
    Setting(
        id=_id("settings", "timezone"),
        key="timezone",
        value="Europe/Berlin",
        organization_id=ACME,
        created_by_id=ADA,
    ),
    *(
        Bot(
            id=_id("bots", slug),
            name=name,
            slug=slug,
            description=description,
            schedule=schedule,
            config=BotConfig(steps=steps, timezone="Europe/Berlin"),
            organization_id=ACME,
            created_by_id=ADA,
        )
        for slug, (name, description, schedule, steps) in _BOTS.items()
    ),
    Workflow(
        id=_id("workflows", "morning"),
        name="Morning round",
        slug="morning-round",
        description="Prices first, then the invoices",
        status=WorkflowStatus.ACTIVE,
        definition=WorkflowDefinition(
            steps=[
                WorkflowStep(name="prices", bot_id=_id("bots", "price-watch")),
                WorkflowStep(name="invoices", bot_id=_id("bots", "invoice-fetcher"), after=["prices"]),
            ]
        ),
        organization_id=ACME,
        created_by_id=ADA,
    ),
    WorkflowRun(
        id=_id("workflow runs", "1"),
        organization_id=ACME,
        workflow_id=_id("workflows", "morning"),
        status=RunStatus.SUCCEEDED,
        trigger=RunTrigger.MANUAL,
        started_at=BEGAN,
        finished_at=BEGAN + timedelta(minutes=4),
    ),
    *(
        BotRun(
            id=_id("runs", slug, f"{day}"),
            organization_id=ACME,
            bot_id=_id("bots", slug),
            status=RunStatus.FAILED if day == _BROKEN else RunStatus.SUCCEEDED,
            trigger=RunTrigger.SCHEDULE,
            output=None if day == _BROKEN else {"rows": 10 * day + len(slug)},
            error_message="the page did not load within 300 s" if day == _BROKEN else None,
            started_at=BEGAN + timedelta(days=day),
            finished_at=BEGAN + timedelta(days=day, seconds=90),
        )
        for slug in _BOTS
        for day in range(4)
    ),
    Task(
        id=_id("tasks", "captcha"),
        bot_id=_id("bots", "invoice-fetcher"),
        assignee_id=BEN,
        title="Solve the supplier's captcha",
        description="The portal asked for one; the bot waits for it",
        status=TaskStatus.OPEN,
        priority=TaskPriority.HIGH,
        organization_id=ACME,
        created_by_id=ADA,
    ),
    Notification(
        id=_id("notifications", "captcha"),
        user_id=BEN,
        type=NotificationType.TASK,
        title="A bot needs you",
        data=NotificationData(entity_type="tasks", entity_id=_id("tasks", "captcha")),
        organization_id=ACME,
        created_by_id=ADA,
    ),
)
