"""Capturing a lead: what a diver told, checked and written once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as DatabaseSession

from db.apps.dovvybuddy.models import Lead, Session
from db.documents import unstorable
from db.errors import LeadError


class _Open(BaseModel):
    """The document's lists of fields end with "etc.": further ones are kept as they come."""

    model_config = ConfigDict(extra="allow", str_strip_whitespace=True, ser_json_inf_nan="constants")


class DiverProfile(_Open):
    """Who the diver is; a guest need not say all of it."""

    agency: str | None = None
    level: str | None = None
    dive_count: int | None = Field(default=None, ge=0, le=100_000)


class RequestDetails(_Open):
    """What the diver wants."""

    location: str | None = None
    dates: str | list[str] | None = None
    interests: list[str] = []


def capture(
    session: DatabaseSession,
    kind: Literal["training", "trip"],
    request: dict[str, Any],
    *,
    diver: dict[str, Any] | None = None,
    guest: uuid.UUID | None = None,
    key: uuid.UUID | None = None,
) -> Lead:
    """Write a lead and return it; it is the caller's to commit.

    What `diver` leaves out or empty is taken from the profile of the conversation `guest` while that lasts. With
    `key`, the form's own id, a form that is sent twice makes one lead: the first. Raises LeadError, naming every field
    that does not fit, and nothing is written.
    """
    problems: list[str] = []
    if kind not in ("training", "trip"):
        problems.append(f'type is "{kind}": give training or trip')
    known = _profile_of(session, guest) if guest is not None else {}
    profile = _checked(DiverProfile, "diver_profile", diver or {}, problems, known)
    details = _checked(RequestDetails, "request_details", request, problems)
    if not details:
        problems.append("request_details is empty: say what the diver wants")
    if problems:
        raise LeadError("; ".join(problems))
    lead_id = key or uuid.uuid4()
    values = {Lead.id: lead_id, Lead.type: kind, Lead.diver_profile: profile, Lead.request_details: details}
    session.execute(insert(Lead).values(values).on_conflict_do_nothing(index_elements=[Lead.id]))
    return session.get_one(Lead, lead_id)


def _profile_of(session: DatabaseSession, guest: uuid.UUID) -> dict[str, Any]:
    living = select(Session.diver_profile).where(Session.id == guest, Session.expires_at > datetime.now(UTC))
    return session.scalar(living) or {}


def _checked(
    model: type[_Open], column: str, given: object, problems: list[str], known: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        problems.append(f"{column} is {type(given).__name__}: give an object")
        return {}
    # a form sends an empty text for a field that was left out
    said = {name: value for name, value in given.items() if not (isinstance(value, str) and not value.strip())}
    try:
        parsed = model.model_validate({**(known or {}), **said}).model_dump(mode="json", exclude_defaults=True)
    except ValidationError as error:
        problems += [f"{'.'.join([column, *map(str, it['loc'])])}: {it['msg']}" for it in error.errors()]
        return said
    except ValueError as error:  # a further field that JSON has no word for
        problems.append(f"{column}: {error}")
        return said
    problems += [f"{'.'.join([column, *path])}: {problem}" for path, problem in unstorable(parsed)]
    return parsed
