"""Rows to measure with: 100,000 users, each with an account and a session, and 100,000 verifications.

Nobody signs in with them: the passwords are no hashes, and tokens are as public as this file.
"""

from db.apps.maps.models import Account, Session, User, Verification
from db.seeds.generated import Generated
from db.seeds.rows import key_sql

EACH = 100_000
_AT = "timestamp '2026-01-01' + n * interval '20 seconds'"  # the columns have no time zone
_ENDS = "CASE WHEN n % 10 = 0 THEN timestamp '2026-01-01' ELSE timestamp '2100-01-01' END"  # every tenth has expired
_STAMPS = {"created_at": _AT, "updated_at": _AT}
_EMAIL = "'user' || n || '@load.example'"


def _id(table: str) -> str:
    return key_sql("n", "maps", "load", table)


def generated(each: int = EACH) -> tuple[Generated, ...]:
    """The set with `each` rows a table."""
    return (
        Generated(
            User,
            each,
            {
                "id": _id("users"),
                "email": _EMAIL,
                "email_verified": "n % 5 <> 0",
                "name": "'User ' || n",
                **_STAMPS,
            },
        ),
        Generated(
            Account,
            each,
            {
                "id": _id("accounts"),
                "account_id": _id("users"),  # as Better Auth has it for passwords
                "provider_id": "'credential'",
                "user_id": _id("users"),
                "password": "'none'",
                **_STAMPS,
            },
        ),
        Generated(
            Session,
            each,
            {
                "id": _id("sessions"),
                "user_id": _id("users"),
                "token": _id("tokens"),
                "expires_at": _ENDS,
                "ip_address": "'192.0.2.' || n % 256",
                "user_agent": "'load'",
                **_STAMPS,
            },
        ),
        Generated(
            Verification,
            each,
            {
                "id": _id("verifications"),
                "identifier": _EMAIL,
                "value": _id("values"),
                "expires_at": _ENDS,
                **_STAMPS,
            },
        ),
    )


GENERATED = generated()
