"""What backups and restores cost, as part of `make bench`: each beside a plain copy of the same files in the same run.

A stack of one application gets rows (half of each random, half of it words that repeat) until its cluster has 1 GB,
then 5 GB; everything it makes goes when it ends. PGSTACK_BENCH_GB="1" measures the first size alone.
"""

import datetime
import json
import os
import random
import statistics
import subprocess
import sys
import time

import docker.errors
from docker.models.containers import Container

from tests.deployment import ROLES, Stack
from tests.figures import measured_stack, timed
from tests.stack.repository import info
from tests.stack.writer import writing

_SIZES = [int(it) for it in os.environ.get("PGSTACK_BENCH_GB", "1 5").split()]
_GB = 1024**3
_RUNS = 3
_DATA = "/var/lib/postgresql"
_ROWS = """\
CREATE TABLE IF NOT EXISTS public.figures (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, token uuid, note text);
INSERT INTO public.figures (token, note) SELECT gen_random_uuid(), md5(random()::text) || repeat(' a dive site', 5)
FROM generate_series(1, 500000)"""
_TAKE = ("/usr/local/lib/pgstack/take-backup", "full", "local")


def main() -> None:
    """Measure and print; the stack is its own and goes when it ends."""
    print("| figure | seconds | ratio | goal |\n| --- | --: | --: | --- |")
    with measured_stack() as stack:
        stack.configure("apps", '["dovvybuddy"]')
        stack.up()
        for size in _SIZES:
            _fill(stack, size * _GB)
            _backup(stack, size)
            _restore(stack, size)
            if size == _SIZES[0]:
                _first_query(stack, size)
        _killed_host(stack)


def _fill(stack: Stack, wanted: int) -> None:
    while int(stack.admin_sql("SELECT sum(pg_database_size(oid)) FROM pg_database")) < wanted:
        print(f"writing rows up to {wanted // _GB} GB", file=sys.stderr)
        stack.admin_sql(_ROWS, "dovvybuddy")
    stack.admin_sql("VACUUM ANALYZE public.figures", "dovvybuddy")
    stack.admin_sql("CHECKPOINT")


def _backup(stack: Stack, size: int) -> None:
    """Both read the same data, which the machine has in its cache by then."""
    _allow_replication(stack)
    bare, ours = [], []
    for _ in range(_RUNS):
        copy = f"{_DATA}/figures"
        plain = ("pg_basebackup", "-h", "/run/postgresql", "-U", "postgres", "-D", copy, "-c", "fast", "-X", "none")
        bare.append(timed(lambda: stack.execute("postgres", *plain, "--no-manifest")))  # noqa: B023 - called at once
        written = int(stack.execute("postgres", "du", "-sb", copy).split()[0])
        stack.execute("postgres", "rm", "-r", copy)
        ours.append(timed(lambda: stack.execute("backup", *_TAKE)))
    stored = int(info(stack)["backup"][-1]["info"]["repository"]["delta"])
    _line(f"full backup of {size} GB, beside pg_basebackup", statistics.median(ours), statistics.median(bare), "1")
    print(f"| its bytes, {stored / _GB:.2f} GB, beside pg_basebackup's | | {stored / written:.2f} | 0.33 |", flush=True)


def _allow_replication(stack: Stack) -> None:
    """A stack's pg_hba.conf has nobody replicate; this line is in it until the next `up`."""
    container = stack.container("postgres")
    files = next(it["Name"] for it in container.attrs["Mounts"] if it["Destination"] == "/etc/pgstack")
    allow = ["sh", "-c", "echo 'local replication postgres peer' >>/etc/pgstack/pg_hba.conf"]
    stack.engine.containers.run(
        container.attrs["Config"]["Image"], allow, remove=True, network_mode="none", user="0",
        volumes={files: {"bind": "/etc/pgstack", "mode": "rw"}}, labels={"pgstack.stack": stack.prefix},
    )  # fmt: skip
    stack.admin_sql("SELECT pg_reload_conf()")


def _restore(stack: Stack, size: int) -> None:
    """Files alone, until they are on the disk: the newest backup into a new volume, and a copy of them beside."""
    server = stack.container("postgres")
    volumes = {it["Destination"]: it["Name"] for it in stack.container("backup").attrs["Mounts"] if it.get("Name")}
    mounts = {volumes[path]: {"bind": path, "mode": "ro"} for path in ("/var/lib/pgbackrest", "/etc/pgstack")}
    name = f"{stack.prefix}-figures"
    labels = {"pgstack.stack": stack.prefix}
    ours, bare = [], []
    for _ in range(_RUNS):
        stack.engine.volumes.create(name, labels=labels)
        container = stack.engine.containers.run(
            server.attrs["Config"]["Image"], ["sleep", "3600"], detach=True, network_mode="none", labels=labels,
            volumes={**mounts, name: {"bind": _DATA, "mode": "rw"}},
        )  # fmt: skip

        def seconds(script: str, of: Container = container) -> float:
            began = time.monotonic()
            code, output = of.exec_run(["bash", "-euc", script])
            assert code == 0, output
            return time.monotonic() - began

        try:
            seconds(f"mkdir -p -m 0700 {_DATA}/16/main")
            restore = "pgbackrest --stanza=main --log-level-console=error --type=immediate restore"
            ours.append(seconds(f"{restore} && sync -f {_DATA}"))
            bare.append(seconds(f"cp -a {_DATA}/16/main {_DATA}/copy && sync -f {_DATA}"))
        finally:
            container.remove(force=True, v=True)
            stack.engine.volumes.get(name).remove()
    _line(f"restore of {size} GB, beside `cp -a`", statistics.median(ours), statistics.median(bare), "1.5")


def _first_query(stack: Stack, size: int) -> None:
    """From `restore run` until the restored cluster answers; it may still replay WAL then, and takes no writes."""
    began = time.monotonic()
    answered = None
    command = [str(stack.home / ".venv/bin/python"), "-m", "ops.main", "-s", stack.name]
    run = subprocess.Popen(
        [*command, "restore", "run", "--to", "latest"], cwd=stack.home, env=stack.env, stdout=subprocess.DEVNULL
    )
    while run.poll() is None:
        try:
            asked = stack.container("postgres-2").exec_run(
                ["psql", "-XqAt", "-h", "/run/postgresql", "-U", "postgres", "-d", "dovvybuddy",
                 "-c", "SELECT count(*) > 0 FROM (SELECT FROM public.figures LIMIT 1) one"]
            )  # fmt: skip
            if answered is None and asked.output == b"t\n":
                answered = time.monotonic() - began
        except docker.errors.APIError:
            pass  # it is not there yet
        time.sleep(0.1)  # between two looks
    assert run.returncode == 0
    assert answered is not None
    whole = time.monotonic() - began
    print(f"| `restore run` at {size} GB to its first answered query (goal 8 s) | {answered:.1f} | | 8 s |")
    print(f"| `restore run` at {size} GB to its end, writes allowed | {whole:.1f} | | |", flush=True)
    stack.pgstack("-s", stack.name, "restore", "drop", "2", "--yes")


def _killed_host(stack: Stack) -> None:
    """All containers killed at once under load, at moments by chance; first without the volume, then with it."""
    lost, rows = [], 0
    for _ in range(_RUNS):
        with writing(stack) as writer:  # which insists that no acknowledged row is lost with the volume
            until = time.monotonic() + random.uniform(60, 130)  # noqa: S311 - no secret
            while time.monotonic() < until:
                writer.write_some()
            killed = datetime.datetime.now(datetime.UTC)
            for role in ROLES:
                stack.container(role).kill()
            rows += len(writer.acknowledged)
            stack.container("backup").start()
            said = stack.pgstack("-s", stack.name, "restore", "plan", "--to", "latest", "--json").stdout
            lost.append((killed - datetime.datetime.fromisoformat(json.loads(said)["kept"]["at"])).total_seconds())
            stack.up()
    print(f"| killed host, volume there: rows lost of {rows:,} acknowledged | 0 | | 0 |")
    print(f"| killed host, repository alone: the longest of {_RUNS} that is lost | {max(lost):.0f} | | 60 s |")


def _line(what: str, seconds: float, reference: float, goal: str) -> None:
    print(f"| {what} ({reference:.1f} s) | {seconds:.1f} | {seconds / reference:.2f} | {goal} |", flush=True)


if __name__ == "__main__":
    main()
