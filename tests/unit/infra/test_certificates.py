"""Certificates: verified by the library that made them and by OpenSSL's own rules."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from infra.selfhosted.certificates import CA_LIFETIME, LEAF_LIFETIME, authority, issue

HOSTS = ("pgstack-dev-postgres", "localhost", "127.0.0.1")


def test_a_leaf_is_trusted_for_each_of_its_hosts_and_for_no_other() -> None:
    ca = authority("pgstack dev")
    leaf = x509.load_pem_x509_certificate(issue(ca, "pgstack-dev-postgres", HOSTS).certificate.encode())
    store = Store([x509.load_pem_x509_certificate(ca.certificate.encode())])
    for host in (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))):
        verifier = PolicyBuilder().store(store).build_server_verifier(host)
        assert verifier.verify(leaf, [])[0] == leaf
    other = PolicyBuilder().store(Store([x509.load_pem_x509_certificate(authority("x").certificate.encode())]))
    try:
        other.build_server_verifier(x509.DNSName("localhost")).verify(leaf, [])
    except x509.verification.VerificationError:
        return
    raise AssertionError("a leaf of one authority was trusted by another")


def test_the_authority_lasts_ten_years_and_a_leaf_two() -> None:
    ca = authority("pgstack dev")
    for pair, lifetime in ((ca, CA_LIFETIME), (issue(ca, "x", ()), LEAF_LIFETIME)):
        certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
        left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
        assert lifetime - datetime.timedelta(minutes=5) < left <= lifetime


def test_no_two_leaves_share_a_key() -> None:
    ca = authority("pgstack dev")
    assert issue(ca, "a", ()).key != issue(ca, "a", ()).key
