"""Until when the stack's certificates are valid."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from ops.engine import Engine

# what each container shows to others; the stack's CA signed them all
_FILES = {"postgres": ("server.crt",), "pooler": ("server.crt", "client.crt"), "backup": ("server.crt",)}


@dataclass(frozen=True)
class Certificate:
    """`holder` is whom it belongs to, in words."""

    holder: str
    expires: datetime.datetime


def of_container(engine: Engine, role: str, container: str) -> list[Certificate]:
    """The certificates in a container, which need not run. Raises EngineError."""
    return [
        of_pem(f"{container} ({file})", engine.read(container, f"/etc/pgstack/tls/{file}"))
        for file in _FILES.get(role, ())
    ]


def of_pem(holder: str, pem: str) -> Certificate:
    """The first certificate of a PEM text."""
    from cryptography import x509  # noqa: PLC0415 - loads while the servers are thinking

    return Certificate(holder, x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc)
