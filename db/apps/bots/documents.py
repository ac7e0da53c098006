"""What the JSONB columns of bots hold (db.documents): checked when written, upgraded when read."""

from __future__ import annotations

import functools
import uuid
import zoneinfo
from typing import Any, Literal

from pydantic import Field, field_validator

from db.documents import Document, Part


@functools.cache  # it reads a thousand files, which took 13 ms for each document
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


class Viewport(Part):
    """The browser's window in pixels."""

    width: int = Field(default=1280, ge=320, le=7680)
    height: int = Field(default=800, ge=240, le=4320)


class Step(Part):
    """One thing a bot does in the browser."""

    action: Literal["open", "click", "fill", "select", "wait", "extract", "screenshot"]
    target: str | None = None  # a URL to open, else a CSS selector
    value: str | None = None


class BotConfig(Document):
    """How a bot works. `timezone` is the one its schedule is meant in; the database reads it too (next_cron)."""

    start_url: str | None = None
    steps: list[Step] = Field(default_factory=list)
    viewport: Viewport = Field(default_factory=Viewport)
    headless: bool = True
    timeout_seconds: int = Field(default=300, ge=1, le=86_400)
    max_attempts: int = Field(default=3, ge=1, le=10)
    timezone: str = "UTC"
    variables: dict[str, str] = Field(default_factory=dict)

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in _zones():
            raise ValueError(f'"{value}" is no time zone: give a name such as Europe/Berlin')
        return value


class WorkflowStep(Part):
    """A bot's turn in a workflow; `after` names the steps that must have succeeded."""

    name: str
    bot_id: uuid.UUID | None = None
    after: list[str] = Field(default_factory=list)
    input: dict[str, Any] = Field(default_factory=dict)


class WorkflowDefinition(Document):
    """The steps of a workflow."""

    steps: list[WorkflowStep] = Field(default_factory=list)


class CredentialDetails(Document):
    """What may be known of a credential without its secret."""

    username: str | None = None
    url: str | None = None
    notes: str | None = None


class LogContext(Document):
    """Where in a run a log line was written, and what else the bot says of it."""

    step: int | None = None
    url: str | None = None
    fields: dict[str, Any] = Field(default_factory=dict)


class NotificationData(Document):
    """What a notification leads to."""

    link: str | None = None
    entity_type: str | None = None
    entity_id: uuid.UUID | None = None


class Changes(Document):
    """Values of changed columns before and after; never those of secret ones."""

    before: dict[str, Any] = Field(default_factory=dict)
    after: dict[str, Any] = Field(default_factory=dict)
