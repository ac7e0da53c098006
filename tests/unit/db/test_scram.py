"""Verifiers: the RFC's example, and what is no verifier."""

import pytest

from db.bootstrap import AppAccess, Login
from db.bootstrap.scram import matches
from db.errors import BootstrapError

# salt, rounds and password of RFC 7677, section 3, in the form of pg_authid.rolpassword
PENCIL = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def test_the_password_of_a_verifier_matches_and_no_other_does() -> None:
    assert matches(PENCIL, "pencil")
    assert not matches(PENCIL, "Pencil")
    assert not matches(PENCIL, "")


@pytest.mark.parametrize("known", [None, "", "md5aa", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096:x", "pencil"])
def test_what_is_no_scram_verifier_matches_nothing(known: str | None) -> None:
    assert not matches(known, "pencil")


def test_a_verifier_whose_server_key_was_changed_does_not_match() -> None:
    assert not matches(PENCIL[:-5] + "AAAA=", "pencil")


@pytest.mark.parametrize("password", ["", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "a\nb"])
def test_a_password_that_scram_would_normalise_is_refused_without_being_shown(password: str) -> None:
    with pytest.raises(BootstrapError) as failure:
        Login("maps_app_1", password)

    assert str(failure.value) == ("the password of login maps_app_1 is empty or not printable ASCII: generate another")


def test_a_login_does_not_show_its_password() -> None:
    assert "secret" not in repr(Login("maps_app_1", "secret"))


@pytest.mark.parametrize("name", ["", "Maps", "1maps", "maps-app", 'maps"; DROP', "m" * 49])
def test_a_name_that_needs_quotes_or_is_too_long_is_refused(name: str) -> None:
    logins = [Login(f"maps_{kind}_1", "p") for kind in ("owner", "app", "readonly")]

    with pytest.raises(BootstrapError, match="cannot name a role or database here: use a-z, 0-9 and _, at most 48"):
        AppAccess(name, "maps", *logins)
