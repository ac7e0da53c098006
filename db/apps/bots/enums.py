"""Closed lists of the bots app: one class a PostgreSQL enum, its members named and valued alike.

A value is added by a revision (ALTER TYPE ... ADD VALUE) before the release that writes it.
"""

from __future__ import annotations

from enum import StrEnum


class UserStatus(StrEnum):
    """Whether somebody may sign in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class OrganizationPlan(StrEnum):
    """What an organization pays for."""

    FREE = "free"
    PRO = "pro"
    ENTERPRISE = "enterprise"


class MemberStatus(StrEnum):
    """Where a membership stands."""

    INVITED = "invited"
    ACTIVE = "active"
    SUSPENDED = "suspended"


class RunStatus(StrEnum):
    """Where a run stands; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class RunTrigger(StrEnum):
    """What started a run."""

    MANUAL = "manual"
    SCHEDULE = "schedule"
    API = "api"
    WORKFLOW = "workflow"


class CredentialType(StrEnum):
    """What a secret is."""

    PASSWORD = "password"  # noqa: S105  # a kind of secret, not one
    API_KEY = "api_key"
    OAUTH_TOKEN = "oauth_token"  # noqa: S105  # a kind of secret, not one
    COOKIE = "cookie"
    CERTIFICATE = "certificate"


class RecordingStatus(StrEnum):
    """Whether a recording goes on."""

    RECORDING = "recording"
    COMPLETE = "complete"
    FAILED = "failed"


class WorkflowStatus(StrEnum):
    """Whether a workflow is in use."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class TaskStatus(StrEnum):
    """Where a task stands; `done` has `completed_at`, the others have not."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    CANCELLED = "cancelled"


class TaskPriority(StrEnum):
    """How soon a task matters; the database sorts by this order."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class NotificationType(StrEnum):
    """How a notification looks."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"
    TASK = "task"


class LogLevel(StrEnum):
    """How grave a log line is; the database sorts by this order."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ActivityAction(StrEnum):
    """What somebody did."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    RESTORED = "restored"
    INVITED = "invited"
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    RAN = "ran"
    EXPORTED = "exported"
    VIEWED_SECRET = "viewed_secret"  # noqa: S105  # a kind of secret, not one
