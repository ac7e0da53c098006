"""Deployments that all tiers share: each is real, has a name of its own, and is removed whatever happens."""

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment import NewStack, Run, Stack, copy_of_the_checkout
from tools.shell import environment


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the data layer's tests run; docs/environments.md lists the names."""
    parser.addoption(
        "--environment",
        action="append",
        default=[],
        metavar="NAME",
        help="run what takes a `route`, and only that, in this environment of tests/db/environments.py; or `all`",
    )


def pytest_configure(config: pytest.Config) -> None:
    """A job in a shell's background ignores Ctrl-C, and so would everything that it starts; tests send it."""
    if wanted := set(config.getoption("--environment")) - {"all"}:
        from tests.db.environments import ENVIRONMENTS  # noqa: PLC0415  # few runs name one

        if unknown := sorted(wanted - ENVIRONMENTS.keys()):
            raise pytest.UsageError(f'no environment "{unknown[0]}": there are {", ".join(ENVIRONMENTS)}, and all')
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def made_stack(tmp_path_factory: pytest.TempPathFactory) -> NewStack:
    """Make stacks: `made_stack()` in the shared copy of the checkout, `made_stack(own_copy=True)` in one of its own."""
    shared: list[Path] = []

    def make(template: str = "dev", *, own_copy: bool = False) -> Stack:
        if own_copy or not shared:
            home = copy_of_the_checkout(tmp_path_factory.mktemp("checkout"))
            if not own_copy:
                shared.append(home)
        else:
            home = shared[0]
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "PGSTACK_"))}
        env["PGSTACK_STATE"] = str(home.parent / f"{home.name}-state")
        env |= environment(home, env)
        stack = Stack(f"test-{uuid.uuid4().hex[:6]}", home, env)
        stack.init(template)
        return stack

    return make


@pytest.fixture(scope="module")
def new_stack(made_stack: NewStack) -> Iterator[NewStack]:
    """The same for the tests of one file: what it makes goes with it, for an idle stack slows down the others."""
    made: list[Stack] = []

    def make(template: str = "dev", *, own_copy: bool = False) -> Stack:
        made.append(made_stack(template, own_copy=own_copy))
        return made[-1]

    yield make
    for stack in made:
        stack.remove()


@pytest.fixture(scope="session")
def stack(made_stack: NewStack) -> Iterator[Stack]:
    """One deployed stack that all tests share: they leave it as it was."""
    it = made_stack()
    try:
        it.up()
        yield it
    finally:
        it.remove()


@pytest.fixture(scope="module")
def pgstack(stack: Stack) -> Run:
    """`pgstack ARGS` on the shared stack; fails the test unless it ends with `code`."""

    def run(*arguments: str, code: int = 0, of: Stack = stack) -> subprocess.CompletedProcess[str]:
        done = of.pgstack("-s", of.name, *arguments, check=False)
        assert done.returncode == code, f"pgstack {' '.join(arguments)} ended with {done.returncode}:\n{done}"
        assert "Traceback" not in done.stderr
        return done

    return run
