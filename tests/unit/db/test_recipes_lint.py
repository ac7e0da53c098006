"""The lint lets every recipe of docs/migrations.md through, and refuses the form it replaces by the recipe's name."""

import re
from pathlib import Path

import pytest

from db import migrations
from db.migrations import lint
from db.migrations.lint import rules
from tests.db.conftest import home as home  # noqa: PLC0414  # a fixture, used by its name
from tests.recipes import PAGE, recipes, write

RECIPES = recipes()
# an enum is changed by another type, and a split ends in a column that is dropped: the lint sees no more than that
SEEN_AS = {"Add an enum value": "Rename a column, or change its type", "Split a table": "Drop a column or a table"}
HEAD = migrations.revisions("maps")[-1].revision


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_passes(title: str, home: Path) -> None:
    write(home, RECIPES[title].steps, after=HEAD)

    assert [str(it) for it in lint.lint("maps", home=home)] == []


@pytest.mark.parametrize("title", RECIPES)
def test_the_form_it_replaces_is_refused_and_the_recipe_named(title: str, home: Path) -> None:
    write(home, (RECIPES[title].dangerous,), after=HEAD)

    refused = lint.lint("maps", home=home)

    assert RECIPES[SEEN_AS.get(title, title)].anchor in {it.recipe for it in refused}
    assert all("\n" not in str(it) for it in refused)


def test_every_recipe_that_the_lint_names_is_on_the_page() -> None:
    named = set(re.findall(r'"((?:add|back|drop|make|rename|split)-[a-z-]+)"', Path(rules.__file__).read_text()))

    assert len(named) > 5
    assert named <= {it.anchor for it in RECIPES.values()}, PAGE.name
