"""The data layer's suite runs by two ways: direct, and through a transaction pooler that has more clients than servers.

By both it logs in as the application, which owns nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.db.conftest import Prepared

CHECKOUT = Path(__file__).parents[2]
SUITE = ("transactions", "tenancy", "bulk", "pagination", "soft_delete", "documents", "search", "query_log")
# these ask no database, need the very connection that they then cut, or tell of a server session to itself
OF_NO_ROUTE = {
    "test_only_what_another_attempt_may_cure_is_retryable",
    "test_a_connection_that_is_lost_before_the_scope_begins_leaves_no_tenant",
    "test_every_type_a_cursor_can_hold_reads_back_to_the_same_value_and_others_are_refused",
    "test_a_part_of_one_document_goes_into_another_as_a_copy",
    "test_a_model_that_could_not_be_tracked_or_upgraded_is_refused_at_once",
    "test_an_async_engine_retries_without_stopping_the_loop",
    "test_a_setting_made_for_the_whole_server_session_is_nobody_elses",
    "test_an_assignment_that_does_not_fit_is_refused_without_showing_the_value",
    "test_a_document_that_is_nested_too_deeply_is_named",
}


@pytest.fixture(scope="module")
def ways() -> dict[tuple[str, str], set[str]]:
    """By file and test, the ways on which pytest would run it."""
    files = [f"tests/db/test_{name}.py" for name in SUITE]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    plain = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}  # the list has one form
    done = subprocess.run([*command, *files], cwd=CHECKOUT, text=True, capture_output=True, check=True, env=plain)
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for line in done.stdout.splitlines():
        path, separator, test = line.partition("::")
        if separator:
            name, _, parameters = test.partition("[")
            found[Path(path).stem.removeprefix("test_"), name] |= {"direct", "pooled"} & set(
                parameters.rstrip("]").split("-")
            )
    return found


@pytest.mark.parametrize("name", SUITE)
def test_every_test_of_the_suite_runs_by_both_ways(name: str, ways: dict[tuple[str, str], set[str]]) -> None:
    tests = {test: taken for (file, test), taken in ways.items() if file == name}

    assert tests
    assert {test for test, taken in tests.items() if taken != {"direct", "pooled"}} <= OF_NO_ROUTE


def test_the_login_of_both_ways_owns_nothing_and_is_bound_by_every_policy(route: str) -> None:
    with psycopg.connect(route, prepare_threshold=None) as connection:
        [(name, superuser, bypasses, owned, owner)] = connection.execute(
            """SELECT session_user::text, rolsuper, rolbypassrls,
                (SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid = r.oid),
                pg_has_role(session_user, 'maps_owner', 'MEMBER')
            FROM pg_roles r WHERE rolname = session_user"""
        ).fetchall()

    assert (name, superuser, bypasses, owned, owner) == ("maps_app_1", False, False, 0, False)


def test_through_the_pooler_many_clients_share_two_server_connections_and_each_meets_both(
    library: Prepared, route: str
) -> None:
    together = threading.Barrier(6)

    def client(_: int) -> set[int]:
        with psycopg.connect(route, prepare_threshold=None) as connection:
            together.wait()
            seen = set()
            for _ in range(60):
                seen |= {pid for (pid,) in connection.execute("SELECT pg_backend_pid() FROM pg_sleep(0.001)")}
                connection.commit()
            return seen

    with ThreadPoolExecutor(6) as pool:
        seen = list(pool.map(client, range(6)))

    servers = set().union(*seen)
    if route == library.app_url:
        assert (len(servers), {len(it) for it in seen}) == (6, {1})
    else:
        assert (len(servers), {len(it) for it in seen}) == (2, {2})
