"""What the host must have before anything is declared."""

import socket
from collections.abc import Iterator

import pytest

from infra.errors import DeploymentError
from infra.selfhosted.preflight import check_address, check_memory, check_port
from infra.settings import GIB


def test_more_memory_than_the_host_has_is_refused_with_both_figures() -> None:
    with pytest.raises(DeploymentError, match="pgstack:memory is 65536 MB and the Docker host has 24576 MB"):
        check_memory(64 * GIB, 24 * GIB)
    check_memory(24 * GIB, 24 * GIB)


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(DeploymentError, match=r"pgstack:address is 203\.0\.113\.7, which this host can't bind"):
        check_address("203.0.113.7")
    check_address("127.0.0.1")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_is_free_or_the_servers_own(taken: int) -> None:
    check_port({("127.0.0.1", taken)}, "pooledPort", "127.0.0.1", taken)
    check_port({("127.0.0.1", taken)}, "pooledPort", "0.0.0.0", taken)  # noqa: S104
    check_port(set(), "pooledPort", "127.0.0.1", 0)
    for own in (set[tuple[str, int]](), {("127.0.0.1", taken + 1)}, {("127.0.0.2", taken)}):
        with pytest.raises(DeploymentError, match=f"port {taken} on 127.0.0.1 can't be bound"):
            check_port(own, "pooledPort", "127.0.0.1", taken)


def test_the_port_that_a_server_keeps_is_tried_at_its_new_address(taken: int) -> None:
    with pytest.raises(DeploymentError, match=f"port {taken} on 127.0.0.1 can't be bound"):
        check_port({("127.0.0.2", taken)}, "pooledPort", "127.0.0.1", 0)
