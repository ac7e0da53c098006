"""What the databases hold, and how a migration gets there: named in the preview, after a restore point, or not."""

import datetime
import json
import random
import re
import uuid
from typing import Any

import pytest
from psycopg import errors

from tests.deployment import NewStack, Stack
from tests.stack.repository import archived
from tests.stack.revisions import add_migration, migrations

_DIMENSIONS = 1536
_ROWS = 600  # with a few dozen, comparing them all is cheaper, and the planner knows it


@pytest.fixture(scope="module")
def workshop(new_stack: NewStack) -> Stack:
    """A stack of its own whose copy of the checkout is edited; each test leaves it deployable."""
    it = new_stack("preview", own_copy=True)
    it.up()
    return it


def catalogue(stack: Stack) -> str:
    """Every definition and every row of the app's bookkeeping, as text."""
    dump = stack.execute("postgres", "pg_dump", "-U", "postgres", "--schema-only", "maps")
    definitions = re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.MULTILINE)  # a new random word in each dump
    return definitions + stack.admin_sql("TABLE maps.alembic_version; TABLE maps.migration_history", "maps")


def at(stack: Stack) -> str:
    return stack.admin_sql("TABLE maps.alembic_version", "maps")


def tables(stack: Stack) -> set[str]:
    return set(stack.admin_sql("SELECT tablename FROM pg_tables WHERE schemaname = 'maps'", "maps").split())


def vector(number: int) -> str:
    numbers = random.Random(number)  # noqa: S311 - the same everywhere, and about nothing
    return json.dumps([round(numbers.uniform(-1, 1), 4) for _ in range(_DIMENSIONS)])


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """All nodes of an EXPLAIN (FORMAT JSON)."""
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


def test_a_nearest_neighbour_query_through_the_pooler_uses_the_hnsw_index(stack: Stack) -> None:
    with stack.connect("dovvybuddy_pooled_url") as connection, connection.transaction(force_rollback=True):
        with connection.cursor().copy(
            "COPY content_embeddings (content_path, chunk_text, embedding) FROM STDIN"
        ) as rows:
            for number in range(_ROWS):
                rows.write_row((f"test/{number}", "a chunk of some length " * 40, vector(number)))
        nearest = "SELECT content_path FROM content_embeddings ORDER BY embedding <=> %s::vector LIMIT 5"
        row = connection.execute(f"EXPLAIN (FORMAT JSON) {nearest}", [vector(7)]).fetchone()
        assert row is not None
        assert "ix_content_embeddings_embedding" in [node.get("Index Name") for node in nodes(row[0][0]["Plan"])]
        found = connection.execute(nearest, [vector(7)]).fetchall()
        assert found[0] == ("test/7",)
        assert len(found) == 5


def test_a_dive_site_of_an_unknown_destination_is_refused(stack: Stack) -> None:
    site = (
        "INSERT INTO dive_sites (destination_id, name, min_certification_level, difficulty_band, access_type)"
        " VALUES (%s, 'Nowhere Reef', 'OW', 'beginner', 'boat')"
    )
    with stack.connect("dovvybuddy_pooled_url") as connection:
        with pytest.raises(errors.ForeignKeyViolation):
            connection.execute(site, [uuid.uuid4()])
        with connection.transaction(force_rollback=True):
            connection.execute(site, [connection.execute("SELECT id FROM destinations").fetchone()[0]])  # type: ignore[index]


def test_bootstrap_restore_point_migrations_and_seeds_come_in_this_order(workshop: Stack) -> None:
    def moment(sql: str, database: str = "dovvybuddy") -> datetime.datetime:
        return datetime.datetime.fromisoformat(workshop.admin_sql(sql, database))

    bootstrapped = moment(
        "SELECT max(pg_xact_commit_timestamp(xmin)) FROM ("
        " SELECT xmin FROM pg_authid WHERE rolname ~ '^(dovvybuddy|maps)_' UNION ALL"
        " SELECT xmin FROM pg_database WHERE datname IN ('dovvybuddy', 'maps')) made"
    )
    log = workshop.container("postgres").logs().decode()
    found = re.search(r'^(\S+ \S+) UTC .* restore point "migrate-\w+" created at (\S+)$', log, re.MULTILINE)
    assert found is not None, "no restore point in the server's log"
    marked = datetime.datetime.fromisoformat(f"{found[1]}+00:00")
    segment = workshop.admin_sql(f"SELECT pg_walfile_name('{found[2]}')")
    stored = datetime.datetime.fromtimestamp(archived(workshop)[segment], datetime.UTC)
    migrated = moment("SELECT min(applied_at) FROM dovvybuddy.migration_history")
    seeded = moment("SELECT min(pg_xact_commit_timestamp(xmin)) FROM dovvybuddy.destinations")
    assert bootstrapped < marked < stored < migrated < seeded


def test_a_new_migration_is_pending_by_name_in_a_plain_preview_and_applied_by_the_next_up(workshop: Stack) -> None:
    path = add_migration(workshop, "logbook", statement="INSERT INTO maps.logbook VALUES (1)")
    assert f"maps: migration {path.stem} is pending" in workshop.pulumi("preview").stdout
    assert "logbook" not in tables(workshop)
    assert f"maps: applied {path.stem}" in workshop.up().stdout
    assert at(workshop) == path.stem
    assert "pending" not in workshop.pulumi("preview", "--expect-no-changes").stdout
    with workshop.connect("maps_pooled_url") as application, workshop.connect("maps_readonly_url") as reader:
        application.execute("INSERT INTO logbook VALUES (2)")
        assert reader.execute("SELECT count(*) FROM logbook").fetchone() == (2,)


def test_a_failing_migration_stops_up_changes_nothing_and_runs_once_mended(workshop: Stack) -> None:
    path = add_migration(workshop, "half_done", statement="ALTER TABLE maps.nowhere ADD COLUMN depth int")
    before = catalogue(workshop)
    failed = workshop.up(check=False)
    said = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert f"revision {path.stem} (maps) failed: SQLSTATE 42P01" in said
    assert "ALTER TABLE maps.nowhere ADD COLUMN depth int" in said
    assert re.search(r"as it was before this deployment: pgstack restore run --to migrate-\d{8}T\d{6}Z\)", said)
    assert "Traceback" not in said
    assert catalogue(workshop) == before
    assert f"maps: migration {path.stem} is pending" in workshop.pulumi("preview").stdout

    path.write_text(path.read_text().replace("maps.nowhere", "maps.half_done"))
    workshop.up()
    assert at(workshop) == path.stem
    assert "half_done" in tables(workshop)


def test_a_migration_that_was_edited_after_it_was_applied_is_refused_by_name(workshop: Stack) -> None:
    path, before = migrations(workshop)[0], catalogue(workshop)
    text = path.read_text()
    try:
        path.write_text(text + "\n# an afterthought\n")
        assert f"maps: migration {path.stem} was changed after it was applied" in workshop.pulumi("preview").stdout
        refused = workshop.up(check=False)
    finally:
        path.write_text(text)
    assert refused.returncode != 0
    assert f"{path.stem} was edited after it was applied" in refused.stdout + refused.stderr
    assert catalogue(workshop) == before
    workshop.pulumi("preview", "--expect-no-changes")


def test_a_migration_file_or_a_pin_that_cannot_be_stops_the_preview_with_one_clear_line(workshop: Stack) -> None:
    path = add_migration(workshop, "nameless")
    try:
        path.write_text(path.read_text().replace("Ticket: N/A\n", ""))
        headless = workshop.pulumi("preview", check=False)
    finally:
        path.unlink()
    with workshop.configured():
        workshop.pulumi("config", "set", "--path", "pgstack:revisions.maps", "0042_nothing")
        unknown = workshop.pulumi("preview", check=False)
    for refused, line in (
        (headless, f"error: migrations of maps: {path.name}: the first 30 lines lack Ticket:"),
        (unknown, 'error: pgstack:revisions holds maps at "0042_nothing": known are'),
    ):
        assert refused.returncode != 0
        assert line in refused.stdout
        assert "Traceback" not in refused.stdout + refused.stderr


def test_a_pinned_revision_goes_down_and_without_the_pin_up_again(workshop: Stack) -> None:
    head, had = at(workshop), tables(workshop)
    for target, undone in (("0001_initial_schema", head), ("base", "0001_initial_schema")):
        workshop.pulumi("config", "set", "--path", "pgstack:revisions.maps", target)
        said = workshop.up().stdout
        assert f"maps: goes to revision {target}" in said
        assert f"maps: migration {undone} will be undone" in said
        assert (at(workshop) or "base") == target
        assert "accounts" not in tables(workshop)

    workshop.pulumi("config", "rm", "pgstack:revisions")
    assert f"maps: migration {head} is pending" in workshop.pulumi("preview").stdout
    workshop.up()
    assert (at(workshop), tables(workshop)) == (head, had)
    with workshop.connect("maps_pooled_url") as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (1,)  # seeded again
