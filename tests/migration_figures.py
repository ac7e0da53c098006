"""What migrations cost, as part of `make bench`: up, nothing to do, and the newest revision undone on `load` data.

Four applications (a guest lives in one of their databases), each in a database of its own, one after the other. Each
figure is the sum over the four, in seconds, beside the same run's single connection, for machines differ.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import psycopg

from db import apps, migrations, seeds
from db.bootstrap import bootstrap
from db.migrations.standing import standing
from tests.bench import choose_images
from tests.db.conftest import Prepared, access_for, start_server

_RUNS = 5
APPS = tuple(app for app in apps.names() if apps.host(app) == app)


def _silent(_: str) -> None:
    """Discard a report."""


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measure() -> dict[str, tuple[float, str]]:
    """Seconds and goal by figure."""
    found: dict[str, tuple[float, str]] = {}
    with start_server() as server:
        made = {}
        for app in APPS:
            access = access_for(app, f"bench_{app}")
            made[app] = Prepared(server, access, bootstrap(server.admin, [access], report=_silent))
        urls = {app: it.owner_url for app, it in made.items()}

        def each(action: Callable[[str, str], object]) -> float:
            return sum(_timed(lambda app=app, url=url: action(app, url)) for app, url in urls.items())  # type: ignore[misc]

        found["one connection"] = (
            statistics.median(_timed(lambda: psycopg.connect(urls["maps"]).close()) for _ in range(_RUNS)),
            "",
        )
        found["up, empty databases"] = (each(lambda app, url: migrations.upgrade(app, url, report=_silent)), "5 s")
        found["check, nothing to do"] = (statistics.median(each(standing) for _ in range(_RUNS)), "0.3 s")
        found["up, nothing to do"] = (
            statistics.median(
                each(lambda app, url: migrations.upgrade(app, url, report=_silent)) for _ in range(_RUNS)
            ),
            "",
        )
        for app, url in urls.items():
            print(f"{app}: writing the seed set load", file=sys.stderr)
            seeds.seed(app, url, ["base", "load"], environment="dev", report=_silent)
        for app, url in urls.items():
            newest = migrations.revisions(app)[-1].revision
            seconds = _timed(
                lambda app=app, url=url: migrations.downgrade(app, url, target="-1", report=_silent)  # type: ignore[misc]
            )
            found[f"undo {newest} ({app}, load)"] = (seconds, "5 s (30 s)")
    return found


def main() -> None:
    choose_images()
    found = measure()
    reference, _ = found["one connection"]
    print("| figure, four applications | seconds | in connections | goal (limit) |\n| --- | --: | --: | --- |")
    for name, (seconds, goal) in found.items():
        print(f"| {name} | {seconds:.2f} | {seconds / reference:.0f} | {goal} |")


if __name__ == "__main__":
    main()
