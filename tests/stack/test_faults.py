"""What is killed, cut off or damaged under load: survived, or seen; docs/faults.md is made from the marks."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import tenacity
from docker.errors import APIError

from tests.deployment import ROLES, Run, Stack
from tests.stack.repository import info, live_archive, number, pgbackrest
from tests.stack.writer import writing

soon = tenacity.retry(
    stop=tenacity.stop_after_delay(120),
    wait=tenacity.wait_fixed(0.3),
    retry=tenacity.retry_if_exception_type((AssertionError, APIError)),  # a container that restarts takes no command
    reraise=True,
)


@pytest.mark.fault(
    "all containers of the stack killed at once, under load",
    seen="applications can't connect; `pgstack status` names each container and `pgstack start`",
    outcome="survived: `pgstack start` brings all back, every acknowledged row is there",
)
def test_all_containers_killed_at_once_under_load_lose_no_acknowledged_row(stack: Stack, pgstack: Run) -> None:
    with writing(stack, clients=4) as writer:
        writer.write_some(100)
        with ThreadPoolExecutor(len(ROLES)) as threads:
            list(threads.map(lambda role: stack.container(role).kill(), ROLES))
        problems = json.loads(pgstack("status", "--json", code=1).stdout)["problems"]
        assert [it for it in problems if it.endswith("`pgstack start` starts it")] == [
            f"container {stack.prefix}-{role} is exited: `pgstack start` starts it" for role in ROLES
        ]
        pgstack("start")
        writer.write_some()
    pgbackrest(stack, "check")
    assert stack.plan() == []


@pytest.mark.fault(
    "the server process killed (out of memory), under load",
    seen="some failed queries, others wait in the pooler for a second or two",
    outcome="survived: the server comes back by itself, every acknowledged row is there",
)
def test_a_killed_server_process_comes_back_by_itself_and_loses_no_acknowledged_row(stack: Stack) -> None:
    started = "SELECT pg_postmaster_start_time()"
    before = stack.admin_sql(started)
    with writing(stack, clients=4) as writer:
        writer.write_some(100)
        # the container may end before the command does, which then counts as killed too
        stack.container("postgres").exec_run(["sh", "-c", "kill -KILL $(head -1 $PGDATA/postmaster.pid)"])
        server_serves(stack)
        writer.write_some(100)
    assert stack.admin_sql(started) > before


@soon
def server_serves(stack: Stack) -> None:
    assert stack.serves("postgres")
    assert stack.container("postgres").attrs["RestartCount"] > 0


@pytest.mark.fault(
    "a backup killed",
    seen="the backup is not listed",
    outcome="survived: the next backup removes what it left, and verifies",
)
def test_a_killed_backup_is_no_backup_and_hinders_no_other(stack: Stack, pgstack: Run) -> None:
    before = [it["label"] for it in info(stack)["backup"]]
    stack.admin_sql("CREATE TABLE public.filler AS SELECT md5(g::text) FROM generate_series(1, 1500000) g", "maps")
    container = stack.container("backup")
    backup = threading.Thread(
        target=container.exec_run, args=(["pgbackrest", "--stanza=main", "--type=full", "--process-max=1", "backup"],)
    )
    backup.start()

    @soon
    def kill() -> None:
        assert "main" in stack.execute("backup", "sh", "-c", "ls /var/lib/pgbackrest/backup")
        copying = "grep -alz backup:local /proc/[0-9]*/cmdline"
        assert container.exec_run(["bash", "-c", copying]).exit_code == 0

    try:
        kill()
        killed = "cd /proc; kill -KILL $(grep -alzE -e '^--type=full' [0-9]*/cmdline | cut -d/ -f1)"
        stack.execute("backup", "bash", "-c", killed)
        backup.join()
        assert [it["label"] for it in info(stack)["backup"]] == before
    finally:
        stack.admin_sql("DROP TABLE public.filler", "maps")
    pgstack("backup", "now", "--type", "full")
    assert len(info(stack)["backup"]) == len(before) + 1
    assert "status: ok" in pgbackrest(stack, "--output=text", "--verbose", "verify")


@pytest.mark.fault(
    "the backup container out of reach for a while, under load",
    seen="`pgstack status`: the last attempt to archive WAL failed, how much waits and how long that can go on",
    outcome="survived: nothing fails meanwhile; all WAL is archived afterwards, without a gap",
)
def test_an_unreachable_repository_stops_nobody_and_gets_all_wal_afterwards(stack: Stack, pgstack: Run) -> None:
    network = stack.engine.networks.get(stack.outputs["network"])
    backup = stack.container("backup")
    switch = "SELECT pg_switch_wal()"
    with writing(stack) as writer:
        writer.write_some()
        network.disconnect(backup)
        try:
            for _ in range(3):
                writer.write_some()
                stack.admin_sql(switch)

            @soon
            def told() -> None:
                problems = json.loads(pgstack("status", "--json", code=1).stdout)["problems"]
                assert any("the last attempt to archive WAL failed: " in it for it in problems)

            told()
        finally:
            network.connect(backup, aliases=["backup"])
        writer.write_some()
        assert writer.failures == []
    pgstack("backup", "point", "reachable-again")
    segments = [number(it) for it in live_archive(stack)]
    assert segments == list(range(segments[0], segments[-1] + 1))
    pgstack("status")
