"""A restored cluster is made the live one and left again while clients work; then any moment of all that comes back.

The targets are chosen by chance from what a ledger outside says; PGSTACK_TEST_TARGETS says how many (10).
"""

import datetime
import fcntl
import json
import os
import random
import re
import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
import tenacity
import yaml

from db import transactions
from db.engine import dispose, engine
from db.settings import PoolSettings
from infra.selfhosted.restored import options
from infra.settings import Origin
from ops.restoring.wal import SEGMENT, lsn_text, named, position
from tests.deployment import NewStack, Run, Stack
from tests.stack import faults
from tests.stack.ledger import TABLE, Entry, Ledger, kept
from tests.stack.repository import archived

CLIENTS = 50
LONGEST_STALL = 10  # seconds; the goal is 3
TARGETS = int(os.environ.get("PGSTACK_TEST_TARGETS", "10"))


_INSERT = sqlalchemy.text("INSERT INTO maps.load VALUES (gen_random_uuid())")


@dataclass
class Load:
    """What the clients saw: the duration of each transaction in seconds, and every failure."""

    took: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def said(self, during: str) -> str:
        """A line for whoever runs this with `pytest -s`."""
        return (
            f"\n{during}: {len(self.took):,} transactions of {CLIENTS} clients, {len(self.failures)} failed, longest"
            f" {max(self.took):.2f} s, median {statistics.median(self.took) * 1000:.1f} ms"
        )


@dataclass
class World:
    """A stack that went from timeline 1 to 2 to 3 and back to 2, with what was committed, and what the load saw."""

    stack: Stack
    ledger: Ledger
    loads: dict[str, Load]


@pytest.fixture(scope="module")
def world(new_stack: NewStack, pgstack: Run) -> World:
    stack = new_stack()
    stack.pulumi("config", "set", "--path", "pgstack:apps[0]", "maps")
    stack.pulumi("config", "set", "pgstack:seeds", "[]")
    for kind in ("Full", "Differential", "Incremental"):  # the newest backup is the one that is taken below
        stack.configure(f"backup{kind}", "0 0 1 1 *")
    stack.up()

    def run(*arguments: str) -> str:
        return pgstack(*arguments, of=stack).stdout

    stack.admin_sql("CREATE TABLE maps.load (id uuid); GRANT INSERT ON maps.load TO maps_app", "maps")
    loads = {}
    with kept(stack) as ledger:
        ledger.wait_for(40, 1)
        chosen = random.Random(1).choice(ledger.of(1)[10:])  # noqa: S311  # seeded, and no secret
        with load(stack) as loads["swap"]:
            assert "generation 2 is live" in run("restore", "run", "--to", chosen.at.isoformat(), "--swap", "--yes")
        ledger.restored(chosen, 2)
        ledger.wait_for(40, 2)
        run("backup", "now")
        chosen = random.Random(2).choice(ledger.of(2)[10:])  # noqa: S311
        assert "generation 3 is restored" in run("restore", "run", "--to", str(chosen.xid))
        assert "generation 3 is live" in run("restore", "swap", "3", "--yes")
        ledger.restored(chosen, 3)
        ledger.wait_for(40, 3)
        with load(stack) as loads["undo"]:
            assert "generation 2 is live again" in run("restore", "undo", "--yes")
        ledger.wait_for(40, 2)
        run("backup", "point", "the-end")
    run("backup", "point", "after-the-end")
    return World(stack, ledger, loads)


@contextmanager
def load(stack: Stack) -> Iterator[Load]:
    """Clients at work through the pooler, each on one connection."""
    seen, stop = Load(), threading.Event()
    url, ca_file = stack.outputs["maps_pooled_url"], str(stack.ca_file)

    def work() -> None:
        try:
            with psycopg.connect(url, sslrootcert=ca_file, autocommit=True) as connection:
                while not stop.is_set():
                    began = time.perf_counter()
                    with connection.transaction():
                        connection.execute("INSERT INTO maps.load VALUES (%s)", [uuid.uuid4()], prepare=False)
                    seen.took.append(time.perf_counter() - began)
                    stop.wait(0.1)  # the load, not a wait
        except psycopg.Error as error:
            seen.failures.append(str(error))

    clients = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield seen
    finally:
        stop.set()
        for client in clients:
            client.join()


@pytest.mark.parametrize("during", ["swap", "undo"])
def test_no_client_fails_while_all_are_moved(world: World, during: str) -> None:
    seen = world.loads[during]
    print(seen.said(during))  # noqa: T201  # the figures of README

    assert seen.failures == []
    assert max(seen.took) < LONGEST_STALL


@tenacity.retry(stop=tenacity.stop_after_delay(60), wait=tenacity.wait_fixed(0.05), reraise=True)
def until_each_was_served(seen: Load) -> None:
    assert len(seen.took) >= CLIENTS


def test_a_restart_of_the_pooler_fails_no_unit_of_work_of_the_data_layer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(world.stack.ca_file))
    pool = engine(world.stack.outputs["maps_pooled_url"], settings=PoolSettings(size=CLIENTS))
    stop, seen = threading.Event(), Load()

    def work() -> None:
        while not stop.is_set():
            began = time.perf_counter()
            try:
                transactions.run(pool, lambda session: session.execute(_INSERT), attempts=20)
            except Exception as error:  # noqa: BLE001  # whatever it is, it failed
                seen.failures.append(str(error))
            seen.took.append(time.perf_counter() - began)
            stop.wait(0.5)  # the load, not a wait

    clients = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        until_each_was_served(seen)
        world.stack.container("pooler").restart()
    finally:
        stop.set()
        for client in clients:
            client.join()
        dispose()
    print(seen.said("restart of the pooler"))  # noqa: T201  # the figures of README
    assert seen.failures == []
    assert max(seen.took) < LONGEST_STALL


def test_what_was_swapped_is_settled(world: World, pgstack: Run) -> None:
    listed = [line.split()[:3] for line in pgstack("restore", "list", of=world.stack).stdout.splitlines()[2:]]

    assert [(it[0], it[1]) for it in listed] == [("1", "read"), ("2", "live"), ("3", "read")]
    assert world.stack.plan() == []
    assert pgstack("status", of=world.stack).returncode == 0
    refused = pgstack("restore", "drop", "2", "--yes", code=2, of=world.stack)
    assert "has no cluster 2 beside the live one: there are 1, 3" in refused.stderr


@pytest.mark.parametrize("nth", range(TARGETS))
def test_any_moment_comes_back_to_the_transaction(world: World, pgstack: Run, nth: int) -> None:
    chance = random.Random(nth)  # noqa: S311  # seeded, and no secret
    kind = ["time", "time", "xid", "lsn", "time"][nth % 5]
    live = world.ledger.of(2)
    # a number or position may be on two timelines, and then means the live one's
    entry = chance.choice(world.ledger.entries if kind == "time" else live)
    target = {"time": str(_between(world.ledger, entry, chance)), "xid": str(entry.xid), "lsn": entry.lsn}[kind]

    assert _restored(world.stack, pgstack, target) == world.ledger.expected(entry), f"--to {target}, seed {nth}"


def test_a_point_and_the_newest_backup_come_back(world: World, pgstack: Run) -> None:
    last = world.ledger.of(2)[-1]
    # the client went on: what it committed before the point is there, in its order
    there = _restored(world.stack, pgstack, "the-end")
    assert there == world.ledger.expected(last)[: len(there)]
    assert len(there) >= len(world.ledger.bases[2]) + 80

    backup = _restored(world.stack, pgstack, "immediate")
    assert backup == world.ledger.expected(last)[: len(backup)]
    assert len(world.ledger.bases[2]) + 40 <= len(backup) < len(there)


@pytest.mark.fault(
    "the first WAL segment of a restored cluster is gone from the archive",
    seen="`backup verify` names the segments around it; `pgstack status` tells of it",
    outcome="detected: a full backup is taken by itself, unless a later one is there; before it is a gap",
)
def test_a_timeline_that_lacks_its_first_segment_is_told(world: World, pgstack: Run) -> None:
    first = next(it for it in archived(world.stack) if it.startswith("00000002"))

    with faults.undone(world.stack):
        faults.remove(world.stack, faults.path(world.stack, first))
        said = pgstack("backup", "verify", code=1, of=world.stack).stdout
        lost = world.stack.execute("backup", "/usr/local/lib/pgstack/lost-wal")

    before, following = named(position(first) - SEGMENT, 1), named(position(first) + SEGMENT, 2)
    assert f"local: WAL is missing between {before} and {following}: " in said
    assert lost.startswith(f"lost {first} {first} ")
    assert world.stack.execute("backup", "/usr/local/lib/pgstack/lost-wal") == ""


def test_a_move_that_is_not_finished_is_told_and_the_live_cluster_can_not_be_dropped(
    world: World, pgstack: Run
) -> None:
    stack = world.stack
    with stack.configured(live="1,2,3,2,3"):
        problems = json.loads(pgstack("status", "--json", code=1, of=stack).stdout)["problems"]
        assert [it for it in problems if it.startswith("clients are to be moved to cluster 3 and were not")] == problems
        refused = pgstack("restore", "drop", "2", "--yes", code=2, of=stack)
        assert "has no cluster 2 beside the live one: there are 1, 3" in refused.stderr
    pgstack("status", of=stack)


def test_two_changes_at_once_are_one_and_a_refusal_that_changes_nothing(world: World, pgstack: Run) -> None:
    before = world.stack.config_file.read_text()
    with (Path(world.stack.env["PGSTACK_STATE"]) / world.stack.name / "changing").open("w") as held:
        held.write("4711\n")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = pgstack("restore", "swap", "3", "--yes", code=1, of=world.stack)
    assert "is being changed by process 4711 of pgstack: wait for it" in refused.stderr
    assert world.stack.config_file.read_text() == before


def test_settings_that_do_not_know_the_live_cluster_are_refused_until_they_are_brought_up_to_date(world: World) -> None:
    stack, known, told = world.stack, world.stack.config_file.read_text(), None
    stack.pulumi("config", "rm", "pgstack:live")
    stack.pulumi("config", "rm", "pgstack:generations")

    for verb in (("preview",), ("up", "--yes", "--skip-preview")):
        refused = stack.pulumi(*verb, check=False)
        assert refused.returncode != 0
        told = re.search(
            r"generation 2 is live, made by .* does not name it: (pulumi config set-all .*)", refused.stdout
        )
        assert told
    assert told is not None
    assert stack.serves("postgres-2")

    stack.run(*told[1].split())
    assert yaml.safe_load(stack.config_file.read_text())["config"] == yaml.safe_load(known)["config"]
    assert stack.plan() == []


@pytest.mark.fault(
    "PGDATA removed",
    seen="the server refuses to start: `data volume ... is empty, but stack ... has cluster`; `status` names its"
    " container",
    outcome="survived: nothing is initialised over it, and `restore run --to latest --swap` brings back all that was"
    " archived",
)
def test_a_live_cluster_whose_data_is_gone_is_left_with_all_that_was_archived(world: World, pgstack: Run) -> None:
    """The last of this file: two clusters less, one more."""
    stack = world.stack
    last = world.ledger.of(2)[-1]
    stack.container("postgres-2").kill()
    stack.engine.containers.run(
        stack.container("backup").attrs["Image"],
        ["rm", "-rf", "/var/lib/postgresql/16/main"],
        volumes={f"{stack.prefix}-data-2": {"bind": "/var/lib/postgresql", "mode": "rw"}},
        labels={"pgstack.stack": stack.prefix},
        remove=True,
    )
    stack.container("postgres-2").start()
    told = json.loads(pgstack("status", "--json", of=stack, code=1).stdout)["problems"]
    assert any(f"container {stack.prefix}-postgres-2" in it for it in told)

    said = pgstack("restore", "run", "--to", "latest", "--swap", "--yes", of=stack)

    assert "only what is archived can be restored" in said.stderr
    assert "generation 4 is live" in said.stdout
    refused = stack.container("postgres-2").logs().decode()
    assert re.search("data volume .* is empty, but stack .* has cluster", refused)
    numbers = f"SELECT number FROM {TABLE} ORDER BY number"
    there = pgstack("psql", "maps", "--admin", "--", "-XqAt", "-c", numbers, of=stack).stdout.split()
    assert [int(it) for it in there] == world.ledger.expected(last)
    assert pgstack("status", of=stack).returncode == 0
    pgstack("restore", "drop", "2", "--yes", of=stack)
    pgstack("restore", "drop", "1", "--yes", of=stack)
    assert stack.plan() == []
    assert not [
        it.name for it in stack.engine.volumes.list() if it.name in {f"{stack.prefix}-data", f"{stack.prefix}-data-2"}
    ]


def _between(ledger: Ledger, entry: Entry, chance: random.Random) -> datetime.datetime:
    """A moment at or after the entry and before the next one of the same timeline."""
    following = ledger.entries[ledger.entries.index(entry) + 1 :][:1]
    if not following or following[0].timeline != entry.timeline:
        return entry.at
    return entry.at + (following[0].at - entry.at) * chance.random() * 0.999


def _restored(stack: Stack, pgstack: Run, target: str) -> list[int]:
    """The ledger's numbers in a cluster restored to that target, as `restore run` would restore it."""
    plan = json.loads(pgstack("restore", "plan", "--to", target, "--json", of=stack).stdout)
    origin = Origin(backup=plan["backup"]["label"], lsn=lsn_text(plan["stop"]), timeline=plan["timeline"])
    backup = stack.container("backup")
    container = stack.engine.containers.run(
        backup.attrs["Image"],
        ["bash", "-c", _RESTORE_AND_SERVE, "restore", *options(origin)],
        labels={"pgstack.stack": stack.prefix},
        environment={"PGSTACK_ID": "a ledger's", "PGSTACK_SOURCE": "packages"},
        volumes={
            f"{stack.prefix}-repository": {"bind": "/var/lib/pgbackrest", "mode": "ro"},
            f"{stack.prefix}-backup-files": {"bind": "/etc/pgstack", "mode": "ro"},
        },
        network_mode="none",
        detach=True,
    )
    try:
        assert container.wait()["StatusCode"] == 0, container.logs().decode()
        said = container.logs(stdout=True, stderr=False).decode().splitlines()
        return [int(it.removeprefix("number ")) for it in said if it.startswith("number ")]
    finally:
        container.remove(force=True, v=True)


_RESTORE_AND_SERVE = f"""
set -euo pipefail
/usr/local/lib/pgstack/restore "$@" >/dev/null
options="-c listen_addresses='' -c unix_socket_directories=/tmp -c hba_file=$PGDATA/pg_hba.conf"
options+=" -c max_connections=100 -c track_commit_timestamp=on"
pg_ctl start --silent --wait --timeout=120 --log=/tmp/log --options="$options" || {{ cat /tmp/log >&2; exit 1; }}
psql="psql -XqAt -h /tmp -U postgres -d maps"
for _ in {{1..600}}; do
  [[ $($psql -c 'SELECT pg_is_in_recovery()') == f ]] && break
  sleep 0.1
done
$psql -c "SELECT 'number ' || number FROM {TABLE} ORDER BY number"
pg_ctl stop --silent --mode=immediate
"""
