"""The off-site repository's settings: pgBackRest's options for each type, and one line for each mistake."""

import json
from collections.abc import Mapping

import pytest

from infra.errors import SettingsError
from infra.selfhosted.certificates import authority
from infra.selfhosted.repositories import files, host_conf, offsite_conf
from infra.selfhosted.stores import Store, refusal
from infra.settings import parse

S3 = {
    "type": "s3",
    "endpoint": "s3.example.org:9443",
    "bucket": "backups",
    "region": "eu-central-1",
    "key": "AKIA1",
    "secret": "s3cret",
}
AZURE = {"type": "azure", "account": "acme", "container": "backups", "key": "YXpLZXk="}
GCS = {"type": "gcs", "bucket": "backups", "key": '{"type": "service_account"}'}
SFTP = {
    "type": "sftp",
    "host": "far.example.org:2222",
    "user": "backup",
    "key": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
    "knownHost": "far.example.org ssh-ed25519 AAAAC3",
}


def store(given: Mapping[str, object]) -> Store:
    found = parse("pgstack", "blue", {"pgstack:offsite": json.dumps(dict(given))}).offsite
    assert found is not None
    return found


def problems(given: Mapping[str, object], *, encrypted: bool = True) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse("pgstack", "blue", {"pgstack:offsite": json.dumps(dict(given))}, encrypted=encrypted)
    return caught.value.problems


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (
            S3,
            {
                "type": "s3", "s3-endpoint": "s3.example.org", "storage-port": "9443", "s3-bucket": "backups",
                "s3-region": "eu-central-1", "s3-key": "AKIA1", "s3-key-secret": "s3cret", "s3-uri-style": "host",
            },
        ),
        (S3 | {"pathStyle": True}, {"s3-uri-style": "path"}),
        (
            AZURE,
            {
                "type": "azure", "azure-account": "acme", "azure-container": "backups", "azure-key": "YXpLZXk=",
                "azure-key-type": "shared", "azure-endpoint": "blob.core.windows.net", "azure-uri-style": "host",
            },
        ),
        (AZURE | {"keyType": "sas"}, {"azure-key-type": "sas"}),
        (
            GCS,
            {
                "type": "gcs", "gcs-bucket": "backups", "gcs-endpoint": "storage.googleapis.com",
                "gcs-key-type": "service", "gcs-key": "/etc/pgstack/offsite/key.json",
            },
        ),
        (
            SFTP,
            {
                "type": "sftp", "sftp-host": "far.example.org", "sftp-host-port": "2222", "sftp-host-user": "backup",
                "sftp-private-key-file": "/etc/pgstack/offsite/id", "sftp-host-key-check-type": "strict",
                "sftp-host-key-hash-type": "sha256", "sftp-known-host": "/etc/pgstack/offsite/known_hosts",
            },
        ),
    ],
)  # fmt: skip
def test_each_type_becomes_pgbackrest_s_own_options(given: Mapping[str, object], options: dict[str, str]) -> None:
    conf = offsite_conf(store({**given, "keepFull": 5}), "/pgstack-blue", "the-key").splitlines()
    always = {
        "path": "/pgstack-blue", "cipher-type": "aes-256-cbc", "cipher-pass": "the-key", "retention-full": "5",
        "retention-diff": "7",
    }  # fmt: skip
    assert {f"repo1-{name}={value}" for name, value in (always | options).items()} <= set(conf)
    assert "expire-auto=n" in conf
    assert not [line for line in conf if line.startswith("tls-server")]  # the other file's business


def test_what_pgbackrest_takes_from_files_lies_beside_the_configuration_and_nothing_of_another_store_is_left() -> None:
    ca = authority("a store's").certificate
    none = dict.fromkeys(("offsite/ca.crt", "offsite/id", "offsite/key.json", "offsite/known_hosts"), "")
    assert files(None) == files(store(S3)) == none
    assert files(store(S3 | {"ca": ca})) == none | {"offsite/ca.crt": ca}
    assert "repo1-storage-ca-file=/etc/pgstack/offsite/ca.crt" in offsite_conf(store(S3 | {"ca": ca}), "/x", "k")
    assert files(store(GCS)) == none | {"offsite/key.json": f"{GCS['key']}\n"}
    of_sftp = {"offsite/id": f"{SFTP['key']}\n", "offsite/known_hosts": f"{SFTP['knownHost']}\n"}
    assert files(store(SFTP)) == none | of_sftp


def test_the_server_s_side_names_the_other_side_s_file_and_holds_no_secret() -> None:
    conf = host_conf("pgstack-blue-backup", "offsite.conf")
    assert "repo1-host-config=/etc/pgstack/offsite.conf" in conf
    assert "cipher" not in conf


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "pgstack:offsite.type is missing: give s3, azure, gcs, sftp"),
        ({"type": "ftp"}, 'pgstack:offsite.type is "ftp": give s3, azure, gcs, sftp'),
        (S3 | {"bucket": None}, "pgstack:offsite.bucket is missing: give the bucket's name"),
        (S3 | {"bucket": "a\nrepo1-path=/"}, 'pgstack:offsite.bucket is "a\\nrepo1-path=/": give the bucket\'s name'),
        (S3 | {"path": "backups"}, 'pgstack:offsite.path is "backups": give a folder such as /backups/blue'),
        (S3 | {"keepFull": 0}, "pgstack:offsite.keepFull is 0: give a number from 1 to 100"),
        (S3 | {"pathstyle": True}, "pgstack:offsite.pathstyle is no setting: did you mean pathStyle?"),
        (S3 | {"ca": "none"}, 'pgstack:offsite.ca is "none": give the PEM text'),
        (SFTP | {"knownHost": "yes"}, 'pgstack:offsite.knownHost is "yes": give the host\'s line of known_hosts'),
        (AZURE | {"keyType": "x"}, 'pgstack:offsite.keyType is "x": give shared for an account\'s key'),
    ],
)
def test_each_mistake_is_one_line_with_its_key_value_and_way_out(given: Mapping[str, object], line: str) -> None:
    (said,) = problems({"keepFull": 2, **given})
    assert said.startswith(line)
    assert "pulumi config " in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "given", [S3 | {"secret": "two words"}, GCS | {"key": "two words"}, SFTP | {"key": "two words"}]
)
def test_a_secret_that_cannot_be_one_is_not_shown(given: Mapping[str, object]) -> None:
    (said,) = problems(given)
    assert "is unusable: give the" in said
    assert "--secret" in said
    assert "two words" not in said


def test_a_secret_in_clear_in_the_stack_file_is_refused() -> None:
    (said,) = problems(S3, encrypted=False)
    assert said.startswith("pgstack:offsite.secret stands in the stack file in clear: ")
    assert "pulumi config set --path --secret pgstack:offsite.secret" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("given", "answer", "line"),
    [
        (
            S3,
            "[039]: HTTP request failed with 404 (Not Found): <Error><Code>NoSuchBucket</Code>",
            'pgstack:offsite.bucket is "backups": s3.example.org:9443 has none of that name (NoSuchBucket)',
        ),
        (
            AZURE,
            "[039]: HTTP request failed with 403 (Forbidden): *** Path/Query ***",
            "pgstack:offsite.key is not shown: blob.core.windows.net refuses it with its secret (403 (Forbidden))",
        ),
        (
            S3,
            "[095]: unable to verify certificate presented by 'x:9443 (172.20.0.5)': [20] unable to get issuer",
            "pgstack:offsite.ca is missing: it does not vouch for what s3.example.org:9443 shows",
        ),
        (
            SFTP,
            "[049]: unable to connect to 'far.example.org:2222 (1.2.3.4)': [111] Connection refused",
            'pgstack:offsite.host is "far.example.org:2222": it can\'t be reached',
        ),
        (S3, "[029]: FormatError: key/value found outside", "pgstack:offsite.path is missing: somebody else's"),
        (S3, "ERROR: [099]: something new", "the off-site repository at s3.example.org:9443 does not do: [099]: some"),
    ],
)
def test_a_store_s_refusal_names_the_setting_to_look_at(given: Mapping[str, object], answer: str, line: str) -> None:
    said = refusal(store(given), answer)
    assert said.startswith(line)
    assert "stay in the local repository" in said
    assert "s3cret" not in said
