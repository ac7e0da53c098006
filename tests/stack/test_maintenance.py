"""A deployed stack does by itself what an application wants done every day, and says so when it could not."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import tenacity

from tests.deployment import NewStack, Stack

_AT_ONCE = "* * * * *"
_WITHIN = 90  # seconds: a minute until the next run, and the run
_NEWEST = "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'bots.bot_logs'::regclass"
_REFUSE = (
    "CREATE FUNCTION bots.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;"
    "CREATE TRIGGER refuse BEFORE DELETE ON bots.sessions FOR EACH STATEMENT EXECUTE FUNCTION bots.refuse()"
)


@pytest.fixture(scope="module")
def stack(new_stack: NewStack) -> Stack:
    """A stack of bots alone, whose daily maintenance runs each minute once it is deployed a second time."""
    it = new_stack()
    it.configure("apps", '["bots"]')
    it.up()
    return it


def status(stack: Stack) -> dict[str, Any]:
    done = stack.pgstack("-s", stack.name, "status", "--json", check=False)
    return dict(json.loads(done.stdout))


def soon(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    tenacity.retry(
        stop=tenacity.stop_after_delay(_WITHIN),
        wait=tenacity.wait_fixed(1),
        retry=tenacity.retry_if_result(lambda held: not held),
    )(condition)()


def test_the_schedule_makes_a_missing_partition_erases_what_is_old_and_its_failure_is_seen(stack: Stack) -> None:
    containers = {role: stack.container(role).id for role in ("postgres", "pooler", "backup")}
    newest = stack.admin_sql(_NEWEST, "bots")
    for _ in range(3):
        stack.admin_sql(f"DROP TABLE {stack.admin_sql(_NEWEST, 'bots')}", "bots")
    assert stack.admin_sql(_NEWEST, "bots") < newest
    missing = status(stack)
    assert not missing["healthy"]
    assert any(line.startswith("bots.bot_logs has partitions until ") for line in missing["problems"])

    stack.configure("maintenance", _AT_ONCE)
    stack.up()

    soon(lambda: stack.admin_sql(_NEWEST, "bots") == newest)
    soon(lambda: bool(status(stack)["backups"]["maintenance"]))
    assert {role: stack.container(role).id for role in containers} == containers  # an old stack gets it by a reload
    read = status(stack)
    assert read["problems"] == []
    [done] = read["backups"]["maintenance"]
    assert (done["app"], done["failed"]) == ("bots", False)
    assert time.time() - done["at"] < _WITHIN
    owner = f"SELECT tableowner FROM pg_tables WHERE format('%s.%s', schemaname, tablename) = '{newest}'"
    assert stack.admin_sql(owner, "bots") == "bots_owner"

    stack.admin_sql(_REFUSE, "bots")
    soon(lambda: not status(stack)["healthy"])
    assert any(line.startswith("the daily maintenance of bots failed ") for line in status(stack)["problems"])
    assert b"not today" in stack.container("backup").logs(tail=100)
    stack.admin_sql("DROP FUNCTION bots.refuse() CASCADE", "bots")
    soon(lambda: bool(status(stack)["healthy"]))


def test_the_socket_gives_the_owners_login_its_own_rights_in_its_own_database_and_no_other_login(stack: Stack) -> None:
    def tried(login: str, database: str, query: str) -> tuple[int | None, str]:
        words = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "/run/postgresql", "-U", login, "-d", database]
        code, output = stack.container("backup").exec_run([*words, "-c", query])
        assert isinstance(output, bytes)
        return code, output.decode().strip()

    assert tried("bots_owner_1", "bots", "SELECT session_user, current_user") == (0, "bots_owner_1|bots_owner")
    code, said = tried("bots_owner_1", "bots", "RESET ROLE; SELECT pg_read_file('/etc/pgstack/pg_hba.conf')")
    assert (code != 0, "permission denied" in said) == (True, True)
    for login, database in (("bots_owner_1", "postgres"), ("bots_app_1", "bots"), ("pgstack_admin", "bots")):
        code, said = tried(login, database, "SELECT 1")
        assert (code, "pg_hba.conf rejects connection" in said) == (2, True), said
