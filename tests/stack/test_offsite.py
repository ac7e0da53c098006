"""The off-site repository on a real S3 server: what comes there, what an outage does, and the way back."""

import json
import os
import time
from pathlib import Path

import pytest
import tenacity
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import TypeAdapter

from infra.selfhosted.engine import archive
from infra.selfhosted.repositories import OFFSITE_CONF, offsite_conf
from infra.selfhosted.repositories import files as store_files
from infra.selfhosted.stores import Offsite
from tests.deployment import NewStack, Stack
from tests.stack import faults, object_store
from tests.stack.object_store import SECRET, ObjectStore
from tests.stack.repository import archived, info
from tests.stack.writer import writing

TAKE = "/usr/local/lib/pgstack/take-backup"
_NOBODY = "127.0.0.1:1"  # nothing listens there
_OUTAGE = "PGSTACK_TEST_OUTAGE"  # seconds that the store is away; else just so long as it takes to look
_NOT_CONNECTED = 49  # pgBackRest's HostConnectError; a setting that it does not take is 31 or 32


@pytest.fixture(scope="module")
def small(new_stack: NewStack) -> Stack:
    """A stack with one application, to which the tests of this file give an off-site repository."""
    it = new_stack("preview")
    it.configure("apps", '["dovvybuddy"]')
    it.up()
    return it


@pytest.fixture(scope="module")
def store(small: Stack) -> ObjectStore:
    return object_store.start(small)


@pytest.fixture(scope="module")
def offsite(small: Stack, store: ObjectStore) -> Stack:
    """The same stack once it has the off-site repository."""
    configure(small, store.settings())
    small.up()
    return small


def configure(stack: Stack, settings: str) -> None:
    """`pgstack:offsite`, all of it a secret."""
    stack.pulumi("config", "set", "--secret", "pgstack:offsite", settings)


def remote(stack: Stack, *command: str) -> str:
    """What pgBackRest says of the off-site repository."""
    config = "--config=/etc/pgstack/offsite.conf"
    return stack.execute("backup", "pgbackrest", config, "--stanza=main", "--log-level-console=error", *command)


def carried(stack: Stack) -> set[str]:
    """The names of the WAL segments in the off-site repository."""
    files = json.loads(remote(stack, "--recurse", "--output=json", "repo-ls", "archive/main"))
    return {name.rpartition("/")[2][:24] for name in files if name.endswith(".zst")}


def switched(stack: Stack) -> str:
    """The name of a segment that was just finished."""
    return stack.admin_sql("SELECT pg_logical_emit_message(true, 'test', ''); SELECT pg_walfile_name(pg_switch_wal())")[
        -24:
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"secret": "wrong-secret"}, 'pgstack:offsite.key is "key-of-the-tests": '),
        ({"bucket": "nowhere"}, 'pgstack:offsite.bucket is "nowhere": '),
        ({"ca": None}, "pgstack:offsite.ca is missing: "),
    ],
)
def test_a_store_that_refuses_is_one_line_and_nothing_is_lost(
    small: Stack, store: ObjectStore, wrong: dict[str, object], said: str
) -> None:
    before = small.config_file.read_text()
    configure(small, store.settings(**wrong))
    try:
        done = small.up(check=False)
    finally:
        small.config_file.write_text(before)
    shown = done.stdout + done.stderr
    assert done.returncode != 0
    (line,) = {line[line.index("pgstack:offsite.") :] for line in shown.splitlines() if "pgstack:offsite." in line}
    assert line.startswith(said)
    assert "`pulumi up` tries again" in line
    assert SECRET not in shown
    assert "wrong-secret" not in shown
    segment = switched(small)
    until_archived(small, segment)


@tenacity.retry(stop=tenacity.stop_after_delay(30), wait=tenacity.wait_fixed(0.3), reraise=True)
def until_archived(stack: Stack, segment: str) -> None:
    assert segment in archived(stack)


@tenacity.retry(stop=tenacity.stop_after_delay(120), wait=tenacity.wait_fixed(0.5), reraise=True)
def until_carried(stack: Stack, segment: str) -> None:
    assert segment in carried(stack)


def test_pgbackrest_takes_the_settings_of_every_type_and_would_connect(small: Stack) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    account = {"type": "service_account", "client_email": "a@b", "token_uri": f"https://{_NOBODY}/token"}
    account["private_key"] = key.decode()
    settings: list[dict[str, object]] = [
        {"type": "s3", "endpoint": _NOBODY, "bucket": "b", "region": "r", "key": "k", "secret": "s", "pathStyle": True},
        {"type": "azure", "endpoint": _NOBODY, "account": "a", "container": "c", "key": "YXpLZXk=", "pathStyle": True},
        {
            "type": "gcs",
            "endpoint": _NOBODY,
            "bucket": "b",
            "key": json.dumps(account),
        },
        {"type": "sftp", "host": _NOBODY, "user": "u", "key": key.decode(), "knownHost": f"{_NOBODY} ssh-ed25519 AAAA"},
    ]
    image = small.container("backup").image
    assert image is not None
    asked = []
    for given in settings:
        store = TypeAdapter(Offsite).validate_python(given)
        command = ["pgbackrest", "--config=/etc/pgstack/offsite.conf", "--stanza=main", "--io-timeout=1", "repo-ls"]
        container = small.engine.containers.create(
            image, command, network_mode="none", labels={"pgstack.stack": small.prefix}
        )
        container.put_archive(
            "/etc/pgstack", archive({OFFSITE_CONF: offsite_conf(store, "/x", "k"), **store_files(store)})
        )
        container.start()
        asked.append(container)
    for container in asked:
        assert container.wait()["StatusCode"] == _NOT_CONNECTED, container.logs()
        said = container.logs().decode()
        container.remove()
        assert f"unable to connect to '{_NOBODY}'" in said
        assert "WARN" not in said  # about options that it does not know


def test_both_repositories_have_a_full_backup_and_the_wal_since_each_with_its_own_key(offsite: Stack) -> None:
    (stanza,) = json.loads(remote(offsite, "--output=json", "info"))
    assert [(it["type"], it["error"]) for it in stanza["backup"]] == [("full", False)]
    assert stanza["cipher"] == "aes-256-cbc"
    until_carried(offsite, switched(offsite))
    assert carried(offsite) <= set(archived(offsite))
    keys = {
        line
        for name in ("pgbackrest", "offsite")
        for line in offsite.execute("backup", "cat", f"/etc/pgstack/{name}.conf").splitlines()
        if line.startswith("repo1-cipher-pass=")
    }
    assert len(keys) == 2
    offsite.pulumi("preview", "--expect-no-changes")


def status(stack: Stack) -> tuple[int, list[str]]:
    """The exit code and the problems that it names."""
    done = stack.pgstack("-s", stack.name, "status", "--json", check=False)
    return done.returncode, json.loads(done.stdout)["problems"]


@pytest.mark.fault(
    "the object store unreachable, under load",
    seen="`pgstack status`: the off-site repository does not answer, how many WAL segments wait and for how long",
    outcome="survived: the local archive and local backups go on; after 10 minutes, the 42 segments that waited were"
    " all there 14 s after the store was back",
)
def test_a_store_that_is_away_holds_up_neither_the_local_archive_nor_a_backup(
    offsite: Stack, store: ObjectStore
) -> None:
    with writing(offsite) as writer:
        seen = carried(offsite)
        with store.away():
            until = time.monotonic() + float(os.environ.get(_OUTAGE, "0"))
            writer.write_some()
            segment = switched(offsite)
            until_archived(offsite, segment)
            offsite.execute("backup", TAKE, "incr", "local")
            assert int(offsite.admin_sql("SELECT failed_count FROM pg_stat_archiver")) == 0
            while time.monotonic() < until:
                writer.write_some(1000)
                segment = switched(offsite)
                until_archived(offsite, segment)
            writer.write_some()
            code, problems = status(offsite)
            assert code == 1
            assert any("the offsite repository" in line for line in problems), problems
            waiting = archived(offsite).keys() - seen
        back = time.monotonic()
        until_carried(offsite, segment)
        took = time.monotonic() - back
        print(f"{len(waiting)} segments waited, all there {took:.0f} s after the store was")  # noqa: T201  # the row's figures
        assert status(offsite) == (0, [])
    newest = switched(offsite)
    until_carried(offsite, newest)
    wanted = {it for it in archived(offsite) if it <= newest and it >= min(carried(offsite))}
    assert carried(offsite) == wanted


def fulls(stack: Stack) -> list[tuple[str, bool]]:
    """The labels of the local full backups, and whether pages in them were wrong."""
    return [(it["label"], it["error"]) for it in info(stack)["backup"] if it["type"] == "full"]


def test_retention_never_lets_the_last_good_full_backup_go(offsite: Stack) -> None:
    good, _ = fulls(offsite)[0]
    offsite.admin_sql("CREATE TABLE damaged AS SELECT generate_series(1, 1000); CHECKPOINT")
    path = offsite.admin_sql("SELECT pg_relation_filepath('damaged')")
    # a page of the live cluster, which pgBackRest copies, and marks the backup for
    ruin = "dd if=/dev/zero of=/var/lib/postgresql/16/main/$1 bs=1 count=8 seek=4000 conv=notrunc status=none"
    offsite.execute("postgres", "sh", "-c", ruin, "sh", path)
    for _ in range(3):  # two are kept
        code, said = offsite.container("backup").exec_run([TAKE, "full", "local"])
        assert code == 1
        assert b"no backup expires in the local repository because of the newest full one: it holds pages" in said
    assert fulls(offsite)[0] == (good, False)
    assert [error for _, error in fulls(offsite)] == [False, True, True, True]

    offsite.admin_sql("DROP TABLE damaged; CHECKPOINT")
    offsite.execute("backup", TAKE, "full", "local")
    assert [error for _, error in fulls(offsite)] == [True, False]

    # a sound one that rots in the repository before the next is taken
    offsite.execute("backup", TAKE, "full", "local")
    before = fulls(offsite)
    config = "--config=/etc/pgstack/pgbackrest.conf"
    offsite.execute("backup", "pgbackrest", config, "--stanza=main", "--type=full", "backup")
    faults.flip_a_byte(offsite, faults.bundle(offsite))
    code, said = offsite.container("backup").exec_run([TAKE, "none", "local"])
    assert code == 1
    assert b"it does not verify" in said
    assert fulls(offsite)[: len(before)] == before


def test_the_exported_keys_open_the_off_site_repository_from_any_host(offsite: Stack, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    offsite.pgstack("-s", offsite.name, "keys", "export", str(file))
    kept = json.loads(file.read_text())
    assert kept["offsite_key"] != kept["repository_key"]
    store = TypeAdapter(Offsite).validate_python(kept["offsite"])
    given = {"offsite.conf": offsite_conf(store, "", kept["offsite_key"]), **store_files(store)}
    image = offsite.container("backup").image
    assert image is not None
    # a container without a volume of the stack
    elsewhere = offsite.engine.containers.create(
        image,
        ["pgbackrest", "--config=/etc/pgstack/offsite.conf", "--stanza=main", "--output=json", "info"],
        network=offsite.prefix, labels={"pgstack.stack": offsite.prefix},
    )  # fmt: skip
    elsewhere.put_archive("/etc/pgstack", archive(given))
    elsewhere.start()
    assert elsewhere.wait()["StatusCode"] == 0
    (stanza,) = json.loads(elsewhere.logs(stderr=False))
    elsewhere.remove()
    assert stanza["status"]["message"] == "ok"
    assert stanza["backup"][0]["type"] == "full"


def test_with_the_local_repository_gone_a_restore_comes_from_the_other(offsite: Stack) -> None:
    offsite.admin_sql("CREATE TABLE kept AS SELECT 'before' AS word", "dovvybuddy")
    until_carried(offsite, switched(offsite))
    offsite.execute("backup", "sh", "-c", "rm -r /var/lib/pgbackrest/*")

    done = offsite.pgstack("-s", offsite.name, "restore", "run", "--to", "latest", "--repository", "offsite")
    assert "generation 2 is restored" in done.stdout
    query = ("psql", "dovvybuddy", "-g", "2", "--admin", "--", "-XqAt", "-c", "SELECT word FROM kept")
    assert offsite.pgstack("-s", offsite.name, *query).stdout == "before\n"
    offsite.pulumi("preview", "--expect-no-changes")
    offsite.pgstack("-s", offsite.name, "restore", "drop", "2", "--yes")

    offsite.pgstack("-s", offsite.name, "backup", "now", "--type", "full", "--repository", "local")
    until_carried(offsite, switched(offsite))
    offsite.pgstack("-s", offsite.name, "backup", "verify")


def test_without_the_setting_nothing_goes_off_site_and_no_secret_of_the_store_stays(offsite: Stack) -> None:
    with offsite.configured():
        offsite.pulumi("config", "rm", "pgstack:offsite")
        offsite.up()

    listed = offsite.pgstack("-s", offsite.name, "backup", "list", "--json").stdout
    assert {it["repository"] for it in json.loads(listed)} == {"local"}
    assert SECRET not in offsite.execute("backup", "sh", "-c", "cat $(find /etc/pgstack -type f)")
    offsite.execute("backup", TAKE, "incr")
    assert status(offsite) == (0, [])
