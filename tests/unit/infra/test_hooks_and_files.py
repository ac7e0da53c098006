"""What hooks may say, and what they write."""

import io
import tarfile

import pytest

from infra.hooks import redact
from infra.schema import changes, contradictions
from infra.selfhosted.engine import POSTGRES_UID, archive


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("could not connect to postgresql://maps_owner_1:s3cret@127.0.0.1:5432/maps", "s3cret"),
        ("connection failed: password=s3cret host=x", "s3cret"),
        ("ALTER ROLE x PASSWORD 'SCRAM-SHA-256$4096:abc$def:ghi'", "abc$def"),
        ("repo1-cipher-pass=s3cret", "s3cret"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "AAAA"),
    ],
)
def test_no_secret_survives_redaction(said: str, secret: str) -> None:
    assert secret not in redact(said)


def test_redaction_leaves_the_rest_readable() -> None:
    text = 'revision 0002_x (maps) failed: SQLSTATE 23502, column "name" contains null values'
    assert redact(text) == text


def test_files_in_a_volume_are_for_the_servers_user_only() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive({"a.conf": "x = 1\n", "tls/server.key": "key"}))) as tar:
        entries = {entry.name: (entry.uid, entry.gid, oct(entry.mode)) for entry in tar}
        assert tar.extractfile("a.conf").read() == b"x = 1\n"  # type: ignore[union-attr]  # it is a file
    assert entries == {
        "tls": (POSTGRES_UID, POSTGRES_UID, "0o500"),
        "a.conf": (POSTGRES_UID, POSTGRES_UID, "0o400"),
        "tls/server.key": (POSTGRES_UID, POSTGRES_UID, "0o400"),
    }


def test_a_preview_names_each_pending_migration_and_seed_and_what_contradicts_them() -> None:
    before = {"maps": {"target": "head", "revisions": {"0001_a": "1", "0002_b": "2"}, "seeds": {"base": "x"}}}
    after = {"maps": {"target": "head", "revisions": {"0001_a": "9", "0003_c": "3"}, "seeds": {"base": "y"}}}
    assert changes(before, after) == [
        "maps: migration 0003_c is pending",
        "maps: seed set base is pending",
    ]
    edited, gone = contradictions(before, after)
    assert edited.startswith("maps: migration 0001_a was changed after it was applied: put its file back")
    assert gone.startswith("maps: migration 0002_b was applied and its file is gone: put it back")
    assert changes(after, after) == contradictions(after, after) == []
