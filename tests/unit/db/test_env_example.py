"""The example environment has every variable that db/ reads, with its meaning and its default."""

import ast
import re

import pytest

from db import apps
from db.migrations.revisions import HOME
from db.settings import PoolSettings
from db.urls import DatabaseURL

LINES = (HOME / ".env.example").read_text().splitlines()
EXAMPLE = dict(line.split("=", 1) for line in LINES if line and not line.startswith("#"))
FOR_OTHERS = {"POSTGRES_URL", "PGSSLROOTCERT", "NODE_EXTRA_CA_CERTS"}  # frameworks, libpq, Node
README = (HOME / "db" / "README.md").read_text()


def names_in_the_code() -> set[str]:
    """Every string in db/ that is a variable's name, whatever reads it."""
    found: set[str] = set()
    for path in (HOME / "db").rglob("*.py"):
        constants = (it.value for it in ast.walk(ast.parse(path.read_text())) if isinstance(it, ast.Constant))
        found |= {it for it in constants if isinstance(it, str) and re.fullmatch(r"_?[A-Z]+(_[A-Z]+)+|PG[A-Z]+", it)}
    return found


def test_every_variable_that_the_code_reads_is_there_and_nothing_else() -> None:
    of_each_app = {f"{name.upper()}_DATABASE_URL" for name in apps.names()}  # db.health makes these names

    no_variables = {"_DATABASE_URL"}  # the ending of those

    assert names_in_the_code() - no_variables | of_each_app | FOR_OTHERS == EXAMPLE.keys()


@pytest.mark.parametrize("name", EXAMPLE)
def test_each_variable_has_its_meaning_above_it(name: str) -> None:
    [position] = [number for number, line in enumerate(LINES) if line.startswith(f"{name}=")]

    assert re.match(r"# \S{2,}", LINES[position - 1])


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_READONLY_URL", "POSTGRES_URL", "POSTGRES_DIRECT_URL"])
def test_each_url_is_well_formed_and_verifies_the_server(name: str) -> None:
    url = DatabaseURL.parse(EXAMPLE[name])

    assert url.sslmode == "verify-full"
    assert [key for key, _ in url.parameters] == ["sslmode"]


def test_the_pools_settings_are_the_defaults() -> None:
    assert PoolSettings.load(EXAMPLE) == PoolSettings() == PoolSettings.load({})
    assert (PoolSettings().size, PoolSettings().limit) == (10, 50)


@pytest.mark.parametrize("name", [it for it in EXAMPLE if it.startswith("DB_")])
def test_the_readmes_table_has_it_with_the_same_default(name: str) -> None:
    [row] = [line for line in README.splitlines() if line.startswith("|") and f"`{name}`" in line]
    names, default = (cell.strip() for cell in row.split("|")[1:3])
    defaults = dict(zip(re.findall(r"`(\w+)`", names), re.split(r",\s*", default), strict=True))

    assert defaults[name] == EXAMPLE[name]
