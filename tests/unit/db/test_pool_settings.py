"""Pool settings from the environment."""

import pytest

from db.errors import SettingsError
from db.settings import PoolSettings


@pytest.mark.requirement("bots.performance.pool", "bots.client.max", "bots.client.connect-timeout")
def test_without_variables_the_pool_keeps_10_and_opens_at_most_50() -> None:
    settings = PoolSettings.load({})

    assert settings == PoolSettings()
    assert (settings.size, settings.limit, settings.connect_timeout) == (10, 50, 10)


def test_every_variable_is_read() -> None:
    settings = PoolSettings.load(
        {
            "DB_POOL_SIZE": "2",
            "DB_POOL_MAX": "4",
            "DB_POOL_TIMEOUT": "5",
            "DB_POOL_RECYCLE": "60",
            "DB_CONNECT_TIMEOUT": "3",
            "DB_CONNECT_PATIENCE": "0",
            "DB_PREPARED_STATEMENTS": "ON",
        }
    )

    assert settings == PoolSettings(2, 4, 5.0, 60, 3, 0.0, prepared_statements=True)


def test_a_variable_that_is_set_but_empty_is_unset() -> None:
    assert PoolSettings.load({"DB_POOL_SIZE": "", "DB_PREPARED_STATEMENTS": ""}) == PoolSettings()


def test_a_larger_size_raises_a_limit_that_is_not_set() -> None:
    assert PoolSettings.load({"DB_POOL_SIZE": "80"}).limit == 80


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as failure:
        PoolSettings.load({"DB_POOL_SIZE": "many", "DB_POOL_MAX": "0", "DB_PREPARED_STATEMENTS": "perhaps"})

    assert str(failure.value) == (
        'DB_POOL_SIZE is "many": give a whole number from 1 to 1000;'
        ' DB_POOL_MAX is "0": give a whole number from 1 to 1000;'
        ' DB_PREPARED_STATEMENTS is "perhaps": write on or off'
    )


def test_a_limit_below_the_size_is_refused() -> None:
    with pytest.raises(SettingsError, match="DB_POOL_MAX is 5, below DB_POOL_SIZE 10: raise it, or lower"):
        PoolSettings.load({"DB_POOL_MAX": "5"})
