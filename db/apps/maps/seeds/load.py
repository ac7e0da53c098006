"""Rows to measure with: 100,000 users, each with an account and a session, and 100,000 verifications.

Nobody signs in with them: the passwords are no hashes, and tokens are as public as this file.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from db.apps.maps.models import Account, Session, User, Verification
from db.seeds.generated import Generated
from db.seeds.rows import key

EACH = 100_000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def _id(table: str, number: int) -> str:
    return str(key("maps", "load", table, str(number)))


def _stamps(number: int) -> dict[str, datetime]:
    at = BEGAN + timedelta(seconds=20 * number)
    return {"created_at": at, "updated_at": at}


def _ends(number: int) -> datetime:
    return FAR if number % 10 else BEGAN  # every tenth has expired


def _email(number: int) -> str:
    return f"user{number}@load.example"


def _user(number: int) -> dict[str, Any]:
    return {
        "id": _id("users", number),
        "email": _email(number),
        "email_verified": number % 5 != 0,
        "name": f"User {number}",
        **_stamps(number),
    }


def _account(number: int) -> dict[str, Any]:
    return {
        "id": _id("accounts", number),
        "account_id": _id("users", number),  # as Better Auth has it for passwords
        "provider_id": "credential",
        "user_id": _id("users", number),
        "password": "none",
        **_stamps(number),
    }


def _session(number: int) -> dict[str, Any]:
    return {
        "id": _id("sessions", number),
        "user_id": _id("users", number),
        "token": _id("tokens", number),
        "expires_at": _ends(number),
        "ip_address": f"192.0.2.{number % 256}",
        "user_agent": "load",
        **_stamps(number),
    }


def _verification(number: int) -> dict[str, Any]:
    return {
        "id": _id("verifications", number),
        "identifier": _email(number),
        "value": _id("values", number),
        "expires_at": _ends(number),
        **_stamps(number),
    }


def generated(each: int = EACH) -> tuple[Generated, ...]:
    """The set with `each` rows a table."""
    return (
        Generated(User, each, _user),
        Generated(Account, each, _account),
        Generated(Session, each, _session),
        Generated(Verification, each, _verification),
    )


GENERATED = generated()
