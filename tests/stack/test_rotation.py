"""Another key for the backups, by the runbook: every moment of before and since is in reach, with its own key only."""

import datetime
import io
import json
import signal
import subprocess
import tarfile
from dataclasses import dataclass
from typing import Any

import pytest
import tenacity

from tests.deployment import NewStack, Stack
from tests.stack import ledger, object_store, runbooks
from tests.stack.ledger import Entry, Ledger

PAGE = "rotate-the-backup-key.md"
_FOLDER = "/etc/pgstack"
_OLD = {"local": "old", "offsite": "old-offsite"}


@dataclass(frozen=True)
class Rotation:
    """A stack whose keys were rotated while a client committed; `before` and `after` are the exported files."""

    stack: Stack
    ledger: Ledger
    before: dict[str, Any]
    after: dict[str, Any]


@pytest.fixture(scope="module")
def rotation(new_stack: NewStack, tmp_path_factory: pytest.TempPathFactory) -> Rotation:
    """Interrupted first, then done by the runbook up to the step before the last."""
    stack = new_stack("preview")
    stack.configure("apps", '["maps"]')
    stack.up()
    store = object_store.start(stack)
    stack.pulumi("config", "set", "--secret", "pgstack:offsite", store.settings())
    stack.up()
    files = [tmp_path_factory.mktemp("keys") / name for name in ("before.json", "after.json")]
    pgstack(stack, "keys", "export", str(files[0]))
    with ledger.kept(stack) as kept:
        kept.wait_for(10, timeline=1)
        interrupt(stack)
        kept.wait_for(10, timeline=1)
        runbooks.typed(stack, runbooks.blocks(PAGE)[:-1], KEYS_FILE=str(files[1]))
        kept.wait_for(10, timeline=1)
    pgstack(stack, "backup", "point", "end")
    return Rotation(stack, kept, *(json.loads(it.read_text()) for it in files))


def pgstack(stack: Stack, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = stack.pgstack("-s", stack.name, *arguments, check=False)
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return done


def interrupt(stack: Stack) -> None:
    """Ctrl-C once there are repositories to come; nothing is lost, and backups are made with the key of before."""
    process = subprocess.Popen(
        [stack.home / ".venv/bin/python", "-m", "ops.main", "-s", stack.name, "keys", "rotate"],
        cwd=stack.home, env=stack.env, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0,
    )  # fmt: skip
    for attempt in tenacity.Retrying(stop=tenacity.stop_after_delay(60), wait=tenacity.wait_fixed(0.1), reraise=True):
        with attempt:
            stack.execute("backup", "test", "-s", "/etc/pgstack/next.conf")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert pgstack(stack, "keys", "retire", code=1).stderr.startswith("pgstack: this asks before it goes on")
    pgstack(stack, "backup", "now", "--repository", "local")


def planned(stack: Stack, entry: Entry, repository: str) -> tuple[int | None, str]:
    """The last transaction that a restore to that entry keeps (None: no restore leads there), and what was said."""
    to = ("restore", "plan", "--to", str(entry.xid), "--repository", repository, "--json")
    done = stack.pgstack("-s", stack.name, *to, check=False)
    if done.returncode:
        return None, done.stderr
    return json.loads(done.stdout)["kept"]["xid"], ""


@pytest.mark.parametrize("where", ["local", "offsite"])
def test_every_moment_is_reached_from_the_repository_of_before_or_the_present_one(
    rotation: Rotation, where: str
) -> None:
    listed = json.loads(pgstack(rotation.stack, "backup", "list", "--json").stdout)
    first = next(it for it in listed if it["repository"] == where)
    complete = datetime.datetime.fromisoformat(first["stop"])
    entries, second = rotation.ledger.entries, datetime.timedelta(seconds=1)
    before = [it for it in entries if it.at < complete]
    since = [it for it in entries if it.at > complete + second]

    reached = []
    for entry in (before[-1], since[0], since[-1]):
        here, said = planned(rotation.stack, entry, where)
        there, _ = planned(rotation.stack, entry, _OLD[where])
        assert {here, there} <= {entry.xid, None}
        assert here or f"`--repository {_OLD[where]}` has what was before" in said
        reached.append((here is not None, there is not None))

    # WAL went on to the old ones until after the first backup with the new key was complete
    assert reached == [(False, True), (True, True), (True, False)]


def test_the_old_repository_says_where_it_ends_instead_of_leaving_out_what_it_does_not_know(rotation: Rotation) -> None:
    late = rotation.ledger.entries[-1].at
    said = pgstack(rotation.stack, "restore", "plan", "--to", late.isoformat(), "--repository", "old", code=1).stderr
    assert "is after the last transaction of the old repository" in said
    refused = pgstack(rotation.stack, "backup", "now", "--repository", "old", code=1).stderr
    assert refused.startswith("pgstack: the old repository takes no more backups")


def opened(stack: Stack, repository: str, key: str) -> bool:
    """Whether the key opens the repository."""
    config = "pgbackrest" if repository == "local" else repository
    code, said = stack.container("backup").exec_run(
        ["pgbackrest", f"--config={_FOLDER}/{config}.conf", "--stanza=main", "repo-get", "archive/main/archive.info"],
        environment={"PGBACKREST_REPO1_CIPHER_PASS": key},
    )
    assert isinstance(said, bytes)
    return code == 0 and b"db-system-id" in said


def test_each_repository_is_opened_by_its_own_key_alone_and_the_exported_file_has_them_all(rotation: Rotation) -> None:
    keys = {
        "old": rotation.before["repository_key"],
        "old-offsite": rotation.before["offsite_key"],
        "local": rotation.after["repository_key"],
        "offsite": rotation.after["offsite_key"],
    }
    assert len(set(keys.values())) == len(keys)
    assert {
        (repository, of) for repository in keys for of, key in keys.items() if opened(rotation.stack, repository, key)
    } == {(it, it) for it in keys}
    assert "key-2" not in "".join(rotation.after["old"])
    assert sorted(rotation.after["old"].values()) == sorted([keys["old"], keys["old-offsite"]])
    assert rotation.after["offsite"]["path"] == f"{rotation.before['offsite']['path']}/key-2"


def test_the_stack_is_well_and_settings_of_before_the_rotation_are_refused(rotation: Rotation) -> None:
    stack = rotation.stack
    stack.pulumi("preview", "--expect-no-changes")
    assert json.loads(pgstack(stack, "status", "--json").stdout)["problems"] == []
    with stack.configured(repositoryKeys="1"):
        refused = stack.pulumi("preview", check=False)
    assert refused.returncode != 0
    assert "backups are made with key 2, and stacks/Pulumi." in refused.stdout + refused.stderr
    assert f"pulumi config set -s {stack.name} pgstack:repositoryKeys 1,2" in refused.stdout + refused.stderr
    again = pgstack(stack, "keys", "rotate", code=1).stderr
    assert "the repositories of key 1 are still there" in again


def numbers(stack: Stack, *of: str) -> list[int]:
    """The ledger's numbers in the database, or in that of the cluster of `of`."""
    query = ("psql", "maps", *of, "--admin", "--", "-XqAt", "-c", f"SELECT number FROM {ledger.TABLE} ORDER BY 1")
    return [int(it) for it in pgstack(stack, *query).stdout.split()]


def test_both_sides_of_the_switch_come_back_and_one_of_before_can_be_made_live(rotation: Rotation) -> None:
    stack, entries = rotation.stack, rotation.ledger.entries
    early, late = entries[len(entries) // 10], entries[-5]

    pgstack(stack, "restore", "run", "--to", str(early.xid), "--repository", "old-offsite")
    assert numbers(stack, "-g", "2") == rotation.ledger.expected(early)
    pgstack(stack, "restore", "run", "--to", str(late.xid), "--repository", "local")
    assert numbers(stack, "-g", "3") == rotation.ledger.expected(late)
    assert numbers(stack) == [it.number for it in entries]

    pgstack(stack, "restore", "swap", "2", "--yes")
    pgstack(stack, "backup", "point", "since-the-swap")
    # it left the live one's timeline before there was a backup with the new key
    plan = json.loads(pgstack(stack, "restore", "plan", "--to", "since-the-swap", "--json").stdout)
    assert (plan["possible"], plan["timeline"]) == (True, 2)


def stored(stack: Stack) -> list[str]:
    """The files of the off-site store, as `BUCKET/PATH`."""
    chunks, _ = stack.container("store").get_archive(f"/buckets/{object_store.BUCKET}")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        return [it.name for it in tar if it.isfile()]


def test_what_is_retired_is_gone_from_the_volume_the_store_and_the_files(rotation: Rotation) -> None:
    stack = rotation.stack
    label = next(it["label"] for it in json.loads(pgstack(stack, "backup", "list", "--json").stdout))
    folder = f"/var/lib/pgbackrest/key-2/backup/main/{label}"
    assert stack.execute("backup", "ls", folder)

    said = runbooks.typed(stack, runbooks.blocks(PAGE)[-1:])

    assert "the repositories of key 1 are gone" in said
    left = stack.execute("backup", "find", "/var/lib/pgbackrest", "-type", "f", "-not", "-path", "*/key-2/*")
    assert left == ""
    folders = {it.split("/")[2] for it in stored(stack) if f"/{stack.prefix}/" in it}
    assert folders == {"key-2"}
    files = stack.execute("backup", "sh", "-c", f"cat {_FOLDER}/*.conf")
    assert rotation.before["repository_key"] not in files
    assert rotation.before["offsite_key"] not in files
    gone = pgstack(stack, "restore", "plan", "--to", "latest", "--repository", "old", code=1)
    assert gone.stderr.startswith("pgstack: there is no old repository")
    state = stack.pulumi("stack", "export", "--show-secrets").stdout
    assert rotation.before["repository_key"] not in state
    assert rotation.after["repository_key"] in state
    stack.pulumi("preview", "--expect-no-changes")
