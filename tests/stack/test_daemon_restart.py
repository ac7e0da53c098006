"""The Docker daemon is restarted, as by an upgrade of its package, while applications write."""

import pytest
import tenacity

from tests.deployment import ROLES, NewStack, Stack
from tests.stack.second_daemon import Daemon, StackOnSecondDaemon, missing, second_daemon
from tests.stack.writer import writing

BACK_WITHIN = 60  # seconds


def test_everything_comes_back_by_itself_after_a_restart_of_the_daemon_and_postgres_was_stopped_cleanly(
    stack: Stack, new_stack: NewStack
) -> None:
    if lacking := missing():
        pytest.skip(f"not run: a restart of the Docker daemon under load ({lacking})")
    with second_daemon() as daemon:
        there = deployed(stack, new_stack(own_copy=True), daemon)
        began = there.admin_sql("SELECT pg_postmaster_start_time()")
        with writing(there, clients=8, prepare=daemon.enter) as writer:
            writer.write_some(500)
            daemon.stop()
            daemon.start()
            all_healthy(there)
            writer.write_some(500)

        assert there.admin_sql("SELECT pg_postmaster_start_time()") != began
        said = there.container("postgres").logs(stderr=True, stdout=True).decode()
        assert said.count("database system is shut down") == 1
        for crash in ("not properly shut down", "was interrupted", "automatic recovery", "was shut down in recovery"):
            assert crash not in said
        there.execute("backup", "pgbackrest", "--stanza=main", "check")
        assert there.plan() == []


def deployed(stack: Stack, fresh: Stack, daemon: Daemon) -> Stack:
    """`fresh` on `daemon`, which has no network to build images with: it runs those of `stack`."""
    tags = daemon.take_images(stack)
    for folder, role in (("postgres", "postgres"), ("pgbouncer", "pooler"), ("drills", "drills")):
        (fresh.home / "docker" / folder / "Dockerfile").write_text(f"FROM {tags[role]}\n")
    there = StackOnSecondDaemon.of(fresh, daemon)
    there.up()
    return there


def all_healthy(stack: Stack) -> None:
    """Returns when every container is, without anybody's help."""
    for attempt in tenacity.Retrying(
        stop=tenacity.stop_after_delay(BACK_WITHIN), wait=tenacity.wait_fixed(0.2), reraise=True
    ):
        with attempt:
            found = {role: stack.container(role).attrs["State"]["Health"]["Status"] for role in ROLES}
            assert found == dict.fromkeys(ROLES, "healthy")
