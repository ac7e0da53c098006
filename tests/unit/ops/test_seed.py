"""What `pgstack seed` refuses before it connects to anything."""

from dataclasses import replace

import pytest

from ops.errors import OpsError
from ops.seed import seed
from ops.stack import Stack


@pytest.mark.parametrize("environment", ["production", "Production", "prod", ""])
@pytest.mark.parametrize("name", ["demo", "load"])
def test_example_rows_go_into_production_only_after_a_question(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, name: str, environment: str
) -> None:
    production = replace(stack, outputs={**stack.outputs, "environment": environment})
    monkeypatch.setattr(Stack, "read", lambda _: production)
    with pytest.raises(OpsError, match="nobody is at a terminal to answer: give --yes"):
        seed(sets=["base", name])
