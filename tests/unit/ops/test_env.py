from pathlib import Path

import pytest

from ops.env import moved, trust
from ops.stack import Stack
from tests.unit.ops.conftest import certificate


def test_a_url_moves_to_the_network_with_its_login_database_and_parameters() -> None:
    url = "postgresql://maps_app_1:p%40w@127.0.0.1:6432/maps?sslmode=verify-full"
    expected = "postgresql://maps_app_1:p%40w@pgstack-dev-pooler:6432/maps?sslmode=verify-full"
    assert moved(url, "pgstack-dev-pooler:6432") == expected


def test_without_own_certificates_both_variables_name_the_stacks_ca(stack: Stack) -> None:
    variables = trust(stack, {})
    assert set(variables.values()) == {str(stack.folder / "ca.crt")}
    assert Path(variables["PGSSLROOTCERT"]).read_text() == stack.outputs["ca_certificate"]
    assert Path(variables["PGSSLROOTCERT"]).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("variable", ["PGSSLROOTCERT", "NODE_EXTRA_CA_CERTS"])
def test_a_file_that_the_user_trusts_is_kept_beside_the_stacks_ca(stack: Stack, tmp_path: Path, variable: str) -> None:
    theirs = tmp_path / "theirs.crt"
    theirs.write_text(certificate("first") + "\n# a comment\n" + certificate("second"))
    bundle = Path(trust(stack, {variable: str(theirs)})[variable])
    assert bundle.read_text().count("BEGIN CERTIFICATE") == 3
    assert stack.outputs["ca_certificate"] in bundle.read_text()
    assert bundle != theirs


def test_asking_again_in_the_same_shell_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.crt"
    theirs.write_text(certificate("first"))
    first = trust(stack, {"NODE_EXTRA_CA_CERTS": str(theirs)})
    before = Path(first["NODE_EXTRA_CA_CERTS"]).read_text()
    assert trust(stack, first) == first
    assert Path(first["NODE_EXTRA_CA_CERTS"]).read_text() == before


def test_a_second_stack_in_the_same_shell_adds_its_ca_to_the_first_ones(stack: Stack) -> None:
    other = Stack("other", stack.pulumi, {**stack.outputs, "ca_certificate": certificate("pgstack other")})
    both = Path(trust(other, trust(stack, {}))["NODE_EXTRA_CA_CERTS"]).read_text()
    assert str(stack.outputs["ca_certificate"]) in both
    assert str(other.outputs["ca_certificate"]) in both


@pytest.mark.parametrize("theirs", ["system", "/nowhere/ca.crt", ""])
def test_what_verified_nothing_before_is_replaced(stack: Stack, theirs: str) -> None:
    assert trust(stack, {"PGSSLROOTCERT": theirs})["PGSSLROOTCERT"] == str(stack.folder / "ca.crt")
