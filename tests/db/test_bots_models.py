"""The models of bots as an application uses them: every table by its own login, no text as SQL, few statements."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event, func, inspect, select
from sqlalchemy.orm import Session as DatabaseSession

from db import engine
from db.apps.bots import documents, enums
from db.apps.bots.models import (
    ActivityLog,
    ApiKey,
    Base,
    Bot,
    BotLog,
    BotRun,
    Credential,
    Notification,
    OrganizationMember,
    Role,
    RolePermission,
    Session,
    SessionRecording,
    Setting,
    Task,
    Workflow,
    WorkflowRun,
)
from db.apps.bots.queries import accounts, bots, credentials, lists
from db.bulk import copy_rows
from db.encryption import Keyring
from db.errors import BulkError
from db.soft_delete import SoftDelete, soft_delete
from db.tenancy import tenant
from db.urls import DatabaseURL
from tests.db.bots_world import OURS, SYSTEM_ROLE, THEIRS, migrated
from tests.db.conftest import Prepare

TOMORROW = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
# model: a row of it, and a change; users and organizations are made by signing up (test_bots_queries.py)
ROWS: dict[type[Base], tuple[dict[str, object], dict[str, object]]] = {
    Role: ({"name": "Helper"}, {"description": "helps"}),
    OrganizationMember: ({"user_id": THEIRS.user, "role_id": SYSTEM_ROLE}, {"joined_at": TOMORROW}),
    Session: (
        {"user_id": OURS.user, "token_hash": bytes(32), "expires_at": TOMORROW},
        {"user_agent": "a browser"},
    ),
    ApiKey: ({"name": "CI", "prefix": "bots_", "key_hash": bytes(32), "scopes": ["bots:run"]}, {"scopes": []}),
    Setting: ({"key": "theme", "value": {"dark": True}}, {"value": "light"}),
    Bot: (
        {"name": "B", "slug": "b", "config": documents.BotConfig(headless=False), "schedule": "@daily"},
        {"config": documents.BotConfig(timezone="Europe/Berlin")},
    ),
    BotRun: ({"bot_id": OURS.bot, "input": {"page": 1}}, {"status": enums.RunStatus.RUNNING}),
    BotLog: ({"bot_id": OURS.bot, "message": "said", "context": documents.LogContext(step=2)}, {}),
    Workflow: (
        {"name": "W", "slug": "w", "definition": documents.WorkflowDefinition()},
        {"status": enums.WorkflowStatus.ACTIVE},
    ),
    WorkflowRun: ({"workflow_id": OURS.workflow}, {"current_step": "first"}),
    Task: (
        {"title": "T", "assignee_id": OURS.user, "priority": enums.TaskPriority.HIGH},
        {"status": enums.TaskStatus.DONE, "completed_at": TOMORROW},
    ),
    Credential: (
        {"name": "C", "type": enums.CredentialType.COOKIE, "secret": bytes(64), "bot_id": OURS.bot},
        {"details": documents.CredentialDetails(username="ann")},
    ),
    SessionRecording: (
        {"bot_run_id": OURS.run, "events": [{"type": 4}]},
        {"status": enums.RecordingStatus.COMPLETE, "ended_at": TOMORROW},
    ),
    Notification: ({"user_id": OURS.user, "title": "N"}, {"read_at": TOMORROW}),
    ActivityLog: ({"action": enums.ActivityAction.EXPORTED, "entity_type": "bots", "entity_id": OURS.bot}, {}),
}
HOSTILE = (
    "'; DROP TABLE bots.bots; --",
    '" OR ""="',
    "x\\'; SELECT pg_sleep(60); --",
    "%' OR '1'='1",
    "$1 %s %(name)s :name {0} $$",
)


@pytest.fixture(scope="module")
def source(prepare: Prepare) -> Engine:
    return engine.unpooled(DatabaseURL.parse(migrated(prepare).app_url))


@pytest.fixture
def us(source: Engine) -> Iterator[DatabaseSession]:
    with DatabaseSession(source) as session, tenant(session, OURS.organization, OURS.user):
        yield session
        session.rollback()


@pytest.fixture
def statements(us: DatabaseSession) -> list[str]:
    """The statements that the session sends from now on."""
    sent: list[str] = []
    event.listen(us.connection(), "before_cursor_execute", lambda *about: sent.append(str(about[2])))
    return sent


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(it, id=it.__tablename__, marks=pytest.mark.requirement(f"bots.tables.{it.__tablename__}"))
        for it in ROWS
    ],
)
@pytest.mark.requirement("bots.P0.crud", "bots.P0.schema-definitions")
def test_the_application_makes_reads_changes_and_deletes_a_row(us: DatabaseSession, model: type[Base]) -> None:
    values, change = ROWS[model]
    made = model(organization_id=OURS.organization, **values)
    us.add(made)
    us.flush()
    by_key = [
        column == value for column, value in zip(inspect(model).primary_key, inspect(made).identity or (), strict=True)
    ]

    def read() -> Base | None:
        us.expire_all()
        return us.scalar(select(model).where(*by_key))

    found = read()
    shown = {name: value for name, value in values.items() if name not in ("token_hash", "key_hash")}
    assert {name: getattr(found, name) for name in shown} == shown
    for name, value in change.items():
        setattr(found, name, value)
    us.flush()
    assert {name: getattr(read(), name) for name in change} == change
    if isinstance(made, SoftDelete):
        soft_delete(us, made)
        assert read() is None
    elif model is Session:
        us.delete(made)
        us.flush()
        assert read() is None


@pytest.mark.requirement("bots.P0.crud", "bots.tables.permissions")
def test_a_role_is_given_a_permission_and_loses_it(us: DatabaseSession) -> None:
    permission = us.get_one(Role, SYSTEM_ROLE).permissions[0]
    link = RolePermission(role_id=OURS.role, permission_id=permission.id, organization_id=OURS.organization)
    us.add(link)
    us.flush()
    role = us.get_one(Role, OURS.role)
    assert [it.key for it in role.permissions] == ["bots:run"]
    us.delete(link)
    us.flush()
    us.expire_all()

    assert role.permissions == []


def test_every_table_is_tried() -> None:
    made_elsewhere = {"users", "organizations", "permissions", "role_permissions"}
    tried = {model.__tablename__ for model in ROWS} | made_elsewhere

    assert {it.name for it in Base.metadata.sorted_tables if not it.name.endswith("_history")} == tried


@pytest.mark.requirement("bots.P2.row-level-security", "bots.performance.batch-insert")
def test_rows_in_bulk_are_the_organizations_own_or_none(us: DatabaseSession) -> None:
    def row(number: int, owner: uuid.UUID) -> dict[str, object]:
        return {"organization_id": owner, "name": "x", "slug": f"x-{number}", "config": documents.BotConfig()}

    assert copy_rows(us, Bot, [row(number, OURS.organization) for number in range(50)]) == 50
    assert set(us.scalars(select(Bot.created_by_id))) == {OURS.user}
    with pytest.raises(BulkError, match="violates row-level security"):
        copy_rows(us, Bot, [row(50, OURS.organization), row(51, THEIRS.organization)])
    assert us.scalar(select(func.count()).select_from(Bot)) == 52


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.requirement("bots.security.parameterized", "bots.stories.parameterized", "bots.problem.injection")
def test_a_text_is_a_value_and_never_a_part_of_a_statement(
    us: DatabaseSession, statements: list[str], text: str
) -> None:
    bot, _ = bots.create_bot_with_initial_run(us, Bot(name=text, slug="new", config=documents.BotConfig()))
    us.expire_all()

    assert us.scalars(select(Bot.name).where(Bot.name == text)).one() == text == bot.name
    bots.search_bots(us, text)
    assert credentials.read_secret(us, Keyring({"k": bytes(32)}), text) is None
    assert accounts.find_sign_in(us, text) is None
    assert accounts.find_session(us, text) is None
    assert accounts.find_api_key(us, text) is None
    assert us.scalar(select(func.count()).select_from(Bot)) == 3
    assert len(statements) > 6
    assert not [it for it in statements if text in it]


@pytest.mark.requirement("bots.risks.n-plus-one")
def test_a_bot_with_its_runs_and_author_is_two_statements_however_many_runs(
    us: DatabaseSession, statements: list[str]
) -> None:
    us.add_all(BotRun(organization_id=OURS.organization, bot_id=OURS.bot) for _ in range(20))
    us.flush()
    us.expunge_all()
    statements.clear()

    found = bots.get_bot_with_runs(us, OURS.bot)

    assert found is not None
    assert (found.bot.created_by.name, len([it.status for it in found.runs])) == ("Ms pelican", 10)
    assert len(statements) == 2


@pytest.mark.requirement("bots.risks.n-plus-one", "bots.patterns.list-bots")
def test_a_page_of_bots_is_two_statements_however_many_bots(us: DatabaseSession, statements: list[str]) -> None:
    us.add_all(Bot(organization_id=OURS.organization, name="x", slug=f"x-{it}", config=documents.BotConfig())
               for it in range(30))  # fmt: skip
    us.flush()
    us.expunge_all()
    statements.clear()

    assert len([it.config.headless for it in lists.list_bots(us).data]) == 20
    assert len(statements) == 2
