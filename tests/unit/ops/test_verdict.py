import datetime
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from db.migrations import Revision
from ops.locks import Lock
from ops.readings.certificates import Certificate
from ops.readings.containers import State
from ops.readings.drills import Drill, Drills
from ops.readings.offsite import Offsite
from ops.readings.pooler import Pool, Pooler
from ops.readings.repository import Backup, BackupContainer, Disk, Loss, Maintenance, Repository
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
REPOSITORY = BACKUPS.repository
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


@pytest.mark.parametrize(
    ("drops", "then"),
    [(False, "the disk is full in 3 h"), (True, "it is dropped and the restorable window breaks in 98 min")],
)
def test_wal_that_waits_too_long_is_a_problem_that_says_what_comes_when(drops: bool, then: str) -> None:
    waits = replace(SERVER, waiting=64, waiting_bytes=GIB, oldest_ago=240.0, drops=drops)
    assert problems(replace(WELL, server=waits)) == (
        f"WAL is not archived: 64 segments (1.0 GB) wait, the oldest for 4 min; at this pace {then}: "
        "`pgstack logs postgres` and `pgstack logs backup` say why (docs/runbooks/disk-full.md)"
    )
    assert problems(replace(WELL, server=replace(SERVER, waiting=1, oldest_ago=30.0))) == ""
    assert "attempt to archive WAL failed" in problems(replace(WELL, server=replace(SERVER, archive_fails=True)))


def segment(number: int) -> str:
    return f"{1:08X}{0:08X}{number:08X}"


def test_lost_wal_is_a_problem_until_a_backup_was_taken_after_it_and_a_note_then() -> None:
    loss = Loss(segment(6), segment(9), datetime.datetime.fromtimestamp(NOW - 7200, datetime.UTC))
    old = replace(backup(age=9000), wal_start=segment(4), wal_stop=segment(5))
    new = replace(backup("incr"), wal_start=segment(11), wal_stop=segment(12))
    before = replace(WELL, backups=replace(BACKUPS, lost=(loss,), repository=replace(REPOSITORY, backups=(old,))))
    after = replace(WELL, backups=replace(BACKUPS, lost=(loss,), repository=replace(REPOSITORY, backups=(old, new))))
    since = f"no restore leads to between 2027-01-15 06:00:00 UTC and {{}}: WAL {segment(6)} to {segment(9)} is lost"
    assert since.format("now") + "; a full backup is taken by itself" in problems(before)
    assert (problems(after), notes(after)) == ("", since.format("2027-01-15 07:00:00 UTC"))


def test_a_page_that_failed_its_checksum_is_a_problem() -> None:
    said = problems(replace(WELL, server=replace(SERVER, damaged={"maps": 3})))
    assert "a page of database maps failed its checksum when it was read (3 times" in said


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


def test_a_backup_that_was_due_and_is_not_there_is_named_by_its_type() -> None:
    """It is Friday 08:00 UTC; full on Sundays, differential on the other days, both at 02:00."""
    schedule = {"full": "0 2 * * 0", "diff": "0 2 * * 1-6", "incr": "30 */4 * * *"}
    scheduled = replace(BACKUPS, schedule=schedule, scheduled=NOW - 30 * DAY)

    def said(*there: Backup, running: bool = False) -> str:
        repository = replace(REPOSITORY, backups=there, running=running)
        return problems(replace(WELL, backups=replace(scheduled, repository=repository)))

    assert said(backup(age=5.2 * DAY), backup("diff", 5.9 * 3600), backup("incr", 3.4 * 3600)) == ""
    assert said(backup(age=0.2 * 3600)) == ""
    assert "a full backup was due at 2027-01-10 02:00:00 UTC" in said(backup(age=6 * DAY), backup("diff", 5 * 3600))
    assert "a differential backup was due at 2027-01-15 02:00" in said(backup(age=5.2 * DAY), backup("incr", 3 * 3600))
    assert "an incremental" not in said(backup(age=5.2 * DAY), backup("diff", 5.9 * 3600))
    assert said(backup(age=6 * DAY), running=True) == ""
    young = replace(scheduled, scheduled=NOW - 3600, repository=replace(REPOSITORY, backups=(backup(age=DAY),)))
    assert problems(replace(WELL, backups=young)) == ""


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


def test_damaged_pages_are_no_problem_any_more_once_a_full_backup_found_none() -> None:
    then = (replace(backup(), failed=True), backup("diff"))
    for there, said in ((then, True), ((*then, backup()), False)):
        bad = replace(BACKUPS, repository=replace(REPOSITORY, backups=there))
        assert ("wrong checksums" in problems(replace(WELL, backups=bad))) is said


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


def test_a_small_disk_with_room_on_it_is_well() -> None:
    small = replace(BACKUPS, disks=(Disk("data", GIB, GIB, 2 * GIB),))
    assert problems(replace(WELL, backups=small)) == ""


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


def test_a_cluster_that_was_not_made_and_a_move_that_was_not_finished_are_problems_with_their_ways_on() -> None:
    verdict = judge(replace(WELL, restored=(2, 3), unmade=(3,), moving=2), lasting=True, stack="prod", now=NOW)

    assert [it.partition(":")[0] for it in verdict.problems] == [
        "clients are to be moved to cluster 2 and were not",
        "cluster 3 was to be restored and is not there",
    ]
    assert [it[:18] for it in verdict.notes] == ["restored cluster 2"]


def test_a_rotation_is_noted_until_it_is_finished_and_what_was_before_it_until_it_is_retired() -> None:
    assert notes(replace(WELL, repository_keys=(3,))) == ""
    assert "`pgstack keys rotate` goes on" in notes(replace(WELL, repository_keys=(3, 2)))
    assert "of key 2 are kept since the last rotation" in notes(replace(WELL, repository_keys=(2, 3)))


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


def drilled(age: float, *, passed: bool = True, compared: int = 7, problems: tuple[str, ...] = ()) -> Drill:
    ended = datetime.datetime.fromtimestamp(NOW - age, datetime.UTC)
    return Drill(ended, ended, passed, problems, None, "b", compared, 9, {}, 1.0, 1.0, interrupted_before=False)


def drills(*made: Drill, since: float = 9 * DAY, broken: str | None = None) -> Survey:
    return replace(WELL, drills=Drills(datetime.datetime.fromtimestamp(NOW - since, datetime.UTC), made, broken))


def test_a_drill_that_passed_within_two_days_is_well() -> None:
    assert problems(drills(drilled(9 * DAY), drilled(DAY))) == ""
    assert problems(drills(since=DAY)) == ""


def test_no_drill_that_compared_something_within_two_days_is_a_problem_where_data_must_not_be_lost() -> None:
    assert "the last restore drill passed 3 d ago" in problems(drills(drilled(3 * DAY)))
    assert "the last restore drill passed 3 d ago" in problems(drills(drilled(3 * DAY), drilled(60, compared=0)))
    assert "the last restore drill never passed" in problems(drills(since=3 * DAY))
    assert problems(drills(since=3 * DAY), lasting=False) == ""
    assert "the last restore drill never passed" in notes(drills(since=3 * DAY), lasting=False)


def test_a_failed_drill_and_broken_evidence_are_problems_everywhere() -> None:
    failed = drills(
        drilled(DAY), drilled(2 * 3600, passed=False, problems=("maps.users: gone", "more")), broken="line 1"
    )
    told = problems(failed, lasting=False)
    assert "the last restore drill failed 2 h ago: maps.users: gone (and 1 more:" in told
    assert "was tampered with or damaged: line 1" in told


def test_a_replaced_database_is_a_note_until_it_is_dropped() -> None:
    left = replace(WELL, server=replace(SERVER, replaced=["maps_before_20261122_063000"]))

    verdict = judge(left, lasting=True, stack="prod", now=NOW)
    assert verdict.problems == ()
    assert "`pgstack restore drop maps_before_20261122_063000` once nobody needs it" in verdict.notes[0]
