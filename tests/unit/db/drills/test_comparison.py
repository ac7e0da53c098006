"""Every difference between what was noted and what a copy shows is a line that names it."""

from dataclasses import replace

from db.drills.reading import Database, Digest, differences

NOTED = Database(
    tables={'"a"."t"': Digest(3, "17"), '"a"."large"': Digest(900, "5", 12.5)},
    unread={'"a"."busy"': "it was locked"},
    extensions={"plpgsql": "1.0", "vector": "0.8.5"},
    revisions={"a": ["0002_x"]},
)


def test_a_copy_that_is_the_same_has_no_difference_nor_one_that_also_shows_what_could_not_be_read_then() -> None:
    copy = replace(NOTED, tables={**NOTED.tables, '"a"."busy"': Digest(1, "1")}, unread={})
    assert differences(NOTED, copy) == []


def test_each_difference_is_named() -> None:
    copy = Database(
        tables={'"a"."t"': Digest(3, "18"), '"a"."new"': Digest(0, "0")},
        unread={'"a"."busy"': "invalid page in block 3"},
        extensions={"plpgsql": "1.0", "vector": "0.8.4"},
        revisions={},
    )
    assert differences(NOTED, copy) == [
        '"a"."busy": can\'t be read in the copy: invalid page in block 3',
        '"a"."large": not in the copy',
        '"a"."new": in the copy and not in the ledger',
        '"a"."t": the copy has 3 rows with checksum 18, the ledger 3 with 17',
        "Alembic's revision in schema a: none in the copy, ['0002_x'] in the ledger",
        "extension vector: 0.8.4 in the copy, 0.8.5 in the ledger",
    ]


def test_a_sampled_table_says_so() -> None:
    copy = replace(NOTED, tables={**NOTED.tables, '"a"."large"': Digest(899, "5", 12.5)}, unread={})
    (told,) = differences(NOTED, copy)
    assert told.endswith("the ledger 900 with 5 (in 12.5% of its blocks)")


def test_what_stands_in_the_ledger_is_read_as_it_was_written() -> None:
    assert Database.read(NOTED.described()) == NOTED
