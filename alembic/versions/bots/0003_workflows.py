"""Workflows, their runs, tasks for people, and notifications.

Purpose: several bots and people work together: who has to do what, and who is told
Ticket: N/A
Reversible: Yes
Rollback: alembic -n bots downgrade 0002_bots
"""

from alembic import op

revision = "0003_workflows"
down_revision = "0002_bots"
branch_labels = None
depends_on = None

ENUMS = {
    "workflow_status": ("draft", "active", "paused", "archived"),
    "task_status": ("open", "in_progress", "done", "cancelled"),
    "task_priority": ("low", "normal", "high", "urgent"),
    "notification_type": ("info", "success", "warning", "error", "task"),
}
TABLES = ("workflows", "workflow_runs", "tasks", "notifications")
STAMPS = """
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    created_by_id uuid,
    updated_by_id uuid,
    deleted_by_id uuid"""


def upgrade() -> None:
    for name, values in ENUMS.items():
        listed = ", ".join(f"'{value}'" for value in values)
        op.execute(f"CREATE TYPE bots.{name} AS ENUM ({listed})")
    op.execute(f"""
CREATE TABLE bots.workflows (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_workflows PRIMARY KEY,
    organization_id uuid NOT NULL CONSTRAINT fk_workflows_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    name text NOT NULL CONSTRAINT ck_workflows_name CHECK (char_length(name) BETWEEN 1 AND 200),
    description text,
    slug text NOT NULL CONSTRAINT ck_workflows_slug CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    status bots.workflow_status NOT NULL DEFAULT 'draft',
    definition jsonb NOT NULL CONSTRAINT ck_workflows_definition CHECK (jsonb_typeof(definition) = 'object'),
    {STAMPS},
    CONSTRAINT uq_workflows_organization_id_id UNIQUE (organization_id, id),
    {_by_members("workflows")}
)""")
    op.execute(
        "CREATE UNIQUE INDEX uq_workflows_slug ON bots.workflows (organization_id, slug) WHERE deleted_at IS NULL"
    )
    op.execute(f"""
CREATE TABLE bots.workflow_runs (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_workflow_runs PRIMARY KEY,
    organization_id uuid NOT NULL CONSTRAINT fk_workflow_runs_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    workflow_id uuid NOT NULL,
    status bots.run_status NOT NULL DEFAULT 'queued',
    trigger bots.run_trigger NOT NULL DEFAULT 'manual',
    current_step text,
    input jsonb NOT NULL DEFAULT '{{}}'::jsonb,
    output jsonb,
    error_message text,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by_id uuid,
    CONSTRAINT ck_workflow_runs_finished_at CHECK (finished_at >= started_at),
    CONSTRAINT uq_workflow_runs_organization_id_id UNIQUE (organization_id, id),
    CONSTRAINT fk_workflow_runs_workflow_id FOREIGN KEY (organization_id, workflow_id)
        REFERENCES bots.workflows (organization_id, id) ON DELETE CASCADE,
    {_member("workflow_runs", "created_by_id")}
)""")
    op.execute(
        "CREATE INDEX ix_workflow_runs_newest ON bots.workflow_runs (organization_id, workflow_id, started_at DESC)"
    )
    op.execute("ALTER TABLE bots.bot_runs ADD COLUMN workflow_run_id uuid")
    op.execute(
        "ALTER TABLE bots.bot_runs ADD CONSTRAINT fk_bot_runs_workflow_run_id"
        " FOREIGN KEY (organization_id, workflow_run_id) REFERENCES bots.workflow_runs (organization_id, id)"
        " ON DELETE SET NULL (workflow_run_id)"
    )
    op.execute(
        "CREATE INDEX ix_bot_runs_workflow_run_id ON bots.bot_runs (organization_id, workflow_run_id)"
        " WHERE workflow_run_id IS NOT NULL"
    )
    op.execute(f"""
CREATE TABLE bots.tasks (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_tasks PRIMARY KEY,
    organization_id uuid NOT NULL CONSTRAINT fk_tasks_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    bot_id uuid,
    workflow_run_id uuid,
    assignee_id uuid,
    title text NOT NULL CONSTRAINT ck_tasks_title CHECK (char_length(title) BETWEEN 1 AND 300),
    description text,
    status bots.task_status NOT NULL DEFAULT 'open',
    priority bots.task_priority NOT NULL DEFAULT 'normal',
    due_at timestamptz,
    completed_at timestamptz,
    {STAMPS},
    CONSTRAINT ck_tasks_completed_at CHECK ((status = 'done') = (completed_at IS NOT NULL)),
    CONSTRAINT fk_tasks_bot_id FOREIGN KEY (organization_id, bot_id)
        REFERENCES bots.bots (organization_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_tasks_workflow_run_id FOREIGN KEY (organization_id, workflow_run_id)
        REFERENCES bots.workflow_runs (organization_id, id) ON DELETE CASCADE,
    {_member("tasks", "assignee_id")},
    {_by_members("tasks")}
)""")
    op.execute(
        "CREATE INDEX ix_tasks_open ON bots.tasks (organization_id, assignee_id, due_at)"
        " WHERE deleted_at IS NULL AND completed_at IS NULL"
    )
    op.execute("CREATE INDEX ix_tasks_newest ON bots.tasks (organization_id, created_at DESC, id DESC)")
    op.execute("CREATE INDEX ix_tasks_bot_id ON bots.tasks (organization_id, bot_id) WHERE bot_id IS NOT NULL")
    op.execute(
        "CREATE INDEX ix_tasks_workflow_run_id ON bots.tasks (organization_id, workflow_run_id)"
        " WHERE workflow_run_id IS NOT NULL"
    )
    op.execute(f"""
CREATE TABLE bots.notifications (
    id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT pk_notifications PRIMARY KEY,
    organization_id uuid NOT NULL CONSTRAINT fk_notifications_organization_id
        REFERENCES bots.organizations (id) ON DELETE CASCADE,
    user_id uuid NOT NULL,
    type bots.notification_type NOT NULL DEFAULT 'info',
    title text NOT NULL CONSTRAINT ck_notifications_title CHECK (char_length(title) BETWEEN 1 AND 300),
    body text,
    data jsonb NOT NULL DEFAULT '{{}}'::jsonb,
    read_at timestamptz,
    {STAMPS},
    {_member("notifications", "user_id")},
    {_by_members("notifications")}
)""")
    op.execute(
        "CREATE INDEX ix_notifications_newest ON bots.notifications (organization_id, user_id, created_at DESC)"
        " WHERE deleted_at IS NULL"
    )
    op.execute(
        "CREATE INDEX ix_notifications_unread ON bots.notifications (organization_id, user_id)"
        " WHERE deleted_at IS NULL AND read_at IS NULL"
    )


def downgrade() -> None:
    op.execute("DROP TABLE bots.notifications")
    op.execute("DROP TABLE bots.tasks")
    op.execute("ALTER TABLE bots.bot_runs DROP COLUMN workflow_run_id")  # its key and index go with it
    op.execute("DROP TABLE bots.workflow_runs")
    op.execute("DROP TABLE bots.workflows")
    for name in reversed(ENUMS):
        op.execute(f"DROP TYPE bots.{name}")


def _member(table: str, column: str) -> str:
    return (
        f"CONSTRAINT fk_{table}_{column} FOREIGN KEY (organization_id, {column})"
        " REFERENCES bots.organization_members (organization_id, user_id)"
    )


def _by_members(table: str) -> str:
    """Who created, changed or deleted a row of an organization is or was its member."""
    return ", ".join(_member(table, column) for column in ("created_by_id", "updated_by_id", "deleted_by_id"))
