"""The stack's own certificate authority and the leaves it signs: TLS is verified on every hop.

Keys are ECDSA P-256: every client and both OpenSSL generations in use (1.1.1 in the packaged server, 3.x) speak it.
"""

import datetime
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.selfhosted.stack import kept

CA_LIFETIME = datetime.timedelta(days=3650)
LEAF_LIFETIME = datetime.timedelta(days=730)
_CLOCK_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class KeyPair:
    """PEM text of a certificate and its private key."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Leaf:
    """A kept certificate: `certificate` and `key` are PEM, the key secret."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]


class Certificates(pulumi.ComponentResource):
    """A certificate authority kept in the state, and leaves signed by it.

    Outputs: `ca` (str, PEM of the CA certificate).
    """

    def __init__(self, name: str, *, lasting: bool, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("pgstack:selfhosted:Certificates", name, None, opts)
        self._name = name
        made = _as_dict(authority(f"pgstack {pulumi.get_stack()}"))
        self._authority = kept(f"{name}-authority", made, self, lasting=lasting)
        self.ca = pulumi.Output.unsecret(self._authority.apply(lambda pair: str(pair["certificate"])))
        self.register_outputs({"ca": self.ca})

    def leaf(self, name: str, common_name: str, hosts: Sequence[str] = ()) -> Leaf:
        """A certificate for `common_name`, valid for `hosts` as a server and for the name as a client.

        Another set of names makes another certificate: the names are part of the resource's own name.
        """
        digest = hashlib.sha256("\n".join([common_name, *hosts]).encode()).hexdigest()[:8]
        issued = self._authority.apply(lambda pair: _as_dict(issue(KeyPair(**pair), common_name, hosts)))
        pair = kept(f"{self._name}-{name}-{digest}", issued, self)
        return Leaf(
            certificate=pulumi.Output.unsecret(pair.apply(lambda it: str(it["certificate"]))),
            key=pair.apply(lambda it: str(it["key"])),
        )


def authority(common_name: str) -> KeyPair:
    """A new self-signed certificate authority, valid for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name)
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _builder(name, name, key.public_key(), CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate, key)


def issue(ca: KeyPair, common_name: str, hosts: Sequence[str]) -> KeyPair:
    """A new leaf signed by `ca`, valid for two years, for TLS servers at `hosts` and for TLS clients."""
    ca_certificate = x509.load_pem_x509_certificate(ca.certificate.encode())
    ca_key = serialization.load_pem_private_key(ca.key.encode(), password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)  # noqa: S101 - `authority` makes no other
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(common_name), ca_certificate.subject, key.public_key(), LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return _pem(builder.sign(ca_key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + lifetime)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM).decode(), encoded.decode())


def _as_dict(pair: KeyPair) -> dict[str, str]:
    return {"certificate": pair.certificate, "key": pair.key}
