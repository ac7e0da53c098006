"""A stack as the verbs read it, without one: its outputs as Pulumi printed them, with made-up secrets."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ops.pulumi import Pulumi
from ops.stack import Stack


def certificate(name: str, days: int = 3650) -> str:
    """PEM of a self-signed certificate that expires in so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(expires - datetime.timedelta(days=4000))
        .not_valid_after(expires)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    outputs: dict[str, object] = {
        "target": "docker",
        "environment": "dev",
        "apps": ["dovvybuddy", "maps"],
        "ca_certificate": certificate("pgstack dev"),
        "network": "pgstack-dev",
        "postgres_container": "pgstack-dev-postgres",
        "pooler_container": "pgstack-dev-pooler",
        "backup_container": "pgstack-dev-backup",
        "drills_container": "pgstack-dev-drills",
    }
    for app in ("dovvybuddy", "maps"):
        outputs |= {
            f"{app}_pooled_url": f"postgresql://{app}_app_1:p%3Aw@127.0.0.1:6432/{app}?sslmode=verify-full",
            f"{app}_readonly_url": f"postgresql://{app}_readonly_1:pw@127.0.0.1:6432/{app}_readonly?sslmode=verify-full",
            f"{app}_direct_url": f"postgresql://{app}_owner_1:pw@127.0.0.1:5432/{app}?sslmode=verify-full",
        }
    return Stack("dev", Pulumi({"PGSTACK_STATE": str(tmp_path / "state"), "HOME": str(tmp_path)}), outputs)
