"""The two places that backups go to: the stack's own volume, and an off-site store that outlives the host.

Each has a pgbackrest.conf of its own, so that a command sees exactly one (https://pgbackrest.org/configuration.html).
Were both in one file, Postgres would push every segment to both, and an unreachable store would hold up the local
archive and keep WAL on the data volume; docs/repositories.md has the measurements. So Postgres archives to the local
one alone, and the backup container carries the WAL on (docker/postgres/ship).

A repository's key can't be changed. Another key is another repository, in a folder of its own in the same place: while
the keys are rotated there are the next ones beside the present two, and then the old ones, until they are retired.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from infra.selfhosted.stores import FILES, Gcs, Https, Sftp, Store, file

LOCAL_CONF = "pgbackrest.conf"
OFFSITE_CONF = "offsite.conf"  # in the same folder as the local one
_FOLDER = PurePosixPath("/etc/pgstack")
OFFSITE = _FOLDER / OFFSITE_CONF
LOCAL_PATH = "/var/lib/pgbackrest"


def conf(repository: str) -> str:
    """The name of the file of `local`, `offsite`, `old`, `old-offsite`, `next` or `next-offsite`."""
    return LOCAL_CONF if repository == "local" else f"{repository}.conf"


def file_of(repository: str) -> PurePosixPath:
    """Where that file is, in the backup container and in the servers'."""
    return _FOLDER / conf(repository)


def path(root: str, key: int) -> str:
    """Where in `root` the repository of that key is; the first one is where it was before there were others."""
    return root if key == 1 else f"{root}/key-{key}"


def files(offsite: Store | None) -> dict[str, str]:
    """What pgBackRest takes from files, by their path beside pgbackrest.conf; secrets among them.

    Those that this store does not need are empty, for another one may have needed them before.
    """
    found = dict.fromkeys(("id", "known_hosts", "key.json", "ca.crt"), "")
    if isinstance(offsite, Sftp):
        found["id"] = offsite.key.get_secret_value() + "\n"  # libssh2 wants the last line's end
        found["known_hosts"] = offsite.known_host + "\n"
    if isinstance(offsite, Gcs):
        found["key.json"] = offsite.key.get_secret_value() + "\n"
    if isinstance(offsite, Https) and offsite.ca:
        found["ca.crt"] = offsite.ca
    folder = PurePosixPath(FILES).relative_to(_FOLDER)
    return {f"{folder}/{name}": text for name, text in found.items()}


def store(offsite: Store, folder: str, number: int = 1) -> dict[str, str]:
    """Where and how: the options of the off-site repository, without `repo1-`; `folder` unless it names its own."""
    ca = {"storage-ca-file": file("ca.crt")} if isinstance(offsite, Https) and offsite.ca else {}
    return {"type": offsite.type, "path": path(offsite.path or folder, number), **offsite.options(), **ca}


def repository_conf(
    where: Mapping[str, str], key: str, keep_full: int, keep_differential: int, *, more: str = ""
) -> str:
    """The repository's side of pgBackRest, for one repository; holds its only key.

    Nothing expires by itself: docker/postgres/take-backup looks first whether the newest full backup is sound.
    """
    lines = "".join(f"repo1-{name}={value}\n" for name, value in where.items())
    return f"""\
[global]
{lines}repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={key}
repo1-retention-full={keep_full}
repo1-retention-diff={keep_differential}
repo1-bundle=y
repo1-block=y
expire-auto=n
compress-type=zst
compress-level=3
process-max=2
start-fast=y
log-level-console=info
log-level-file=off
lock-path=/tmp/pgbackrest
{more}
[main]
pg1-path=/var/lib/postgresql/16/main
pg1-socket-path=/run/postgresql
"""


def offsite_conf(offsite: Store, folder: str, key: str, number: int = 1) -> str:
    """The off-site repository's side; `number` is the key's."""
    # a store that hangs is given up after three tries of this; a backup waits until its WAL was carried there
    more = "io-timeout=20\narchive-timeout=300\n"
    return repository_conf(store(offsite, folder, number), key, offsite.keep_full, offsite.keep_differential, more=more)


def names(kind: str, offsite: Store | None) -> Sequence[str]:
    """Of the present repositories (`kind` is empty), the `old` or the `next` ones."""
    local = kind or "local"
    return [local, f"{kind}-offsite".removeprefix("-")] if offsite else [local]


def host_conf(repository_host: str, config: str) -> str:
    """Of the server's side: the backup container, and which of its repositories. No store, no key."""
    return f"""\
repo1-host={repository_host}
repo1-host-type=tls
repo1-host-config={_FOLDER / config}
repo1-host-ca-file=/etc/pgstack/tls/ca.crt
repo1-host-cert-file=/etc/pgstack/tls/server.crt
repo1-host-key-file=/etc/pgstack/tls/server.key
"""
