"""One line before a long step (what, how long it usually takes), one after it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    """Print one line to standard error at once: standard output belongs to `python3 -m tools shell`."""
    print(f"pgstack: {text}", file=sys.stderr, flush=True)


@contextmanager
def step(what: str, usually: str) -> Iterator[None]:
    """Announce `what` and how long it `usually` takes (measured on two cores), then how long it took."""
    say(f"{what} (usually {usually})")
    began = time.monotonic()
    yield
    say(f"{what}: done in {time.monotonic() - began:.0f} s")
