"""Until when the stack's certificates are valid, and whether a client on this host can verify its two ports."""

from __future__ import annotations

import datetime
import socket
import ssl
import struct
from dataclasses import dataclass

from cryptography import x509

from ops.errors import EngineError

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL manual, 55.7: SSLRequest
_TIMEOUT = 3.0  # seconds


@dataclass(frozen=True)
class Certificate:
    """`holder` is whom it belongs to, in words."""

    holder: str
    expires: datetime.datetime


def of_pem(holder: str, pem: str) -> Certificate:
    """The first certificate of a PEM text."""
    return Certificate(holder, x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc)


def served(holder: str, host: str, port: int, ca: str) -> Certificate:
    """The certificate that a server shows to a client that verifies it. Raises EngineError with the reason it can't."""
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) != b"S":
                raise EngineError(f"{holder} on {host}:{port} offers no TLS: something else listens on that port")
            context = ssl.create_default_context(cadata=ca)
            with context.wrap_socket(plain, server_hostname=host) as secured:
                shown = secured.getpeercert(binary_form=True)
    except ssl.SSLCertVerificationError as error:
        raise EngineError(
            f"{holder} on {host}:{port} shows a certificate that this stack's CA does not vouch for "
            f"({error.verify_message}): another stack listens there, or `pulumi up` has to renew it"
        ) from error
    except OSError as error:
        raise EngineError(
            f"{holder} does not answer on {host}:{port} ({error.strerror or error}): `pgstack start`, "
            "or `pulumi up` if the container is gone"
        ) from error
    if shown is None:
        raise EngineError(f"{holder} on {host}:{port} showed no certificate")
    return Certificate(holder, x509.load_der_x509_certificate(shown).not_valid_after_utc)
