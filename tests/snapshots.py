"""`make snapshots`: writes alembic/versions/<app>/schema.json, what all revisions of an app together make.

Each app is migrated in a fresh database of a server with pgvector, and of one without where that makes a difference.
Also measures what reading one and comparing it takes. The images are those of a deployed stack, as for `make bench`.
"""

from __future__ import annotations

import statistics
import time

from db import apps, connections, migrations
from db.migrations import drift, snapshot
from db.migrations.revisions import folder
from db.migrations.snapshot import Snapshot
from db.urls import DatabaseURL
from tests.bench import choose_images
from tests.db.conftest import Prepare, Prepared, preparing, start_server

_RUNS = 5
_GOAL = 500  # milliseconds for reading and comparing one app


def main() -> None:
    """Write every app's, and print how long a comparison took: the median of five."""
    choose_images()
    with (
        start_server() as server,
        preparing(server) as prepare,
        start_server(vector=False) as bare,
        preparing(bare) as prepare_without,
    ):
        for app in apps.names():
            prepared = migrated(app, prepare)
            made, without = read(prepared), read(migrated(app, prepare_without))
            path, other = (folder(app) / name for name in (snapshot.FILE, snapshot.WITHOUT_VECTOR))
            path.write_text(made.text())
            other.unlink(missing_ok=True)
            if without.text() != made.text():
                other.write_text(without.text())
            objects = sum(len(named) for named in made.objects.values())
            print(f"{app}: {objects} objects read and compared in {measured(prepared):.0f} ms (goal: {_GOAL} ms)")


def migrated(app: str, prepare: Prepare) -> Prepared:
    """A database at the newest revision of `app`."""
    prepared = prepare(app)
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)
    return prepared


def read(prepared: Prepared) -> Snapshot:
    """What the owner's login sees."""
    with connections.connect(DatabaseURL.parse(prepared.owner_url)) as connection:
        return snapshot.read(connection, prepared.access.app)


def measured(prepared: Prepared) -> float:
    """Milliseconds for what `pgstack migrate check` does with one app, on a connection that is open."""
    app, taken = prepared.access.app, []
    with connections.connect(DatabaseURL.parse(prepared.owner_url)) as connection:
        for _ in range(_RUNS):
            began = time.perf_counter()
            drift.compare(snapshot.load(app), snapshot.read(connection, app))
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


if __name__ == "__main__":
    main()
