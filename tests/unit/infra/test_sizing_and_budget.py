"""Memory and connections: what a server of any allowed size is given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.selfhosted.budget import SUPERUSER_RESERVE, share_out
from infra.selfhosted.sizing import GIB, MIB, size_for

APPS = ("dovvybuddy", "maps", "bots", "panamia")


@given(memory=st.integers(256 * MIB, 256 * GIB), sessions=st.integers(20, 200))
def test_index_builds_fit_shared_memory_and_everything_fits_the_container(memory: int, sessions: int) -> None:
    sizing = size_for(memory, sessions)
    assert sizing.maintenance_work_mem < sizing.shm
    assert sizing.shared_buffers + sizing.shm <= memory
    assert sizing.shared_buffers <= sizing.effective_cache_size <= memory
    assert sizing.min_wal_size <= sizing.max_wal_size
    assert sizing.work_mem >= 4 * MIB


def test_four_gigabytes_give_the_manual_s_quarter_to_shared_buffers() -> None:
    sizing = size_for(4 * GIB, 100)
    assert (sizing.shared_buffers, sizing.effective_cache_size) == (GIB, 3 * GIB)


@given(count=st.integers(1, 4), connections=st.integers(10, 50))
def test_pools_stay_within_what_the_pooler_may_hold_and_the_server_has_room_for_the_rest(
    count: int, connections: int
) -> None:
    budget = share_out(APPS[:count], connections, 2000)
    assert budget.pooled <= connections
    assert budget.pooled + SUPERUSER_RESERVE < budget.max_connections
    assert all(pool.application >= 1 and pool.readonly >= 1 for pool in budget.pools.values())


def test_too_few_connections_for_the_applications_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        share_out(APPS, 4, 2000)
