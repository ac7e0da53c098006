"""Applied revisions against files, without a database: what the database is, and the way out."""

import datetime
from pathlib import Path

from db.migrations.revisions import Revision
from db.migrations.standing import judge

WHEN = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)


def file(name: str) -> Revision:
    return Revision("maps", name, None, Path(f"{name}.py"), f"sum of {name}", "", "", True, "", True)


FILES = [file("0001_a"), file("0002_b"), file("0003_c")]


def applied(*names: str) -> dict[str, tuple[str, datetime.datetime]]:
    return {name: (f"sum of {name}", WHEN) for name in names}


def judged(record: dict[str, tuple[str, datetime.datetime]], at: str | None) -> tuple[str, str, list[str]]:
    found = judge("maps", record, at, FILES)
    return found.kind, found.says, [it.revision for it in found.pending]


def test_a_current_and_an_older_database_agree_with_the_files() -> None:
    assert judged(applied("0001_a"), "0001_a") == ("older", "2 pending", ["0002_b", "0003_c"])
    assert judged(applied("0001_a", "0002_b", "0003_c"), "0003_c") == ("current", "nothing pending", [])


def test_a_newer_database_names_what_this_checkout_lacks() -> None:
    newer = applied("0001_a", "0002_b", "0003_c", "0004_d")

    assert judged(newer, "0004_d") == ("newer", "it has 0004_d as well: this checkout is older (git pull)", [])


def test_a_foreign_database_is_seen_though_it_has_no_history() -> None:
    assert judged({}, "ae1027a6acf") == ("foreign", "it was migrated by other files than these: ae1027a6acf", [])


def test_edits_are_named_with_the_time_of_their_application() -> None:
    kind, says, pending = judged({**applied("0001_a"), "0002_b": ("another sum", WHEN)}, "0002_b")

    assert (kind, pending) == ("edited", [])
    assert says.startswith("0002_b was edited after it was applied (2026-01-02 03:04 UTC): bring back the file")


def test_a_version_or_a_record_that_was_changed_by_hand_is_inconsistent_and_not_edited() -> None:
    way_out = (
        "alembic_version or migration_history was changed by hand; if the schema is that of 0002_b,"
        " `alembic -n maps stamp --purge 0002_b` makes both say so"
    )

    assert judged(applied("0002_b"), "0001_a") == (
        "inconsistent",
        "0001_a is applied but not recorded in migration_history; 0002_b is recorded as applied but the database is at"
        f" 0001_a: {way_out}",
        [],
    )
    assert judged(applied("0001_a", "0002_b"), None) == (
        "inconsistent",
        "0001_a is recorded as applied but the database is at base; 0002_b is recorded as applied but the database is"
        f" at base: {way_out}",
        [],
    )
