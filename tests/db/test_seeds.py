"""Seeds in a real database."""

import pytest

from db import apps, migrations, seeds
from db.errors import SeedError
from tests.db.conftest import Prepare, Prepared, silent


@pytest.fixture
def dovvybuddy(prepare: Prepare) -> Prepared:
    prepared = prepare("dovvybuddy")
    migrations.upgrade("dovvybuddy", prepared.owner_url, report=silent)
    return prepared


@pytest.mark.requirement(
    "dovvybuddy.seeds.destination",
    "dovvybuddy.seeds.sites",
    "dovvybuddy.seeds.metadata",
    "dovvybuddy.seeds.mixed",
    "dovvybuddy.testing.seeds",
    "dovvybuddy.verification.seed",
    "dovvybuddy.verification.seeds",
    "dovvybuddy.checks.seeds",
)
def test_base_is_cozumel_with_five_to_ten_mixed_sites(dovvybuddy: Prepared, lines: list[str]) -> None:
    written = seeds.seed("dovvybuddy", dovvybuddy.owner_url, ["base"], report=lines.append)

    assert dovvybuddy.rows("SELECT name, country, is_active FROM dovvybuddy.destinations") == [
        ("Cozumel", "Mexico", True)
    ]
    [(count, levels, bands, access, described)] = dovvybuddy.rows(
        "SELECT count(*), array_agg(DISTINCT min_certification_level), array_agg(DISTINCT difficulty_band),"
        " array_agg(DISTINCT access_type), bool_and(length(description) > 40) FROM dovvybuddy.dive_sites"
    )
    assert 5 <= count <= 10
    assert set(levels) == {"OW", "AOW", "Rescue"}
    assert set(bands) == {"beginner", "intermediate", "advanced"}
    assert set(access) == {"shore", "boat"}
    assert described
    assert written == count + 1
    assert lines == [f"dovvybuddy: seed set base wrote {written} rows"]


@pytest.mark.parametrize("app", apps.names())
@pytest.mark.requirement("dovvybuddy.seeds.idempotent", "dovvybuddy.risks.seeds", "dovvybuddy.testing.seeds-again")
def test_a_second_run_writes_nothing(prepare: Prepare, app: str) -> None:
    prepared = prepare(app)
    migrations.upgrade(app, prepared.owner_url, report=silent)

    first = seeds.seed(app, prepared.owner_url, ["base", "demo"], environment="dev", report=silent)
    second = seeds.seed(app, prepared.owner_url, ["base", "demo"], environment="dev", report=silent)

    assert first > 0
    assert second == 0


def test_a_row_that_was_changed_since_stays_as_it_is_and_one_that_was_deleted_comes_back(dovvybuddy: Prepared) -> None:
    seeds.seed("dovvybuddy", dovvybuddy.owner_url, ["base"], report=silent)
    with dovvybuddy.admin() as admin:
        admin.execute("UPDATE dovvybuddy.dive_sites SET is_active = false WHERE name = 'Paradise Reef'")
        admin.execute("DELETE FROM dovvybuddy.dive_sites WHERE name = 'Columbia Deep'")

    assert seeds.seed("dovvybuddy", dovvybuddy.owner_url, ["base"], report=silent) == 1
    assert dovvybuddy.rows("SELECT name FROM dovvybuddy.dive_sites WHERE NOT is_active") == [("Paradise Reef",)]


def test_demo_brings_leads_a_session_and_embeddings(dovvybuddy: Prepared) -> None:
    seeds.seed("dovvybuddy", dovvybuddy.owner_url, ["demo"], environment="preview", report=silent)

    assert dovvybuddy.rows(
        "SELECT (SELECT count(*) FROM dovvybuddy.leads), (SELECT count(*) FROM dovvybuddy.sessions),"
        " (SELECT count(*) FROM dovvybuddy.content_embeddings)"
    ) == [(2, 1, 4)]


@pytest.mark.parametrize("environment", ["production", "Production", "prod", "live", "Dev", " dev", ""])
def test_demo_is_refused_in_production_and_nothing_is_written(dovvybuddy: Prepared, environment: str) -> None:
    with pytest.raises(SeedError, match='seed set "demo" holds example data and is refused in production: use "base"'):
        seeds.seed("dovvybuddy", dovvybuddy.owner_url, ["base", "demo"], environment=environment, report=silent)

    assert dovvybuddy.rows("SELECT count(*) FROM dovvybuddy.destinations") == [(0,)]


def test_an_unset_environment_is_production(dovvybuddy: Prepared) -> None:
    with pytest.raises(SeedError, match="refused in production"):
        seeds.seed("dovvybuddy", dovvybuddy.owner_url, ["demo"], report=silent)


def test_a_database_that_is_not_migrated_gets_one_line(prepare: Prepare) -> None:
    with pytest.raises(SeedError) as failure:
        seeds.seed("dovvybuddy", prepare("dovvybuddy").owner_url, ["base"], report=silent)

    assert str(failure.value) == ("dovvybuddy cannot be seeded, its schema is not up to date: run its migrations first")


def test_sets_are_written_in_their_order_whatever_order_they_are_given_in(prepare: Prepare, lines: list[str]) -> None:
    prepared = prepare("bots")
    migrations.upgrade("bots", prepared.owner_url, report=silent)

    seeds.seed("bots", prepared.owner_url, ["demo", "base"], environment="dev", report=lines.append)

    assert [line.split(" wrote")[0] for line in lines] == ["bots: seed set base", "bots: seed set demo"]


def test_a_set_that_needs_base_says_so(prepare: Prepare) -> None:
    prepared = prepare("bots")
    migrations.upgrade("bots", prepared.owner_url, report=silent)
    with pytest.raises(SeedError) as failure:
        seeds.seed("bots", prepared.owner_url, ["demo"], environment="dev", report=silent)

    assert str(failure.value) == (
        "bots cannot be seeded: its rows refer to rows of bots.roles that are not there: seed base first, or with it"
    )


def test_a_guests_set_that_needs_its_hosts_says_so(prepare: Prepare) -> None:
    prepared = prepare("petsitting")
    migrations.upgrade("petsitting", prepared.owner_url, report=silent)
    with pytest.raises(SeedError) as failure:
        seeds.seed("petsitting", prepared.owner_url, ["load"], environment="dev", report=silent)

    assert str(failure.value) == (
        "petsitting cannot be seeded: its rows refer to rows of panamia.users that are not there: seed panamia"
        " with load first"
    )


def test_a_login_that_may_not_write_gets_one_line(dovvybuddy: Prepared) -> None:
    with pytest.raises(SeedError, match="dovvybuddy cannot be seeded: SQLSTATE 25006, cannot execute INSERT in"):
        seeds.seed("dovvybuddy", dovvybuddy.readonly_url, ["base"], report=silent)
