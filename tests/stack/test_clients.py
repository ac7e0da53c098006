"""What applications do with the URLs: their drivers, on the host and in a container of the stack's network."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker.errors
import psycopg
import pytest

from infra.selfhosted.certificates import authority
from tests.deployment import Stack

CLIENTS = Path(__file__).parent / "clients"
WAYS = ["pooled", "readonly", "direct"]
COUNTS = "SELECT (SELECT count(*) FROM destinations), (SELECT count(*) FROM dive_sites)"
_WITHIN = 60  # seconds


class RefusedError(Exception):
    """A client ended with an error; the message is what it printed."""


@pytest.fixture(scope="session")
def clients() -> Path:
    """A folder with the JavaScript clients and their packages, kept outside the checkout for the next run."""
    files = sorted(CLIENTS.iterdir())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pgstack" / "tests"
    kept, aside = cache / f"clients-{digest}", cache / f"clients-{digest}.{os.getpid()}"
    if not kept.exists():
        shutil.copytree(CLIENTS, aside)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=aside, check=True)
        aside.rename(kept)
    return kept


def on_the_host(_: Stack, clients: Path, environment: Mapping[str, str], *command: str) -> str:
    """Run a client as a developer would."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "NODE_"))}
    done = subprocess.run(
        command, cwd=clients, env={**inherited, **environment},
        capture_output=True, text=True, check=False, timeout=_WITHIN,
    )  # fmt: skip
    if done.returncode:
        raise RefusedError(done.stderr)
    return done.stdout


def on_the_network(stack: Stack, clients: Path, environment: Mapping[str, str], *command: str) -> str:
    """Run a client in a container beside the servers; the host's node runs there, for no image with one is at hand."""
    node = Path(shutil.which("node") or "node is needed to try the JavaScript clients").resolve()
    mounted = {str(clients): "/clients", str(node): "/usr/local/bin/node", str(stack.ca_file): "/ca.crt"}
    trusted = {name: "/ca.crt" for name in environment if name in {"PGSSLROOTCERT", "NODE_EXTRA_CA_CERTS"}}
    image = stack.container("postgres").image
    assert image is not None
    try:
        output = stack.engine.containers.run(
            image, list(command), remove=True, network=stack.outputs["network"], working_dir="/clients",
            labels={"pgstack.stack": stack.prefix}, environment={**environment, **trusted},
            volumes={host: {"bind": inside, "mode": "ro"} for host, inside in mounted.items()},
        )  # fmt: skip
    except docker.errors.ContainerError as error:
        raise RefusedError(str(error.stderr)) from None
    assert isinstance(output, bytes)
    return output.decode()


PLACES = {"host": on_the_host, "network": on_the_network}


@pytest.fixture(scope="module")
def urls(stack: Stack) -> dict[str, dict[str, str]]:
    """dovvybuddy's URLs by place and way: the outputs, and what `pgstack env --network` prints for containers."""
    printed = json.loads(stack.pgstack("env", "dovvybuddy", "--network", "--json", "--stack", stack.name).stdout)
    names = {"pooled": "POSTGRES_URL", "readonly": "POSTGRES_READONLY_URL", "direct": "POSTGRES_DIRECT_URL"}
    return {
        "host": {way: stack.outputs[f"dovvybuddy_{way}_url"] for way in WAYS},
        "network": {way: printed[name] for way, name in names.items()},
    }


def trusting(ca_file: Path | str) -> dict[str, str]:
    return {"PGSSLROOTCERT": str(ca_file), "NODE_EXTRA_CA_CERTS": str(ca_file)}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Somebody else's CA certificate."""
    path = tmp_path / "other-ca.crt"
    path.write_text(authority("somebody else").certificate)
    return path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("driver", ["pg", "postgres"])
@pytest.mark.parametrize("place", PLACES)
def test_javascript_drivers_see_cozumel_with_the_url_as_it_is(
    stack: Stack, clients: Path, urls: dict[str, dict[str, str]], place: str, driver: str, way: str
) -> None:
    environment = trusting(stack.ca_file) | {"DATABASE_URL": urls[place][way]}
    seen = json.loads(PLACES[place](stack, clients, environment, "node", "sites.mjs", driver))
    assert seen["destinations"] == 1
    assert 5 <= seen["sites"] <= 10


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", PLACES)
def test_plain_psql_sees_cozumel_with_the_url_as_it_is(
    stack: Stack, clients: Path, urls: dict[str, dict[str, str]], place: str, way: str
) -> None:
    seen = PLACES[place](stack, clients, trusting(stack.ca_file), "psql", urls[place][way], "-XAtc", COUNTS)
    assert seen.strip() == "1|8"


@pytest.mark.parametrize("way", WAYS)
def test_psycopg_sees_cozumel_over_tls_1_3(stack: Stack, way: str) -> None:
    with stack.connect(f"dovvybuddy_{way}_url") as connection:
        assert connection.execute(COUNTS).fetchone() == (1, 8)
        assert connection.pgconn.ssl_in_use


@pytest.mark.parametrize("way", WAYS)
def test_a_client_is_refused_without_the_ca_or_with_another_or_under_another_name(
    stack: Stack, elsewhere: Path, tmp_path: Path, way: str
) -> None:
    url = stack.outputs[f"dovvybuddy_{way}_url"]
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url, sslrootcert=str(tmp_path / "none.crt"))
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(url, sslrootcert=str(elsewhere))
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        psycopg.connect(url, sslrootcert=str(stack.ca_file), host="impostor.example", hostaddr="127.0.0.1")


@pytest.mark.parametrize("driver", ["pg", "postgres"])
def test_javascript_drivers_refuse_a_server_they_cannot_verify(
    stack: Stack, clients: Path, elsewhere: Path, driver: str
) -> None:
    url = {"DATABASE_URL": stack.outputs["dovvybuddy_pooled_url"]}
    for trust in ({}, trusting(elsewhere)):
        with pytest.raises(RefusedError, match=r"UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN"):
            on_the_host(stack, clients, url | trust, "node", "sites.mjs", driver)


@pytest.mark.parametrize("way", WAYS)
def test_nobody_gets_in_without_tls(stack: Stack, way: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"SSL required|no encryption"):
        psycopg.connect(stack.outputs[f"dovvybuddy_{way}_url"], sslmode="disable")


def test_prepared_statements_of_postgres_js_work_through_the_pooler(stack: Stack, clients: Path) -> None:
    environment = trusting(stack.ca_file) | {"DATABASE_URL": stack.outputs["dovvybuddy_pooled_url"]}
    seen = json.loads(on_the_host(stack, clients, environment, "node", "prepared.mjs"))
    assert seen["wrong"] == 0
    assert seen["servers"] > 1, "all statements went over one server connection, which proves nothing"
    assert seen["prepared"] > 0, "nothing was prepared on the server"


def test_a_statement_prepared_through_the_pooler_is_known_on_every_server_connection(stack: Stack) -> None:
    with stack.connect("dovvybuddy_pooled_url") as one, stack.connect("dovvybuddy_pooled_url") as other:
        one.prepare_threshold = other.prepare_threshold = 1

        def server(connection: psycopg.Connection[Any]) -> int:
            row = connection.execute("SELECT pg_backend_pid(), %s::text", ["x"]).fetchone()
            assert row is not None
            return int(row[0])

        first = [server(one) for _ in range(3)][-1]
        with other.transaction():
            taken = server(other)  # the same server connection, held now
            assert [server(one) for _ in range(3)][-1] != taken
        assert first == taken


def test_transactions_and_set_local_stay_in_their_transaction(stack: Stack) -> None:
    with stack.connect("maps_pooled_url") as connection:
        with connection.transaction(force_rollback=True):
            connection.execute("SET LOCAL statement_timeout = '1234ms'")
            connection.execute("INSERT INTO users (id, email, name) VALUES ('rolled-back', 'r@example.org', 'R')")
            assert connection.execute("SHOW statement_timeout").fetchone() == ("1234ms",)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("30s",)
        assert connection.execute("SELECT count(*) FROM users WHERE id = 'rolled-back'").fetchone() == (0,)
        with connection.transaction():
            connection.execute("INSERT INTO users (id, email, name) VALUES ('committed', 'c@example.org', 'C')")
        assert connection.execute("DELETE FROM users WHERE id = 'committed'").rowcount == 1


def test_better_auth_signs_a_user_up_and_in_and_knows_the_session(stack: Stack, clients: Path) -> None:
    environment = trusting(stack.ca_file) | {"DATABASE_URL": stack.outputs["maps_pooled_url"]}
    seen = json.loads(on_the_host(stack, clients, environment, "node", "betterauth.mjs"))
    assert seen.pop("hoursLeft") == pytest.approx(7 * 24, abs=0.1)  # Better Auth's default, so no zone was mixed up
    assert seen == {"email": True, "refused": "UNAUTHORIZED", "afterSignOut": None, "sessions": 1, "deleted": 1}
