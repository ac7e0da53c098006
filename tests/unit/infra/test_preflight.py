"""What the host must have before anything is declared."""

import pytest

from infra.errors import DeploymentError
from infra.selfhosted.preflight import check_memory
from infra.settings import GIB


def test_more_memory_than_the_host_has_is_refused_with_both_figures() -> None:
    with pytest.raises(DeploymentError, match="pgstack:memory is 65536 MB and the Docker host has 24576 MB"):
        check_memory(64 * GIB, 24 * GIB)
    check_memory(24 * GIB, 24 * GIB)
