"""`make figures`: the figures of README's table, each beside its goal and as a ratio to one bare container's start.

Machines differ and are noisy; the ratio, taken in the same run, is what to compare. With --cold, everything is also
built from nothing in a new HOME (ten minutes and more).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from tests.deployment import CHECKOUT, Stack, copy_of_the_checkout
from tools.shell import environment

_RUNS = 5


def main() -> None:
    """Measure and print; the stacks it makes are its own and go when it ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", action="store_true", help="also time `make up` with nothing built")
    cold = parser.parse_args().cold
    _report()
    if cold:
        _report_cold()


@contextmanager
def measured_stack() -> Iterator[Stack]:
    """A stack of its own, not deployed yet, from the template preview; it goes when this ends."""
    with tempfile.TemporaryDirectory(prefix="pgstack-figures-") as folder:
        home = Path(folder) / "checkout"
        home.mkdir()
        copy_of_the_checkout(home)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "PGSTACK_"))}
        env["PGSTACK_STATE"] = str(home.parent / f"{home.name}-state")
        env |= environment(home, env)
        stack = Stack(f"figures-{uuid.uuid4().hex[:6]}", home, env)
        try:
            stack.init("preview")
            yield stack
        finally:
            stack.remove()


def _report() -> None:
    with measured_stack() as stack:
        make_up = ["make", "up", f"STACK={stack.name}", "TEMPLATE=preview"]
        first = timed(stack.up)
        image = stack.container("postgres").attrs["Config"]["Image"]
        bare = _median(lambda: docker.from_env().containers.run(image, ["true"], remove=True))
        print(f"reference: one bare container started and gone in {bare:.2f} s (median of {_RUNS})\n")
        print(f"{'figure':<58}{'seconds':>9}{'ratio':>8}   goal")
        _line("new stack, images built: healthy, migrated, backed up", first, bare, "20 s")
        _line("`make up` with nothing to do", _median(lambda: stack.run(*make_up)), bare, "4 s (at most 6 s)")
        plain = _median(lambda: stack.pulumi("up", "--yes"))
        _line("plain `pulumi up`, refresh and preview included", plain, bare, "6 s")


def _report_cold() -> None:
    with tempfile.TemporaryDirectory(prefix="pgstack-cold-") as folder:
        clone, home = Path(folder) / "clone", Path(folder) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
        kept = ("PATH", "LANG", "DOCKER_HOST", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "PYENV_ROOT")
        env = {name: value for name, value in os.environ.items() if name in kept} | {"HOME": str(home)}
        name = f"cold-{uuid.uuid4().hex[:6]}"
        make = ["make", f"STACK={name}", "TEMPLATE=preview"]
        try:
            for what, goal in (("everything to build", "10 min"), ("tools cached, environment new", "90 s")):
                shutil.rmtree(clone / ".venv", ignore_errors=True)
                seconds = timed(lambda: subprocess.run([*make, "up"], cwd=clone, env=env, check=True))
                print(f"`make up`, {what}: {seconds:.0f} s (goal: {goal})")
                subprocess.run([*make, "down", "YES=1"], cwd=clone, env=env, check=True)
        finally:
            subprocess.run(["chmod", "-R", "u+w", str(home)], check=False)  # Go's module cache is read-only


def _line(what: str, seconds: float, bare: float, goal: str) -> None:
    print(f"{what:<58}{seconds:>9.1f}{seconds / bare:>8.1f}   {goal}")


def _median(action: Callable[[], object]) -> float:
    return statistics.median(timed(action) for _ in range(_RUNS))


def timed(action: Callable[[], object]) -> float:
    """Seconds."""
    start = time.monotonic()
    action()
    return time.monotonic() - start


if __name__ == "__main__":
    main()
