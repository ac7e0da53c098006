"""The server image starts the cluster of its stack, creates it once, and refuses everything else in one line."""

import pytest
import tenacity

from tests.stack.images.place import Place, log, sql, stop, until_healthy

OTHER = "00000000-1111-2222-3333-444444444444"
COMPLETE = ["/var/lib/postgresql:", "16", "lock", "spool", "/var/lib/postgresql/16:", "main"]

# Stands in for a command of the entrypoint: at the chosen call every process is killed instead of running it.
KILLER = """#!/bin/bash
calls=$(($(cat /tmp/calls 2>/dev/null || echo 0) + 1))
echo $calls >/tmp/calls
name=${0##*/}
export PATH=${PATH#/killer:}
if [[ $KILL_AT == "$calls" ]]; then kill -KILL -1; kill -KILL $$; fi
if [[ $KILL_AT == "in $name" ]]; then
  "$name" "$@" &
  until [[ -s /var/lib/postgresql/16/initdb/global/pg_control ]]; do :; done
  kill -KILL -1; kill -KILL $$
fi
exec "$name" "$@"
"""
STEPS = ("mv", "rm", "initdb", "postgres")  # the commands that change the volumes
CALLS_OF_A_FIRST_START = 8  # of those, before the server itself


def built_from(place: Place) -> str:
    return place.shell("echo $PGSTACK_SOURCE")


def created(place: Place) -> None:
    container = until_healthy(place.postgres())
    assert stop(container) == 0


def test_a_first_start_records_the_stack_the_system_and_the_source(place: Place) -> None:
    container = until_healthy(place.postgres())
    system = sql(container, "select system_identifier from pg_control_system()")
    assert place.shell("cat /var/lib/pgstack/cluster").splitlines() == [
        f"stack_id={place.stack}",
        f"system_identifier={system}",
        f"source={built_from(place)}",
    ]
    assert place.shell("ls /var/lib/postgresql /var/lib/postgresql/16").split() == COMPLETE


def test_a_later_start_serves_the_same_cluster(place: Place) -> None:
    first = until_healthy(place.postgres())
    sql(first, "create table kept as select 1 as row")
    assert stop(first) == 0
    assert sql(until_healthy(place.postgres()), "select row from kept") == "1"


@pytest.mark.parametrize("kill_at", ["in initdb", *map(str, range(1, CALLS_OF_A_FIRST_START + 1))])
def test_a_first_start_killed_at_any_step_is_finished_by_the_next(place: Place, kill_at: str) -> None:
    place.write("killer", dict.fromkeys(STEPS, KILLER), 0o755)
    path = "/killer:" + place.shell("echo $PATH")
    killed = place.postgres(
        more_mounts=[place.mount("killer", read_only=True)], environment={"PATH": path, "KILL_AT": kill_at}
    )
    assert killed.wait(timeout=60)["StatusCode"] == 137, log(killed)
    container = until_healthy(place.postgres())
    assert sql(container, "select rolsuper, rolpassword from pg_authid where rolname = 'pgstack_admin'") == "t|"
    assert place.shell("ls /var/lib/postgresql /var/lib/postgresql/16").split() == COMPLETE


def test_an_emptied_data_volume_is_not_initialised_again(place: Place) -> None:
    created(place)
    place.shell("rm -rf /var/lib/postgresql/*")
    refusal = place.refusal()
    assert refusal.code == 68
    assert f"data volume {place.name}-data is empty, but stack {place.stack} has cluster" in refusal.line
    assert place.shell("ls /var/lib/postgresql/16") == ""


def test_data_without_an_identity_is_refused(place: Place) -> None:
    created(place)
    place.shell("rm /var/lib/pgstack/cluster")
    refusal = place.refusal()
    assert refusal.code == 67
    assert f"{place.name}-data holds data" in refusal.line
    assert f"identity volume {place.name}-identity is empty" in refusal.line


def test_files_of_anything_else_are_not_initialised_over(place: Place) -> None:
    place.shell("mkdir /var/lib/postgresql/photos && echo x > /var/lib/postgresql/photos/1.jpg")
    refusal = place.refusal()
    assert (refusal.code, "(photos/1.jpg)" in refusal.line) == (67, True)


def test_the_volumes_of_another_stack_are_refused(place: Place) -> None:
    created(place)
    refusal = place.refusal(environment={"PGSTACK_ID": OTHER})
    assert refusal.code == 69
    assert f'{place.name}-identity belongs to stack "{place.stack}", this is stack {OTHER}' in refusal.line


def test_the_data_volume_of_another_stack_is_refused(place: Place, other_place: Place) -> None:
    created(place)
    created(other_place)
    refusal = place.refusal(data=other_place.mount("data"))
    assert refusal.code == 70
    assert f"data volume {other_place.name}-data holds cluster" in refusal.line


def test_a_data_volume_that_another_stack_was_initialising_is_refused(place: Place) -> None:
    place.shell(f"echo {OTHER} > /var/lib/postgresql/initialising")
    refusal = place.refusal()
    assert refusal.code == 69
    assert f'was being initialised for stack "{OTHER}", this is stack {place.stack}' in refusal.line


def test_a_cluster_without_its_control_file_is_refused(place: Place) -> None:
    created(place)
    place.shell("rm /var/lib/postgresql/16/main/global/pg_control")
    assert place.refusal().code == 70


def test_a_server_from_another_source_is_refused(place: Place) -> None:
    created(place)
    source = built_from(place)
    other = {"packages": "vendor", "vendor": "packages"}[source]
    refusal = place.refusal(environment={"PGSTACK_SOURCE": other})
    assert refusal.code == 71
    assert f'was created by PostgreSQL from "{source}", this image\'s is from "{other}"' in refusal.line


@pytest.mark.parametrize(
    ("setting", "value"), [("PGSTACK_ID", ""), ("PGSTACK_ID", "dev"), ("PGSTACK_SOURCE", "somewhere")]
)
def test_a_setting_that_makes_no_sense_is_named_with_its_value(place: Place, setting: str, value: str) -> None:
    refusal = place.refusal(environment={setting: value})
    assert (refusal.code, f'{setting} is "{value}": give' in refusal.line) == (64, True)


def test_a_volume_that_cannot_be_written_is_named(place: Place) -> None:
    refusal = place.refusal(data=place.mount("data", read_only=True))
    assert refusal.code == 66
    assert f"/var/lib/postgresql ({place.name}-data) cannot be written by uid 999" in refusal.line


def test_docker_restarts_a_refused_server_ever_more_slowly_and_each_start_logs_one_line(place: Place) -> None:
    container = place.postgres(environment={"PGSTACK_ID": "dev"}, restart_policy={"Name": "unless-stopped"})

    @tenacity.retry(
        retry=tenacity.retry_if_result(lambda restarts: restarts < 4),
        wait=tenacity.wait_fixed(0.1),
        stop=tenacity.stop_after_delay(60),
    )
    def restarts() -> int:
        container.reload()
        return int(container.attrs["RestartCount"])

    assert restarts() < 10
    container.stop()
    container.reload()
    counted = container.attrs["RestartCount"]  # stopped between two starts, Docker has counted the one to come
    assert len(log(container).splitlines()) in {counted, counted + 1}
