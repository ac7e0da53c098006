"""`pgstack` on a real stack: it shows what is, does what it says, and tells no secret."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound
from psycopg.conninfo import conninfo_to_dict

from tests.deployment import NewStack, Run, Stack

LABEL = "pgstack.stack"


@pytest.fixture(scope="module")
def passwords(stack: Stack) -> list[str]:
    """Every password that the stack's outputs hold."""
    urls = [value for name, value in stack.outputs.items() if name.endswith("_url")]
    return [str(conninfo_to_dict(url)["password"]) for url in urls]


@contextmanager
def running(stack: Stack, **options: Any) -> Iterator[Any]:
    """A container beside the stack's own, of the same image."""
    image = stack.container("postgres").attrs["Config"]["Image"]
    container = stack.engine.containers.run(image, ["sleep", "300"], detach=True, **options)
    try:
        yield container
    finally:
        with suppress(NotFound):  # `pgstack recover` may have removed it
            container.remove(force=True)


def test_status_of_a_new_stack_is_healthy_and_says_what_runs(stack: Stack, pgstack: Run) -> None:
    read = json.loads(pgstack("status", "--json").stdout)
    assert (read["healthy"], read["problems"]) == (True, [])
    assert [it["name"] for it in read["containers"]] == [
        f"{stack.prefix}-{it}" for it in ("postgres", "pooler", "backup", "drills")
    ]
    assert read["server"]["version"].startswith("16.")
    assert [it["pending"] for it in read["apps"].values()] == [[]] * 4
    assert {it["type"] for it in read["backups"]["repository"]["backups"]} >= {"full"}
    assert {it["volume"] for it in read["backups"]["disks"]} == {"data", "backups"}
    shown = pgstack("status").stdout
    assert "healthy" in shown
    assert "maps_app_1:***@127.0.0.1" in shown


@pytest.mark.parametrize(
    "verb", ["status", "status --json", "logs -n 1000", "migrate plan", "migrate check", "backup list", "seed"]
)
def test_no_verb_but_env_prints_a_password(pgstack: Run, passwords: list[str], verb: str) -> None:
    said = pgstack(*verb.split())
    assert [it for it in passwords if it in said.stdout + said.stderr] == []


def test_env_makes_plain_psql_in_a_posix_shell_connect_by_every_url(stack: Stack) -> None:
    verb = f"{stack.home}/.venv/bin/python -m ops.main env maps -s {stack.name}"
    ask = 'psql "$%s" -XAtc "SELECT session_user"'
    names = ("DATABASE_URL", "POSTGRES_URL", "POSTGRES_READONLY_URL", "POSTGRES_DIRECT_URL")
    script = f'set -e; exports="$({verb})"; eval "$exports"; ' + "; ".join(ask % name for name in names)
    said = stack.run("sh", "-c", script).stdout
    assert said.split() == ["maps_app_1", "maps_app_1", "maps_readonly_1", "maps_owner_1"]


def test_env_for_the_network_connects_from_a_container_on_it(stack: Stack, pgstack: Run) -> None:
    exports = pgstack("env", "maps", "--network", "--ca-path", "/etc/ca.crt").stdout
    ca = Path(json.loads(pgstack("env", "maps", "--json").stdout)["PGSSLROOTCERT"])
    mounts = {str(ca): {"bind": "/etc/ca.crt", "mode": "ro"}}
    with running(stack, network=stack.prefix, volumes=mounts) as client:
        script = exports + 'psql "$POSTGRES_URL" -XAtc "SELECT 1" && psql "$POSTGRES_DIRECT_URL" -XAtc "SELECT 2"'
        code, said = client.exec_run(["sh", "-c", script])
    assert (code, said.decode().split()) == (0, ["1", "2"])


@pytest.mark.parametrize(
    ("option", "user"),
    [(None, "maps_app_1"), ("--readonly", "maps_readonly_1"), ("--direct", "maps_owner_1"), ("--admin", "postgres")],
)
def test_psql_logs_in_as_whom_the_option_names(pgstack: Run, option: str | None, user: str) -> None:
    options = [option] if option else []
    assert pgstack("psql", "maps", *options, "--", "-XAtc", "SELECT session_user").stdout.strip() == user


def test_psql_of_a_host_without_one_leaves_no_password_in_the_container(
    stack: Stack, pgstack: Run, passwords: list[str], tmp_path: Path
) -> None:
    docker, pulumi = (shutil.which(it, path=stack.env["PATH"]) for it in ("docker", "pulumi"))
    assert docker
    assert pulumi
    (tmp_path / "docker").symlink_to(docker)
    bare = Stack(stack.name, stack.home, {**stack.env, "PATH": f"{tmp_path}:{Path(pulumi).parent}"})
    ask = "SELECT session_user, inet_client_addr() IS NOT NULL"
    assert pgstack("psql", "maps", "-XAtc", ask, of=bare).stdout.strip() == "maps_app_1|t"
    left = stack.execute("postgres", "sh", "-c", "cat /tmp/psql* 2>/dev/null; env")
    assert [it for it in passwords if it in left] == []


def test_logs_of_one_server_and_of_all_of_them(pgstack: Run) -> None:
    assert "database system is ready to accept connections" in pgstack("logs", "postgres", "-n", "10000").stdout
    assert {line.split()[0] for line in pgstack("logs", "-n", "2").stdout.splitlines()} == {
        "postgres",
        "pooler",
        "backup",
        "drills",
    }
    assert pgstack("logs", "--since", "1s", "-n", "0").stdout == ""


def test_a_stack_that_an_older_version_deployed_has_a_status_that_says_so(
    stack: Stack, pgstack: Run, tmp_path: Path
) -> None:
    state = json.loads(stack.pulumi("stack", "export").stdout)
    of_stack = next(it for it in state["deployment"]["resources"] if it["type"] == "pulumi:pulumi:Stack")
    for output in ("drills_container", "drills_public_key"):
        del of_stack["outputs"][output]
    (tmp_path / "state.json").write_text(json.dumps(state))
    stack.pulumi("stack", "import", "--file", str(tmp_path / "state.json"))

    read = json.loads(pgstack("status", "--json", code=1).stdout)
    assert read["problems"] == [
        "the stack has no drills container: an older pgstack deployed it, `pulumi up` adds what is new"
    ]
    assert {it["role"] for it in read["containers"]} == {"postgres", "pooler", "backup"}
    pgstack("logs", "-n", "1")

    stack.up()
    assert json.loads(pgstack("status", "--json").stdout)["problems"] == []


def test_stop_is_clean_and_start_goes_on_with_every_row(stack: Stack, pgstack: Run) -> None:
    stack.admin_sql("CREATE TABLE public.kept AS SELECT 42 AS answer", "maps")
    try:
        pgstack("stop")
        assert stack.container("postgres").attrs["State"]["ExitCode"] == 0
        assert "database system is shut down" in pgstack("logs", "postgres", "-n", "3").stdout
        unwell = pgstack("status", code=1).stdout
        assert f"container {stack.prefix}-postgres is exited: `pgstack start` starts it" in unwell
        for verb in (("psql", "maps"), ("migrate", "plan")):
            assert "`pgstack start` starts a stopped stack" in pgstack(*verb, code=1).stderr
    finally:
        pgstack("start")
    pgstack("status")
    assert stack.admin_sql("SELECT answer FROM public.kept; DROP TABLE public.kept", "maps") == "42"


def test_a_new_revision_is_planned_and_makes_check_and_status_fail(stack: Stack, pgstack: Run, tmp_path: Path) -> None:
    clone = stack.clone(tmp_path / "clone")
    pgstack("migrate", "plan")
    said = pgstack("migrate", "revision", "maps", "Add a slug", of=clone).stdout
    name = Path(said.partition(":")[0]).stem
    assert name.endswith("_add_a_slug")
    assert f"{name}  still to be filled in: `up` refuses it" in pgstack("migrate", "plan", "maps", of=clone).stdout
    checked = json.loads(pgstack("migrate", "check", "--json", of=clone, code=1).stdout)["maps"]
    assert (checked["history"], checked["drift"]) == ([f"{name} is pending"], [])
    assert f"maps: pending {name}" in pgstack("status", of=clone, code=1).stdout


def test_down_asks_goes_back_holds_the_app_there_and_up_lets_it_go(stack: Stack, pgstack: Run) -> None:
    assert "give --yes" in pgstack("migrate", "down", "maps", "-1", code=1).stderr
    head = stack.admin_sql("SELECT version_num FROM maps.alembic_version", "maps")
    try:
        pgstack("migrate", "down", "maps", "-1", "--yes")
        below = stack.admin_sql("SELECT version_num FROM maps.alembic_version", "maps")
        assert below < head
        assert stack.plan() == []
        assert f"held at {below}" in pgstack("status").stdout
    finally:
        pgstack("migrate", "up", "maps")
    assert stack.admin_sql("SELECT version_num FROM maps.alembic_version", "maps") == head
    pgstack("migrate", "check")


def test_seed_writes_what_is_missing_and_then_nothing(stack: Stack, pgstack: Run) -> None:
    stack.admin_sql("DELETE FROM dovvybuddy.dive_sites", "dovvybuddy")
    assert "dovvybuddy: 0 rows" not in pgstack("seed", "dovvybuddy").stdout
    assert int(stack.admin_sql("SELECT count(*) FROM dovvybuddy.dive_sites", "dovvybuddy")) >= 5
    assert "dovvybuddy: 0 rows" in pgstack("seed", "dovvybuddy").stdout


def test_the_load_set_says_how_far_it_is_and_comes_once(stack: Stack, pgstack: Run) -> None:
    try:
        first = pgstack("seed", "maps", "--set", "load")
        assert re.search(r"maps: seed set load wrote \d{6,} rows of users", first.stderr)
        assert int(stack.admin_sql("SELECT count(*) FROM maps.users", "maps")) >= 100_000
        assert pgstack("seed", "maps", "--set", "load").stdout == "maps: 0 rows written (load)\n"
    finally:  # the stack is shared with tests that count
        stack.admin_sql("TRUNCATE maps.users, maps.verifications CASCADE", "maps")
        pgstack("seed", "maps")


def test_a_backup_taken_now_is_listed(pgstack: Run) -> None:
    before = [it["label"] for it in json.loads(pgstack("backup", "list", "--json").stdout)]
    label = pgstack("backup", "now", "--type", "diff").stdout.split()[2]
    after = json.loads(pgstack("backup", "list", "--json").stdout)
    assert [it["label"] for it in after] == [*before, label]
    assert after[-1]["type"] == "diff"
    assert label in pgstack("backup", "list").stdout


def test_exported_keys_open_the_repository_and_the_state(stack: Stack, pgstack: Run, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    pgstack("keys", "export", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    kept = json.loads(file.read_text())
    key = f"repo1-cipher-pass={kept['repository_key']}"
    assert key in stack.execute("backup", "cat", "/etc/pgstack/pgbackrest.conf").splitlines()
    assert kept["ca_certificate"] == stack.outputs["ca_certificate"]
    assert kept["urls"]["maps"]["direct"] == stack.outputs["maps_direct_url"]
    # on another machine: only what the file holds
    home = tmp_path / "elsewhere"
    (home / "stacks").mkdir(parents=True)
    shutil.copy(stack.home / "Pulumi.yaml", home)
    (home / f"stacks/Pulumi.{stack.name}.yaml").write_text(kept["stack_file"])
    (home / "state.json").write_text(json.dumps(kept["state"]))
    elsewhere = {name: value for name, value in stack.env.items() if not name.startswith("PULUMI_CONFIG_PASSPHRASE")}
    elsewhere |= {"PULUMI_BACKEND_URL": f"file://{home}", "PULUMI_CONFIG_PASSPHRASE": kept["passphrase"]}
    restored = Stack(stack.name, home, elsewhere)
    restored.run("pulumi", "stack", "init", stack.name, "--non-interactive")
    restored.pulumi("stack", "import", "--file", "state.json")
    assert restored.outputs == stack.outputs
    assert "exists" in pgstack("keys", "export", str(file), code=1).stderr


def test_recover_removes_what_no_state_knows_and_nothing_else(stack: Stack, pgstack: Run) -> None:
    labels = {LABEL: stack.prefix}
    volumes = {it.name for it in stack.engine.volumes.list(filters={"label": f"{LABEL}={stack.prefix}"})}
    stray_network = stack.engine.networks.create(f"{stack.prefix}-stray", labels=labels)
    with (
        running(stack, network=stack.prefix, labels=labels) as stray,
        running(stack, network="bridge", labels=labels) as foreign,
    ):
        said = pgstack("recover").stdout
        assert f"removed container {stray.name}" in said
        assert f"removed network {stray_network.name}" in said
        assert f"container {foreign.name} is of another state's stack" in said
        foreign.reload()
        assert foreign.status == "running"
    assert {it.name for it in stack.engine.volumes.list(filters={"label": f"{LABEL}={stack.prefix}"})} == volumes
    assert "nothing to mend" in pgstack("recover").stdout
    assert pgstack("recover", "--quiet").stdout == ""
    pgstack("status")


def test_recover_frees_the_lock_of_a_killed_update_and_respects_a_living_one(stack: Stack, pgstack: Run) -> None:
    command = ["pulumi", "up", "--yes", "--skip-preview", "--stack", stack.name, "--non-interactive"]
    update = subprocess.Popen(command, cwd=stack.home, env=stack.env, stdout=subprocess.PIPE, text=True)
    assert update.stdout
    try:
        for line in update.stdout:
            if "refresh" in line or "updating" in line:  # it holds the lock now
                break
        assert f"process {update.pid} of " in pgstack("recover", code=1).stderr
    finally:
        update.kill()
        update.wait()
    assert "locked" in stack.up(check=False).stderr + stack.up(check=False).stdout
    assert f"cancelled the lock of process {update.pid}" in pgstack("recover").stdout
    stack.up()
    pgstack("status")


def test_reset_is_refused_where_data_lasts_and_without_an_answer(stack: Stack, pgstack: Run) -> None:
    with stack.configured(environment="production"):
        assert "is a production stack" in pgstack("reset", "--yes", code=1).stderr
    assert "give --yes" in pgstack("reset", code=1).stderr
    pgstack("status")


def test_reset_makes_a_dev_stack_as_new(new_stack: NewStack, pgstack: Run) -> None:
    own = new_stack()
    own.up()
    before = own.outputs
    own.admin_sql("CREATE TABLE public.gone AS SELECT 1", "maps")
    pgstack("reset", "--yes", of=own)
    assert own.admin_sql("SELECT to_regclass('public.gone') IS NULL", "maps") == "t"
    after = Stack(own.name, own.home, own.env).outputs
    secrets = ("ca_certificate", "maps_pooled_url", "maps_readonly_url", "maps_direct_url")
    assert [it for it in secrets if before[it] == after[it]] == []
    pgstack("status", of=own)
