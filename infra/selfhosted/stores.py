"""The off-site store: its settings, type by type, and one line for each mistake in them or refusal of its own."""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from cryptography import x509
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from pydantic.fields import FieldInfo

FILES = "/etc/pgstack/offsite"  # what pgBackRest takes from files only
_KIND = Literal["shared", "sas"]
_SET, _PLACE = "pulumi config set --path", "VALUE"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _secret(pattern: str, example: str) -> Callable[[SecretStr], SecretStr]:
    def check(given: SecretStr) -> SecretStr:
        text = given.get_secret_value().strip()
        if not re.fullmatch(pattern, text, re.DOTALL):
            raise ValueError(example)
        return SecretStr(text)

    return check


def _certificates(text: str) -> str:
    x509.load_pem_x509_certificates(text.encode())
    return text.strip() + "\n"


Word = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\s,;#\[\]]+$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Host = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?$")]
Folder = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^(/[A-Za-z0-9._-]+)+$")]
SecretWord = Annotated[SecretStr, AfterValidator(_secret(r"\S+", "one word"))]
PrivateKey = Annotated[SecretStr, AfterValidator(_secret(r"-----BEGIN .*PRIVATE KEY-----", "a PEM private key"))]
ServiceAccount = Annotated[SecretStr, AfterValidator(_secret(r"\{.*\}", "a JSON object"))]
Pem = Annotated[str, AfterValidator(_certificates)]
Kept = Annotated[int, Field(ge=1, le=100, description="give a number from 1 to 100")]


class _Store(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=_camel,
        coerce_numbers_to_str=True,  # `pulumi config set --path` makes a number of what looks like one
    )

    path: Annotated[Folder | None, Field(description="give a folder such as /backups/blue, for this stack alone")] = (
        None
    )
    keep_full: Kept = 2
    keep_differential: Kept = 7


class Https(_Store):
    """What is reached by TLS."""

    ca: Annotated[Pem | None, Field(description="give the PEM text of the store's certificate authority")] = None


class S3(Https):
    """Amazon's, or any other store that speaks its protocol by TLS."""

    type: Literal["s3"]
    endpoint: Annotated[Host, Field(description="give the store's host, such as s3.eu-central-1.amazonaws.com")]
    bucket: Annotated[Name, Field(description="give the bucket's name; it must exist")]
    region: Annotated[Name, Field(description="give the region, such as eu-central-1")]
    key: Annotated[Word, Field(description="give the access key's id")]
    secret: Annotated[SecretWord, Field(description="give the secret access key")]
    path_style: Annotated[bool, Field(description="give true where the bucket is part of the path, else false")] = False

    def options(self) -> dict[str, str]:
        """pgBackRest's names for it, without `repo1-`."""
        return {
            "s3-endpoint": _host(self.endpoint),
            "s3-bucket": self.bucket,
            "s3-region": self.region,
            "s3-key": self.key,
            "s3-key-secret": self.secret.get_secret_value(),
            "s3-uri-style": "path" if self.path_style else "host",
            **_port("storage-port", self.endpoint),
        }


class Azure(Https):
    """Azure Blob Storage, in an account without a hierarchical namespace: pgBackRest could let nothing expire there."""

    type: Literal["azure"]
    account: Annotated[Name, Field(description="give the storage account's name")]
    container: Annotated[Name, Field(description="give the container's name; it must exist")]
    key: Annotated[SecretWord, Field(description="give the account's key, or a SAS token")]
    key_type: Annotated[_KIND, Field(description="give shared for an account's key, sas for a SAS token")] = "shared"
    endpoint: Annotated[Host, Field(description="give the host that the account's name goes before")] = (
        "blob.core.windows.net"
    )
    path_style: Annotated[bool, Field(description="give true where the account is part of the path, else false")] = (
        False
    )

    def options(self) -> dict[str, str]:
        """pgBackRest's names for it, without `repo1-`."""
        return {
            "azure-account": self.account,
            "azure-container": self.container,
            "azure-key": self.key.get_secret_value(),
            "azure-key-type": self.key_type,
            "azure-endpoint": _host(self.endpoint),
            "azure-uri-style": "path" if self.path_style else "host",
            **_port("storage-port", self.endpoint),
        }


class Gcs(Https):
    """Google Cloud Storage, by a service account."""

    type: Literal["gcs"]
    bucket: Annotated[Name, Field(description="give the bucket's name; it must exist")]
    key: Annotated[ServiceAccount, Field(description="give the service account's key, as JSON text")]
    endpoint: Annotated[Host, Field(description="give the store's host")] = "storage.googleapis.com"

    def options(self) -> dict[str, str]:
        """pgBackRest's names for it, without `repo1-`."""
        return {
            "gcs-bucket": self.bucket,
            "gcs-endpoint": _host(self.endpoint),
            "gcs-key-type": "service",
            "gcs-key": file("key.json"),
            **_port("storage-port", self.endpoint),
        }


class Sftp(_Store):
    """A folder of another host, by SSH with a key; the host is who `knownHost` says."""

    type: Literal["sftp"]
    host: Annotated[Host, Field(description="give the host's name")]
    user: Annotated[Name, Field(description="give the login on that host")]
    key: Annotated[PrivateKey, Field(description="give the login's private key, as PEM text without a passphrase")]
    known_host: Annotated[
        str,
        StringConstraints(strip_whitespace=True, pattern=r"^\S+ (ssh|ecdsa)-\S+ \S+$"),
        Field(description="give the host's line of known_hosts, as `ssh-keyscan -t ed25519 HOST` prints it"),
    ]

    def options(self) -> dict[str, str]:
        """pgBackRest's names for it, without `repo1-`."""
        return {
            "sftp-host": _host(self.host),
            "sftp-host-user": self.user,
            "sftp-private-key-file": file("id"),
            "sftp-host-key-check-type": "strict",
            "sftp-host-key-hash-type": "sha256",
            "sftp-known-host": file("known_hosts"),
            **_port("sftp-host-port", self.host),
        }


Store = S3 | Azure | Gcs | Sftp
Offsite = Annotated[Store, Field(discriminator="type")]
TYPES: Mapping[str, type[_Store]] = {"s3": S3, "azure": Azure, "gcs": Gcs, "sftp": Sftp}


def problem(detail: Any) -> str:
    """One line about one of pydantic's complaints about the map; a secret's value is never in it."""
    _, *where = detail["loc"]
    if detail["type"] in {"union_tag_not_found", "union_tag_invalid"}:
        given = detail.get("ctx", {}).get("tag")
        return f"pgstack:offsite.type is {_quoted(given)}: give {', '.join(TYPES)} ({_SET} pgstack:offsite.type s3)"
    if len(where) < 2:  # noqa: PLR2004 - the type, then the field
        return "pgstack:offsite is no map of settings: docs/repositories.md has one of each type"
    kind, name = TYPES[str(where[0])], str(where[1])
    fields = {str(it.alias): it for it in kind.model_fields.values()}
    if name not in fields:
        close = difflib.get_close_matches(name, fields, n=1)
        hint = f"did you mean {close[0]}?" if close else f"type {where[0]} has {', '.join(fields)}"
        return f"pgstack:offsite.{name} is no setting: {hint} (pulumi config rm --path pgstack:offsite.{name})"
    secret = "--secret " if _is_secret(fields[name]) else ""
    given = _quoted(None if detail["type"] == "missing" else detail["input"])
    shown = "unusable" if secret and detail["type"] != "missing" else given
    return (
        f"pgstack:offsite.{name} is {shown}: {fields[name].description}"
        f" ({_SET} {secret}pgstack:offsite.{name} {_PLACE})"
    )


def unencrypted(offsite: Store) -> str:
    """One line: its secrets stand in the stack file in clear."""
    names = [str(it.alias) for it in type(offsite).model_fields.values() if _is_secret(it)]
    ways = " and ".join(f"{_SET} --secret pgstack:offsite.{name} {_PLACE}" for name in names)
    return (
        f"pgstack:offsite.{names[0]} stands in the stack file in clear: give it by {ways}, then a new one at the store"
    )


def _is_secret(field: FieldInfo) -> bool:
    return field.annotation is SecretStr


def _quoted(given: object) -> str:
    return "missing" if given is None else json.dumps(given)


SAFE = "backups and WAL stay in the local repository, `pulumi up` tries again"


def refusal(offsite: Store, said: str, then: str = SAFE) -> str:
    """One line about why the store does not do, from all that pgBackRest said, and what `then`; no secret is in it."""
    given = offsite.model_dump(by_alias=True)
    where = given.get("endpoint") or given.get("host")
    for pattern, names, way in _REFUSALS:
        if match := re.search(pattern, said):
            name = next((it for it in names.split() if it in given), "path")
            value = given[name]
            shown = "not shown" if isinstance(value, SecretStr) else json.dumps(value)
            shown = "given" if value and name == "ca" else "missing" if value is None else shown
            answer = " ".join(match[0].split())
            return f"pgstack:offsite.{name} is {shown}: {way.format(where=where, said=answer)}; {then}"
    answer = " ".join(said.partition("ERROR: ")[2].split()) or said
    return f"the off-site repository at {where} does not do: {answer[:_ENOUGH]}; {then}"


_ENOUGH = 300  # characters of an answer that nobody foresaw
# what the stores answer, through pgBackRest; the first of the named settings that the type has is the one to look at
_REFUSALS = (
    (
        r"NoSuchBucket|ContainerNotFound|specified (bucket|container) does not exist",
        "bucket container",
        "{where} has none of that name ({said})",
    ),
    (
        r"SignatureDoesNotMatch|InvalidAccessKeyId|XAdminUserNotFound|40[13] \(\w+\)|public key authentication failed",
        "key",
        "{where} refuses it with its secret ({said}): give the pair that may read and write there",
    ),
    (r"unable to verify certificate[^[]*(\[\d+\] [\w ]+)?", "ca", "it does not vouch for what {where} shows ({said})"),
    (r"unable to get address for \S+", "endpoint host", "no name service knows it"),
    (r"unable to connect to [^[]*(\[\d+\] [\w ]+)?|timeout", "endpoint host", "it can't be reached ({said})"),
    (r"FormatError|CryptoError", "path", "somebody else's repository is there, with another key; give an empty folder"),
    (r"do not match the database|not match", "path", "another cluster's repository is there; give an empty folder"),
)


def file(name: str) -> str:
    """Where one of them is."""
    return f"{FILES}/{name}"


def _host(endpoint: str) -> str:
    return endpoint.partition(":")[0]


def _port(option: str, endpoint: str) -> dict[str, str]:
    port = endpoint.partition(":")[2]
    return {option: port} if port else {}
