"""What libpq, PostgreSQL and PgBouncer say about a failed connect, and what we make of it.

The texts are those of libpq 18, PostgreSQL 16, PgBouncer 1.24 and Neon's proxy; tests/db provokes some for real.
"""

import psycopg
import pytest

from db.connections import explain
from db.errors import ConnectError, LoginError, UnreachableError
from db.urls import DatabaseURL

URL = DatabaseURL.parse("postgresql://me:hunter2@db.example.com/shop?sslmode=verify-full")
AT = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "kind", "meaning"),
    [
        (
            'root certificate file "/x/root.crt" does not exist\nEither provide the file, use the system\'s trusted'
            " roots with sslrootcert=system, or change sslmode to disable server certificate verification.",
            LoginError,
            'set PGSSLROOTCERT to it (said: root certificate file "/x/root.crt" does not exist)',
        ),
        ("SSL error: certificate verify failed", LoginError, "is not signed by the CA at hand: check PGSSLROOTCERT"),
        (
            'server certificate for "localhost" does not match host name "db.example.com"',
            LoginError,
            'the server\'s certificate is not for "db.example.com"',
        ),
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "me", database "shop", no encryption',
            LoginError,
            'the server lets no "me" into "shop" from here, or not without TLS',
        ),
        ("server does not support SSL, but SSL was required", LoginError, "the server offers no TLS"),
        ("FATAL:  SSL required", LoginError, "the server demands TLS: add sslmode=verify-full"),
        ("FATAL:  no such user", LoginError, 'the server has no login "me" (said: no such user)'),
        ("FATAL:  SASL authentication failed", LoginError, 'the password of "me" is wrong'),
        ('FATAL:  role "me" is not permitted to log in', LoginError, '"me" may not log in'),
        ("FATAL:  sorry, too many clients already", UnreachableError, "has no connection left"),
        ("FATAL:  the database system is starting up", UnreachableError, "is starting or stopping"),
        (
            "connection timeout expired",
            UnreachableError,
            "no answer from db.example.com:5432: it is starting or stuck, or",
        ),
        (
            "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
            UnreachableError,
            "nothing listens at db.example.com:5432: is the server running? (said: Connection refused)",
        ),
        ("FATAL:  Couldn't connect to compute node", UnreachableError, "Couldn't connect to compute node"),
        ("something with hunter2 in it", UnreachableError, "something with *** in it"),
    ],
)
def test_each_failure_is_one_line_with_its_way_out_and_known_to_be_worth_a_retry_or_not(
    said: str, kind: type[ConnectError], meaning: str
) -> None:
    error = explain(psycopg.OperationalError(AT + said), URL)

    assert type(error) is kind
    assert str(error).startswith("cannot connect to postgresql://me:***@db.example.com:5432/shop?sslmode=verify-full: ")
    assert meaning in str(error)
    assert "\n" not in str(error)
    assert "hunter2" not in str(error)
