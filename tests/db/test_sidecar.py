"""An app that lives in another's database: petsitting, in panamia's."""

import datetime
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as DatabaseSession

from db import apps, engine, migrations, seeds
from db.apps.panamia.models import Session, User
from db.apps.panamia.seeds.demo import ANA, BEA
from db.apps.petsitting.models import Booking, Listing
from db.apps.petsitting.queries import Visitor, bookings_of, signed_in
from db.apps.petsitting.seeds.demo import LISTING
from db.bootstrap import bootstrap
from db.errors import MigrationError, TargetError, UnknownAppError
from db.urls import DatabaseURL
from tests.db.conftest import Prepare, Prepared, access_for, guest, silent

DENIED = psycopg.errors.InsufficientPrivilege
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def panamia(prepare: Prepare) -> Prepared:
    return prepare("panamia")


@pytest.fixture(scope="module")
def petsitting(panamia: Prepared) -> Prepared:
    prepared = guest("petsitting", panamia)
    migrations.upgrade("petsitting", prepared.owner_url, report=silent)
    seeds.seed("petsitting", prepared.owner_url, ["demo"], environment="dev", report=silent)
    return prepared


@pytest.fixture
def session(petsitting: Prepared) -> Iterator[DatabaseSession]:
    """The guest's application; what it does is rolled back."""
    with DatabaseSession(engine.unpooled(DatabaseURL.parse(petsitting.app_url))) as opened:
        yield opened
        opened.rollback()


class TestWhatAGuestMayDo:
    @pytest.mark.requirement("panamia.sidecar.foreign-keys")
    def test_a_booking_names_users_of_the_host_and_nobody_else(self, session: DatabaseSession) -> None:
        [booking] = bookings_of(session, BEA)
        assert (booking.owner_id, booking.sitter_id, booking.listing_id) == (BEA, ANA, LISTING)

        session.add(Listing(sitter_id="nobody", title="x", price_cents=0))
        with pytest.raises(Exception, match="fk_listings_sitter_id_users"):
            session.flush()

    def test_a_booking_is_with_its_listings_sitter(self, petsitting: Prepared, session: DatabaseSession) -> None:
        [booking] = bookings_of(session, BEA)
        with psycopg.connect(petsitting.owner_url) as owner:
            owner.execute("SET search_path = petsitting")
            for change in (
                f"UPDATE bookings SET owner_id = sitter_id, sitter_id = owner_id WHERE id = '{booking.id}'",
                f"UPDATE listings SET sitter_id = '{BEA}' WHERE id = '{LISTING}'",
            ):
                with pytest.raises(psycopg.errors.ForeignKeyViolation), owner.transaction():
                    owner.execute(change)

        session.add(
            Booking(
                owner_id=ANA,
                sitter_id=BEA,
                listing_id=LISTING,
                starts_on=datetime.date(2026, 4, 1),
                ends_on=datetime.date(2026, 4, 2),
            )
        )
        with pytest.raises(IntegrityError, match="fk_bookings_listing_id_sitter_id_listings"):
            session.flush()

    @pytest.mark.requirement("panamia.sidecar.shared-auth")
    def test_who_is_signed_in_at_the_host_is_signed_in_here(self, petsitting: Prepared, panamia: Prepared) -> None:
        with DatabaseSession(engine.unpooled(DatabaseURL.parse(panamia.app_url))) as host:
            for token, hours in (("alive", 1), ("over", -1)):
                host.add(Session(session_token=token, user_id=ANA, expires=NOW + datetime.timedelta(hours=hours)))
            host.commit()

        with DatabaseSession(engine.unpooled(DatabaseURL.parse(petsitting.app_url))) as session:
            assert signed_in(session, "alive") == Visitor(ANA, "Ana", None)
            assert signed_in(session, "over") is None
            assert signed_in(session, "forged") is None

    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT * FROM panamia.users",
            "SELECT email_verified FROM panamia.users",
            "SELECT access_token FROM panamia.accounts",
            "SELECT id FROM panamia.profiles",
            "SELECT FROM panamia.verification_tokens",
            "UPDATE panamia.users SET name = 'x'",
            "DELETE FROM panamia.sessions",
            "INSERT INTO panamia.sessions (session_token, user_id, expires) VALUES ('x', 'x', now())",
            "TRUNCATE panamia.users CASCADE",
        ],
    )
    @pytest.mark.parametrize("login", ["app_url", "owner_url", "readonly_url"])
    def test_a_guest_reads_the_shared_columns_only_and_writes_nothing_of_the_hosts(
        self, petsitting: Prepared, login: str, statement: str
    ) -> None:
        with psycopg.connect(getattr(petsitting, login), autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            with pytest.raises(DENIED):
                connection.execute(statement)

    @pytest.mark.parametrize("login", ["app_url", "owner_url", "readonly_url"])
    def test_the_host_sees_nothing_of_its_guest(self, petsitting: Prepared, panamia: Prepared, login: str) -> None:
        assert petsitting.access.database == panamia.access.database
        with psycopg.connect(getattr(panamia, login)) as connection, pytest.raises(DENIED):
            connection.execute("SELECT FROM petsitting.bookings")

    @pytest.mark.parametrize("statement", ["CREATE TABLE panamia.mine ()", "DROP TABLE panamia.users CASCADE"])
    def test_a_guests_owner_changes_nothing_in_the_hosts_schema(self, petsitting: Prepared, statement: str) -> None:
        with psycopg.connect(petsitting.owner_url) as owner, pytest.raises(DENIED):
            owner.execute(statement)

    def test_a_user_who_leaves_the_host_takes_bookings_along(self, petsitting: Prepared, panamia: Prepared) -> None:
        with DatabaseSession(engine.unpooled(DatabaseURL.parse(panamia.app_url))) as host:
            user = User(name="Leaving")
            host.add(user)
            host.commit()
            leaving = user.id
        with DatabaseSession(engine.unpooled(DatabaseURL.parse(petsitting.app_url))) as session:
            session.add(
                Booking(
                    owner_id=leaving,
                    sitter_id=ANA,
                    listing_id=LISTING,
                    starts_on=datetime.date(2026, 4, 1),
                    ends_on=datetime.date(2026, 4, 2),
                )
            )
            session.commit()

            with psycopg.connect(panamia.app_url) as host_app:
                host_app.execute("DELETE FROM users WHERE id = %s", (leaving,))

            assert bookings_of(session, leaving) == []


class TestTheOrderOfThings:
    def test_a_guest_is_declared_by_its_package_and_its_host_says_what_it_shares(self) -> None:
        assert apps.host("petsitting") == "panamia"
        assert apps.host("panamia") == "panamia"
        assert apps.shared("panamia")["users"][0] == "id"
        assert apps.shared("maps") == {}
        with pytest.raises(UnknownAppError, match='unknown app "cats"'):
            apps.host("cats")

    def test_hosts_come_before_their_guests_otherwise_as_given(self) -> None:
        assert apps.in_order(["petsitting", "maps", "panamia"]) == ("maps", "panamia", "petsitting")

    def test_a_host_that_is_not_there_is_an_error_with_the_apps_there_are(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("db.apps.petsitting.DATABASE", "atlantis")
        with pytest.raises(UnknownAppError, match='unknown app "atlantis": the apps are '):
            apps.host("petsitting")

    def test_a_guest_before_its_hosts_tables_is_refused_and_comes_after_another_bootstrap(
        self, prepare: Prepare
    ) -> None:
        host = prepare("panamia")
        access = access_for("petsitting", host.access.database)
        both = [access, host.access]  # the first deployment: the guest's turn comes before the host has tables
        bootstrap(host.server.admin, both, report=silent)
        owner_url = host.server.url(access.owner, access.database)
        refusal = (
            r"petsitting lives in the database of panamia, but may not refer to panamia's users, sessions in database"
            r" \w+: migrate panamia first, then run the bootstrap again"
        )
        with pytest.raises(TargetError, match=refusal):
            migrations.upgrade("petsitting", owner_url, report=silent)

        migrations.upgrade("panamia", host.owner_url, report=silent)
        with pytest.raises(TargetError, match=refusal):
            migrations.upgrade("petsitting", owner_url, report=silent)

        changes = bootstrap(host.server.admin, both, report=silent).changes
        assert "granted REFERENCES on panamia.users.id to petsitting_owner" in changes
        assert "granted SELECT on panamia.sessions.session_token to petsitting_app" in changes
        assert all(it.startswith("granted") for it in changes)
        assert migrations.upgrade("petsitting", owner_url, report=silent) == ("0001_initial_schema",)
        assert bootstrap(host.server.admin, both, report=silent).changes == ()

    def test_a_host_does_not_drop_its_tables_from_under_a_guest(self, petsitting: Prepared, panamia: Prepared) -> None:
        with pytest.raises(MigrationError, match="SQLSTATE 2BP01, cannot drop table users"):
            migrations.downgrade("panamia", panamia.owner_url, target="base", report=silent)
        assert petsitting.rows("SELECT count(*) FROM petsitting.bookings") == [(1,)]
        migrations.upgrade("panamia", panamia.owner_url, report=silent)

    def test_a_host_without_its_guest_has_no_trace_of_it(self, prepare: Prepare) -> None:
        host = prepare("panamia")
        migrations.upgrade("panamia", host.owner_url, report=silent)

        assert host.rows("SELECT to_regnamespace('petsitting')") == [(None,)]
        with closing(host.admin()) as admin:
            assert admin.execute(
                "SELECT count(*) FROM pg_attribute WHERE attrelid = 'panamia.users'::regclass AND attacl IS NOT NULL"
            ).fetchone() == (0,)
