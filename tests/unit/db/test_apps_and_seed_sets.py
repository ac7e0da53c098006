"""Which apps and seed sets there are, read from folders."""

import pytest

from db import apps, seeds
from db.errors import SeedError, UnknownAppError
from db.migrations.revisions import HOME


def test_each_folder_with_models_is_an_app() -> None:
    assert apps.names() == ("dovvybuddy", "maps")


@pytest.mark.parametrize("app", apps.names())
def test_every_app_has_migrations_and_a_section_in_alembic_ini(app: str) -> None:
    assert (HOME / "alembic/versions" / app / "0001_initial_schema.py").exists()
    assert f"[{app}]" in (HOME / "alembic.ini").read_text().splitlines()


def test_an_unknown_app_gets_the_names_there_are() -> None:
    with pytest.raises(UnknownAppError, match='unknown app "mops": the apps are dovvybuddy, maps'):
        apps.folder("mops")


def test_checksums_are_given_for_the_sets_an_app_has() -> None:
    assert set(seeds.checksums("dovvybuddy", ["base", "demo"])) == {"base", "demo"}
    assert set(seeds.checksums("maps", ["base", "demo"])) == {"demo"}
    assert seeds.checksums("maps", []) == {}


def test_an_unknown_set_gets_the_names_there_are() -> None:
    with pytest.raises(SeedError, match='unknown seed set "bse": the sets are base, demo, load'):
        seeds.checksums("maps", ["bse"])


def test_alembics_folder_does_not_shadow_the_package() -> None:
    assert not (HOME / "alembic/__init__.py").exists()
