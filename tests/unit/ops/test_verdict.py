import datetime
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from db.migrations import Revision
from ops.locks import Lock
from ops.readings.certificates import Certificate
from ops.readings.containers import State
from ops.readings.offsite import Offsite
from ops.readings.pooler import Pool, Pooler
from ops.readings.repository import Backup, BackupContainer, Disk, Maintenance, Repository
from ops.readings.server import Database, Server
from ops.revisions import compare
from ops.survey import Survey
from ops.verdict import judge

NOW = 1_800_000_000.0
DAY = 86400
GIB = 1024**3


def revision(name: str) -> Revision:
    return Revision("maps", name, None, Path(name), f"sum of {name}", "why", "N/A", True, "how", True)


FILES = (revision("0001_a"), revision("0002_b"))


def at(name: str | None, *applied: str) -> Database:
    return Database("maps", name, {it: f"sum of {it}" for it in applied})


def backup(kind: str = "full", age: float = 3600) -> Backup:
    stop = datetime.datetime.fromtimestamp(NOW - age, datetime.UTC)
    return Backup(
        "20261121-094928F", kind, stop - datetime.timedelta(seconds=2), stop, GIB, GIB, "02", "03", 0, failed=False
    )


SERVER = Server("16.14", "0.8.5", 7, 64, 45.0, archive_fails=False, waiting=0, oldest_ago=None)
POOLER = Pooler("1.24.1", 20, 2000, (Pool("maps", 20, 0, 0.0, 5, 1, 15),))
BACKUPS = BackupContainer(
    "2.55",
    Repository(sound=True, message="ok", running=False, backups=(backup(),)),
    (Disk("data", GIB, 50 * GIB, 99 * GIB),),
)
CERTIFICATE = Certificate("the stack's CA", datetime.datetime.fromtimestamp(NOW + 700 * DAY, datetime.UTC))
WELL = Survey(
    containers=(State("postgres", "pgstack-dev-postgres", "running", "healthy", None, "image", 0),),
    server=SERVER,
    databases=(compare(FILES, at("0002_b", "0001_a", "0002_b")),),
    pooler=POOLER,
    backups=BACKUPS,
    certificates=(CERTIFICATE,),
    keys_exported=True,
    seeds=("base",),
)


def problems(survey: Survey, *, lasting: bool = True) -> str:
    return "\n".join(judge(survey, lasting=lasting, stack="dev", now=NOW).problems)


def notes(survey: Survey, *, lasting: bool = True) -> str:
    return "\n".join(judge(survey, lasting=lasting, stack="dev", now=NOW).notes)


def test_a_stack_where_all_is_well_has_neither_problem_nor_note() -> None:
    assert problems(WELL) == notes(WELL) == ""


@pytest.mark.parametrize(
    ("state", "health", "said"),
    [
        ("missing", "", "is gone: `pulumi up`"),
        ("exited", "", "is exited: `pgstack start`"),
        ("running", "unhealthy", "is unhealthy: `pgstack logs postgres`"),
        ("running", "starting", "still starting"),
        ("restarting", "", "keeps ending"),
    ],
)
def test_a_container_that_does_not_do_its_work_is_a_problem_with_its_way_out(
    state: str, health: str, said: str
) -> None:
    container = State("postgres", "pgstack-dev-postgres", state, health, None, "image", 3)
    assert said in problems(replace(WELL, containers=(container,)))


def test_what_could_not_be_asked_is_a_problem() -> None:
    assert problems(replace(WELL, server=None, failures=("nobody answers",))) == "nobody answers"


def test_a_deployment_that_was_killed_is_a_problem_and_one_under_way_a_note() -> None:
    lock = Lock(Path("lock.json"), 0, "ada", socket.gethostname(), "2026-11-21T10:58:11")
    assert "was killed and left its lock: `pgstack recover -s dev`" in problems(replace(WELL, locks=(lock,)))
    elsewhere = replace(lock, host="another", pid=12)
    assert problems(replace(WELL, locks=(elsewhere,))) == ""
    assert notes(replace(WELL, locks=(elsewhere,))) == (
        "process 12 of ada@another works on the stack since 2026-11-21T10:58:11"
    )


def test_a_pending_revision_is_named() -> None:
    survey = replace(WELL, databases=(compare(FILES, at("0001_a", "0001_a")),))
    assert "0002_b" in problems(survey)
    assert "pgstack migrate up -s dev" in problems(survey)


def test_a_revision_held_back_on_purpose_is_a_note_and_no_problem() -> None:
    survey = replace(WELL, databases=(compare(FILES, at("0001_a", "0001_a"), "0001_a"),))
    assert problems(survey) == ""
    assert "held at 0001_a" in notes(survey)


def test_wal_that_waits_too_long_is_a_problem_and_a_short_wait_is_none() -> None:
    assert problems(replace(WELL, server=replace(SERVER, waiting=1, oldest_ago=30.0))) == ""
    assert "5 WAL segments wait" in problems(replace(WELL, server=replace(SERVER, waiting=5, oldest_ago=400.0)))
    assert "failed" in problems(replace(WELL, server=replace(SERVER, archive_fails=True)))


def test_an_idle_server_that_archived_nothing_for_long_is_well() -> None:
    assert problems(replace(WELL, server=replace(SERVER, archived_ago=9 * 3600.0))) == ""


def test_full_servers_and_waiting_clients_are_problems() -> None:
    assert "60 of 64" in problems(replace(WELL, server=replace(SERVER, connections=60)))
    waiting = replace(POOLER, pools=(Pool("maps", 20, 3, 7.5, 15, 0, 15),))
    assert "3 clients of maps wait" in problems(replace(WELL, pooler=waiting))
    assert "1950 of 2000" in problems(replace(WELL, pooler=replace(POOLER, clients=1950)))


def test_a_stack_without_a_full_backup_has_a_problem_whatever_its_environment() -> None:
    empty = replace(BACKUPS, repository=Repository(sound=False, message="no valid backups", running=False, backups=()))
    for lasting in (True, False):
        assert "no full backup" in problems(replace(WELL, backups=empty), lasting=lasting)


def test_old_backups_are_a_problem_where_data_lasts_and_a_note_on_a_machine_that_sleeps() -> None:
    old = replace(BACKUPS, repository=replace(BACKUPS.repository, backups=(backup(age=3 * DAY),)))
    survey = replace(WELL, backups=old)
    assert "3.0 days old" in problems(survey)
    assert problems(survey, lasting=False) == ""
    assert "3.0 days old" in notes(survey, lasting=False)


def test_a_backup_with_damaged_pages_is_a_problem() -> None:
    bad = replace(BACKUPS, repository=replace(BACKUPS.repository, backups=(replace(backup(), failed=True),)))
    assert "wrong checksums" in problems(replace(WELL, backups=bad))


def test_an_off_site_repository_that_is_behind_or_silent_is_a_problem_and_a_short_wait_is_none() -> None:
    there = Offsite(BACKUPS.repository, waiting=1, oldest_ago=3.0, said="")
    assert problems(replace(WELL, offsite=there)) == ""
    behind = replace(there, waiting=5, oldest_ago=600.0, said="unable to connect to 'store:9443'")
    assert problems(replace(WELL, offsite=behind)) == (
        "the offsite repository is behind by 5 WAL segments, for 10 min (unable to connect to 'store:9443'): the local "
        "one has them; they follow by themselves once the store answers"
    )
    silent = replace(there, repository=None, waiting=0, oldest_ago=0.0)
    assert "the offsite repository does not answer" in problems(replace(WELL, offsite=silent))


def test_what_is_wrong_with_the_off_site_backups_is_said_of_them() -> None:
    empty = Repository(sound=False, message="no valid backups", running=False, backups=())
    survey = replace(WELL, offsite=Offsite(empty, 0, 0.0, ""))
    assert "no full backup in the offsite repository (no valid backups)" in problems(survey)
    old = Repository(sound=True, message="ok", running=False, backups=(backup(age=3 * DAY),))
    survey = replace(WELL, offsite=Offsite(old, 0, 0.0, ""))
    assert "the last offsite backup is 3.0 days old" in problems(survey)
    assert problems(survey, lasting=False) == ""


def maintained(**last: Maintenance) -> Survey:
    """A stack whose bots have a daily maintenance, by a schedule that is three days old."""
    database = Database("bots", "0002_b", {it: f"sum of {it}" for it in ("0001_a", "0002_b")})
    done = replace(BACKUPS, maintenance=tuple(last.values()), scheduled=NOW - 3 * DAY)
    return replace(WELL, databases=(compare(FILES, database),), backups=done)


def test_a_maintenance_that_failed_is_a_problem_until_one_succeeds() -> None:
    failed = maintained(bots=Maintenance("bots", failed=True, at=NOW - 3 * 3600))
    for lasting in (True, False):
        assert problems(failed, lasting=lasting) == (
            "the daily maintenance of bots failed 3 h ago: `pgstack logs backup` says why; "
            "it is tried again the next day"
        )
    assert problems(maintained(bots=Maintenance("bots", failed=False, at=NOW - 3 * 3600))) == ""


def test_a_maintenance_that_does_not_run_is_a_problem_where_data_lasts_and_a_note_on_a_machine_that_sleeps() -> None:
    never, old = maintained(), maintained(bots=Maintenance("bots", failed=False, at=NOW - 3 * DAY))
    assert "maintenance of bots never ran" in problems(never)
    assert "maintenance of bots last ran 3 d ago" in problems(old)
    assert problems(old, lasting=False) == ""
    assert "maintenance of bots last ran 3 d ago" in notes(old, lasting=False)
    young = replace(never, backups=replace(BACKUPS, scheduled=NOW - DAY))
    assert problems(young) == notes(young) == ""


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (
            NOW + 30 * DAY,
            "bots.bot_logs has partitions until 2027-02-14, and refuses what is later: `pgstack logs backup`",
        ),
        (None, "bots.bot_logs has no partition, and refuses what is later: `pgstack logs backup`"),
    ],
)
def test_a_table_without_the_next_months_partition_is_a_problem(until: float | None, said: str) -> None:
    for lasting in (True, False):
        assert said in problems(replace(WELL, covered={"bots.bot_logs": until}), lasting=lasting)
    assert problems(replace(WELL, covered={"bots.bot_logs": NOW + 32 * DAY})) == ""


@pytest.mark.parametrize(("free", "total"), [(1 * GIB, 10 * GIB), (5 * GIB, 100 * GIB)])
def test_a_disk_that_is_nearly_full_is_a_problem(free: int, total: int) -> None:
    full = replace(BACKUPS, disks=(Disk("data", GIB, free, total),))
    assert "under volume data" in problems(replace(WELL, backups=full))


def test_a_certificate_is_announced_60_days_before_and_wrong_once_expired() -> None:
    def with_days(days: int) -> Survey:
        expires = datetime.datetime.fromtimestamp(NOW + days * DAY, datetime.UTC)
        return replace(WELL, certificates=(replace(CERTIFICATE, expires=expires),))

    assert notes(with_days(61)) == ""
    assert "in 59 days" in notes(with_days(59))
    assert problems(with_days(59)) == ""
    assert "expired" in problems(with_days(-1))


def test_a_restored_cluster_is_noted_until_it_is_dropped() -> None:
    verdict = judge(replace(WELL, restored=(2,)), lasting=True, stack="prod", now=NOW)

    assert verdict.problems == ()
    assert verdict.notes == (
        "restored cluster 2 runs beside the live one and may take as much memory: `pgstack restore drop 2` once nobody"
        " needs it",
    )


def test_only_a_stack_whose_data_lasts_nags_for_its_keys() -> None:
    survey = replace(WELL, keys_exported=False)
    assert "pgstack keys export" in notes(survey)
    assert notes(survey, lasting=False) == ""


def test_an_edited_file_and_one_that_this_checkout_lacks_are_differences() -> None:
    edited = Database("maps", "0002_b", {"0001_a": "another", "0002_b": "sum of 0002_b"})
    assert "0001_a was edited" in problems(replace(WELL, databases=(compare(FILES, edited),)))
    newer = compare(FILES, at("0003_c", "0001_a", "0002_b", "0003_c"))
    assert newer.pending == ()
    assert "0003_c is applied but has no file here" in problems(replace(WELL, databases=(newer,)))
