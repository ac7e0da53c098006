"""Tables of bots: the eighteen of its document, and role_permissions, which links two of them.

One file a domain in db.apps.bots.tables; the rules they live by are in the migrations.
"""

from db.apps.bots.tables.accounts import (
    ApiKey,
    Organization,
    OrganizationMember,
    Permission,
    Role,
    RolePermission,
    Session,
    Setting,
    User,
)
from db.apps.bots.tables.base import Base
from db.apps.bots.tables.bots import Bot, BotRun, Credential, SessionRecording
from db.apps.bots.tables.logs import ActivityLog, BotLog
from db.apps.bots.tables.workflows import Notification, Task, Workflow, WorkflowRun
from db.audit import keep_history

keep_history(Organization)
keep_history(Role, without=("scope_id",))
keep_history(OrganizationMember, without=("role_scope_id",))
keep_history(ApiKey, without=("key_hash",))
keep_history(Setting)
keep_history(Bot, without=("search",))
keep_history(Credential, without=("secret",))
keep_history(Workflow, without=("search",))
keep_history(Task, without=("search",))

__all__ = [
    "ActivityLog",
    "ApiKey",
    "Base",
    "Bot",
    "BotLog",
    "BotRun",
    "Credential",
    "Notification",
    "Organization",
    "OrganizationMember",
    "Permission",
    "Role",
    "RolePermission",
    "Session",
    "SessionRecording",
    "Setting",
    "Task",
    "User",
    "Workflow",
    "WorkflowRun",
]
