"""SCRAM-SHA-256 verifiers (RFC 5802, and the text form of PostgreSQL's pg_authid), made and checked on this side.

A password in a statement would end in the server's log; a verifier cannot be used to log in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import psycopg

_VERIFIER = re.compile(r"SCRAM-SHA-256\$(?P<rounds>\d+):(?P<salt>[^$]+)\$(?P<stored>[^:]+):(?P<server>.+)")


def verifier(connection: psycopg.Connection[object], name: str, password: str) -> str:
    """A new verifier with a random salt, by libpq's own function."""
    made = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    return made.decode()


def matches(known: str | None, password: str) -> bool:
    """Whether the verifier `known` is one of `password` (ASCII, so that it is its own normal form)."""
    found = _VERIFIER.fullmatch(known or "")
    if found is None:
        return False
    salted = hashlib.pbkdf2_hmac(
        "sha256", password.encode(), base64.b64decode(found["salt"]), iterations=int(found["rounds"])
    )
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored = base64.b64encode(hashlib.sha256(client_key).digest()).decode()
    server = base64.b64encode(hmac.digest(salted, b"Server Key", "sha256")).decode()
    return hmac.compare_digest(stored, found["stored"]) and hmac.compare_digest(server, found["server"])
