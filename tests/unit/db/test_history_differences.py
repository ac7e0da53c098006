"""Applied revisions against files, without a database."""

import datetime
from pathlib import Path

from db.migrations.history import differences
from db.migrations.revisions import Revision

WHEN = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)


def file(name: str) -> Revision:
    return Revision("maps", name, None, Path(f"{name}.py"), f"sum of {name}", "", "", True, "", True)


FILES = [file("0001_a"), file("0002_b"), file("0003_c")]


def applied(*names: str) -> dict[str, tuple[str, datetime.datetime]]:
    return {name: (f"sum of {name}", WHEN) for name in names}


def test_an_empty_a_current_and_an_older_database_agree_with_the_files() -> None:
    assert differences({}, None, FILES) == []
    assert differences(applied("0001_a"), "0001_a", FILES) == []
    assert differences(applied("0001_a", "0002_b", "0003_c"), "0003_c", FILES) == []


def test_a_newer_database_names_what_this_checkout_lacks() -> None:
    assert differences(applied("0001_a", "0002_b", "0003_c", "0004_d"), "0004_d", FILES) == [
        "0004_d is applied but has no file here (is this checkout older than the database?)"
    ]


def test_a_foreign_database_is_seen_though_it_has_no_history() -> None:
    assert differences({}, "ae1027a6acf", FILES) == ["the database is at ae1027a6acf, which has no file here"]


def test_edits_are_named_with_the_time_of_their_application() -> None:
    edited = {**applied("0001_a"), "0002_b": ("another sum", WHEN)}

    assert differences(edited, "0002_b", FILES) == ["0002_b was edited after it was applied (2026-01-02 03:04 UTC)"]


def test_a_record_too_few_and_a_record_too_many_are_both_named() -> None:
    assert differences(applied("0002_b"), "0001_a", FILES) == [
        "0001_a is applied but not recorded in migration_history",
        "0002_b is recorded as applied but the database is at 0001_a",
    ]
    assert differences(applied("0001_a"), None, FILES) == ["0001_a is recorded as applied but the database is at base"]
