"""The example environment is one that our own code takes."""

import pytest

from db.migrations.revisions import HOME
from db.settings import PoolSettings
from db.urls import DatabaseURL

LINES = [line for line in (HOME / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
EXAMPLE = dict(line.split("=", 1) for line in LINES)


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_READONLY_URL", "POSTGRES_URL", "POSTGRES_DIRECT_URL"])
def test_each_url_is_well_formed_and_verifies_the_server(name: str) -> None:
    url = DatabaseURL.parse(EXAMPLE[name])

    assert url.sslmode == "verify-full"
    assert [key for key, _ in url.parameters] == ["sslmode"]


def test_the_pools_settings_are_the_defaults() -> None:
    assert PoolSettings.load(EXAMPLE) == PoolSettings()
