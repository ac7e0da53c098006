"""CUID2 keys: their form, that they differ, and that they say nothing of when they were made."""

import itertools
import re
from collections import Counter

import pytest

from db.ids import LENGTH, is_cuid, new_id, seeded_id

FORM = re.compile(r"[a-z][0-9a-z]{23}")


@pytest.mark.requirement("panamia.keys.cuid2", "panamia.keys.url-safe")
def test_an_id_is_a_letter_and_23_letters_or_digits() -> None:
    made = [new_id() for _ in range(2000)]

    assert LENGTH == 24
    assert all(FORM.fullmatch(it) and is_cuid(it) for it in made)


@pytest.mark.requirement("panamia.keys.collision-resistant")
def test_ids_made_in_one_go_differ() -> None:
    assert len({new_id() for _ in range(20_000)}) == 20_000


def test_every_letter_begins_ids_and_every_character_follows() -> None:
    made = [new_id() for _ in range(5000)]

    assert len(Counter(it[0] for it in made)) == 26
    assert len(Counter(itertools.chain.from_iterable(it[1:] for it in made))) == 36


@pytest.mark.requirement("panamia.keys.sortable", "panamia.corrections.cuid2")
def test_ids_do_not_sort_by_when_they_were_made_contrary_to_the_document() -> None:
    made = [new_id() for _ in range(100)]

    assert made != sorted(made)


def test_a_seeded_id_has_the_same_form_and_is_always_the_same() -> None:
    assert seeded_id("panamia", "users", "ana") == "diezzxf9bgv7yeiw0lxafo11"
    assert is_cuid(seeded_id("a", "b"))
    assert FORM.fullmatch(seeded_id())
    assert len({seeded_id("load", str(number)) for number in range(20_000)}) == 20_000
