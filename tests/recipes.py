"""The recipes of docs/migrations.md, and the table of 1,000,000 rows with clients at work on which they are tried."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.db.conftest import Prepared, add_sum

PAGE = Path(__file__).parents[1] / "docs" / "migrations.md"
ROWS, CLIENTS = 1_000_000, 20
_PACE = 0.05  # seconds between a client's statements: work, but not all that the machine can do
_SAMPLE = 0.005  # seconds between looks at who waits: waits are known that exactly

TABLE = f"""
    CREATE TYPE maps.place_kind AS ENUM ('cafe', 'park');
    CREATE TABLE maps.places (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        city text,
        user_id text,
        kind maps.place_kind NOT NULL DEFAULT 'cafe',
        created_at timestamptz NOT NULL DEFAULT now()
    );
    INSERT INTO maps.users (id, email, name) SELECT 'u' || n, n || '@example.com', n FROM generate_series(0, 999) AS n;
    INSERT INTO maps.places (name, city, user_id)
        SELECT 'place ' || n, 'city ' || n % 5000, 'u' || n % 1000 FROM generate_series(1, {ROWS}) AS n;
    ANALYZE maps.places;
"""


@dataclass(frozen=True)
class Recipe:
    """`steps` are the bodies of its revisions in order, `dangerous` the one that it replaces."""

    title: str
    steps: tuple[str, ...]
    dangerous: str

    @property
    def reversible(self) -> bool:
        """Whether all of its steps can be undone."""
        return not any("raise NotImplementedError" in step for step in self.steps)

    @property
    def anchor(self) -> str:
        """Its heading's fragment in a link."""
        return re.sub(r"[^a-z0-9 -]", "", self.title.lower()).replace(" ", "-")


def recipes() -> dict[str, Recipe]:
    """All of the page, by title."""
    found = {}
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        blocks = re.findall(r"^```python( dangerous)?\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
        steps = tuple(body for danger, body in blocks if not danger)
        dangerous = [body for danger, body in blocks if danger]
        if dangerous:
            assert (len(dangerous), bool(steps)) == (1, True), title
            found[title] = Recipe(title, steps, dangerous[0])
    return found


def write(home: Path, bodies: tuple[str, ...], *, after: str) -> list[str]:
    """Add revisions of maps with `bodies` to `home`; returns their names."""
    names = []
    number = int(after[:4])
    for body in bodies:
        number += 1
        name = f"{number:04d}_step"
        final = "raise NotImplementedError" in body
        reversible, rollback = ("No", "restore a backup") if final else ("Yes", "alembic -n maps downgrade -1")
        path = home / "alembic/versions/maps" / f"{name}.py"
        path.write_text(
            '"""A step of a recipe.\n\nPurpose: a test\nTicket: N/A\n'
            f'Reversible: {reversible}\nRollback: {rollback}\n"""\n\n'
            f"import sqlalchemy as sa\nfrom alembic import op\n\n"
            f'revision = "{name}"\ndown_revision = "{after}"\n\n\n{body}'
        )
        add_sum(path)
        names.append(name)
        after = name
    return names


@dataclass
class Work:
    """What the clients met while they worked."""

    statements: int = 0
    slowest: float = 0.0
    """Seconds of a client's slowest statement, as the client saw it."""
    blocked: float = 0.0
    """Seconds that a client's statement waited for a lock at most, as the server tells it."""
    errors: list[str] = field(default_factory=list)


@contextmanager
def clients_at_work(prepared: Prepared, *columns: str) -> Iterator[Work]:
    """Until the end, CLIENTS application logins read, change, add and delete places, using these `columns`."""
    work, ended, begun = Work(), threading.Event(), threading.Barrier(CLIENTS + 2)
    written = ", ".join(columns)
    statements = [
        f"SELECT id, {written}, created_at FROM maps.places WHERE id = %(id)s",
        "SELECT count(*) FROM maps.places WHERE id BETWEEN %(id)s AND %(id)s + 20",
        f"INSERT INTO maps.places (user_id, {written}) VALUES ('u1'{', %(text)s' * len(columns)})",
        "DELETE FROM maps.places WHERE id = %(id)s",
        *(f"UPDATE maps.places SET {column} = %(text)s WHERE id = %(id)s" for column in columns),
    ]
    counting = threading.Lock()

    def client(seed: int) -> None:
        chosen = random.Random(seed)  # noqa: S311  # no secret: the same work in every run
        with psycopg.connect(prepared.app_url, autocommit=True) as connection:
            begun.wait(60)
            while not ended.wait(_PACE * chosen.random() * 2):
                statement = chosen.choice(statements)
                started = time.monotonic()
                try:
                    connection.execute(statement, {"id": chosen.randrange(1, ROWS), "text": f"new {started}"})
                except psycopg.Error as error:
                    with counting:
                        work.errors.append(f"{statement}: {error.sqlstate} {error}")
                with counting:
                    work.statements += 1
                    work.slowest = max(work.slowest, time.monotonic() - started)

    def watch() -> None:
        with closing(prepared.admin()) as connection:
            begun.wait(60)
            while not ended.wait(_SAMPLE):
                [(longest,)] = connection.execute(_LONGEST_WAIT, (prepared.access.application.name,)).fetchall()
                work.blocked = max(work.blocked, float(longest))

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        running = [pool.submit(client, seed) for seed in range(CLIENTS)] + [pool.submit(watch)]
        try:
            begun.wait(60)
            yield work
        finally:
            ended.set()
    for done in running:
        done.result()


_LONGEST_WAIT = """
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0)
    FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND usename = %s"""


def counted(prepared: Prepared, query: str) -> Any:
    """The only value of `query`, as the superuser sees it."""
    [(value,)] = prepared.rows(query)
    return value
