"""What a person types after --database and --table, and the lines made for a table that was brought back."""

import dataclasses

import pytest

from ops.errors import UnknownError
from ops.restoring import generations, one_table, parts
from ops.restoring.parts import Table
from ops.settings import Settings
from ops.stack import Stack
from tests.unit.ops.test_command_line import pgstack

USERS = Table("maps", "maps", "users")


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("maps.users", USERS),
        ("maps.public.Verification_2", Table("maps", "public", "Verification_2")),
        ("bots.größe$", Table("bots", "bots", "größe$")),
    ],
)
def test_a_table_is_named_with_its_application_and_where_it_is_elsewhere_its_schema(text: str, table: Table) -> None:
    assert parts.table(text) == table


@pytest.mark.parametrize(
    "text", ["", "users", "maps.", ".users", "a.b.c.d", 'maps."users"', "maps.users; DROP", "maps.1st", "maps.it's"]
)
def test_what_names_no_table_is_one_line_with_what_to_give(text: str) -> None:
    with pytest.raises(UnknownError) as refused:
        parts.table(text)

    assert str(refused.value).startswith(f'--table "{text}" names no table: give APP.TABLE')
    assert "\n" not in str(refused.value)


def test_a_copy_is_not_copied() -> None:
    with pytest.raises(UnknownError, match="maps_before is where copies are put"):
        parts.table("maps.maps_before.users")


def test_a_guest_does_not_come_back_without_its_host(stack: Stack) -> None:
    outputs = {
        **stack.outputs,
        "apps": ["panamia", "petsitting"],
        "panamia_direct_url": "postgresql://panamia_owner_1:x@127.0.0.1:5432/panamia?sslmode=verify-full",
        "petsitting_direct_url": "postgresql://petsitting_owner_1:x@127.0.0.1:5432/panamia?sslmode=verify-full",
    }
    both = dataclasses.replace(stack, outputs=outputs)

    assert parts.database(both, "panamia") == "panamia"
    with pytest.raises(UnknownError, match=r"petsitting lives in the database of panamia, .*: --database panamia"):
        parts.database(both, "petsitting")


def test_rows_are_brought_over_by_name_and_never_over_others() -> None:
    found = {"columns": ["id", '"Name"'], "key": ["id"], "numbered": True}

    assert one_table.missing(USERS, found) == (
        'SELECT * FROM "maps_before"."users" c WHERE NOT EXISTS (SELECT FROM "maps"."users" l WHERE l.id = c.id)'
    )
    assert one_table.over(USERS, found) == (
        'INSERT INTO "maps"."users" (id, "Name") OVERRIDING SYSTEM VALUE SELECT id, "Name" FROM "maps_before"."users"'
        " ON CONFLICT DO NOTHING"
    )
    assert " EXCEPT SELECT id " in one_table.missing(USERS, {"columns": ["id"], "key": None})


def test_a_cluster_that_is_that_moment_already_is_taken_whatever_backup_it_came_from(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {
        2: {"backup": "20261121-062407F", "lsn": "0/8000140", "timeline": "1"},
        3: {"backup": "20261121-062407F", "lsn": "0/9000000", "timeline": "1"},
    }
    monkeypatch.setattr(generations, "settings", lambda _: Settings(generations=known, live=(1, 3)))
    moment = {"backup": "20261122-010203F", "lsn": "0/8000140", "timeline": "1", "repository": "local"}

    assert generations.from_origin(stack, moment) == 2
    assert generations.from_origin(stack, {**moment, "repository": "offsite"}) is None
    assert generations.from_origin(stack, {**moment, "timeline": "2"}) is None
    assert generations.from_origin(stack, {**moment, "lsn": "0/9000000"}) is None  # it was live, and went on


@pytest.mark.parametrize(
    "arguments",
    [
        ("--swap", "--database", "maps"),
        ("--swap", "--table", "maps.users"),
        ("--database", "maps", "--table", "maps.users"),
    ],
)
def test_all_one_application_and_one_table_exclude_each_other(arguments: tuple[str, ...]) -> None:
    done = pgstack("restore", "run", "--to", "latest", *arguments)

    assert done.returncode == 2  # click's code for wrong usage
    assert "give one of --swap (all), --database and --table" in done.stderr


def test_keep_without_a_part_is_refused() -> None:
    assert "--keep is for --database and --table" in pgstack("restore", "run", "--to", "latest", "--keep").stderr
