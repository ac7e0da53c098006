"""The servers' answers as they were recorded on a running stack."""

import json

import pytest

from ops.errors import EngineError
from ops.readings import offsite, pooler, repository, server
from ops.readings.containers import described

SERVER = """\
{"version" : "16.14", "pgvector" : "0.8.5", "connections" : 7, "max_connections" : 64, "archived_ago" : 45.503753, \
"archive_fails" : false, "waiting" : 0, "oldest_ago" : null, "waiting_bytes" : 0, "drops" : true, \
"damaged" : {"maps" : 2}}
{"app" : "dovvybuddy", "revision" : "0001_initial_schema", "applied" : { "0001_initial_schema" : "ab12" }, \
"covered" : { "logs" : 1798761600.0, "others" : null }}
{"app" : "maps", "revision" : null, "applied" : {}}
"""
POOLER = """\
version
PgBouncer 1.24.1
key,value,default,changeable
auth_query,"SELECT uname, phash FROM pgbouncer.user_lookup($1)","SELECT rolname, CASE WHEN rolvaliduntil < now()",yes
max_client_conn,2000,100,yes
name,host,port,database,force_user,pool_size,min_pool_size,reserve_pool_size,server_lifetime,pool_mode,\
load_balance_hosts,max_connections,current_connections,max_client_connections,current_client_connections,paused,disabled
maps,pgstack-dev-postgres,5432,maps,,15,0,0,3600,,,15,1,0,0,0,0
maps_readonly,pgstack-dev-postgres,5432,maps,,5,0,0,3600,,,5,0,0,0,0,0
pgbouncer,,6432,pgbouncer,pgbouncer,2,0,0,3600,statement,,25,0,0,1,0,0
pgstack_lookup,pgstack-dev-postgres,5432,postgres,,2,0,0,3600,,,2,1,0,0,0,0
database,user,cl_active,cl_waiting,cl_active_cancel_req,cl_waiting_cancel_req,sv_active,sv_active_cancel,\
sv_being_canceled,sv_idle,sv_used,sv_tested,sv_login,maxwait,maxwait_us,pool_mode,load_balance_hosts
maps,maps_app_1,20,3,0,0,14,0,0,1,0,0,0,7,500000,transaction,
maps,maps_app_2,2,0,0,0,0,0,0,0,0,0,0,0,0,transaction,
pgbouncer,pgbouncer,1,0,0,0,0,0,0,0,0,0,0,0,0,statement,
pgstack_lookup,pgbouncer_auth,0,0,0,0,0,0,0,1,0,0,0,0,0,transaction,
"""
BACKUP = {
    "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000003"},
    "error": False,
    "info": {"delta": 23059956, "repository": {"delta": 2856240}, "size": 23059956},
    "label": "20261121-094928F",
    "lsn": {"start": "0/2000028", "stop": "0/3000050"},
    "timestamp": {"start": 1795254568, "stop": 1795254569},
    "type": "full",
}
STANZA = {
    "backup": [BACKUP],
    "name": "main",
    "status": {"code": 0, "lock": {"backup": {"held": False}}, "message": "ok"},
}
DISKS = """
pgBackRest 2.55.1
/dev/vda         264212084 26794104  68707160      29% /var/lib/postgresql
/dev/vda         264212084 26794104  68707160      29% /var/lib/pgbackrest
2228612	/var/lib/postgresql
scheduled 1795250000
schedule full 0 2 * * 0
schedule incr 30 */4 * * *
reserve 268435456
lost 000000010000000000000006 000000010000000000000009 1795250000
/run/postgresql/maintenance-bots:0 1795254570
/run/postgresql/maintenance-dovvy_buddy:3 1795254571
"""


def test_the_server_and_each_database_are_read_from_one_answer() -> None:
    read, databases = server.parse(SERVER)
    assert (read.version, read.connections, read.max_connections, read.archived_ago) == ("16.14", 7, 64, 45.503753)
    assert databases["dovvybuddy"].applied == {"0001_initial_schema": "ab12"}
    assert databases["dovvybuddy"].covered == {"logs": 1798761600.0, "others": None}
    assert (read.drops, read.damaged) == (True, {"maps": 2})
    assert databases["maps"].revision is None


def test_a_database_that_is_not_there_is_missing_from_the_answer() -> None:
    _, databases = server.parse("\n".join(SERVER.splitlines()[:2]))
    assert list(databases) == ["dovvybuddy"]


def test_a_server_that_answers_nothing_is_an_error_that_names_its_log() -> None:
    with pytest.raises(EngineError, match="pgstack logs postgres"):
        server.parse("psql: error\n")


def test_a_pool_counts_the_clients_and_servers_of_all_its_logins() -> None:
    read = pooler.parse(POOLER, ["maps"])
    assert (read.version, read.clients, read.max_clients) == ("1.24.1", 25, 2000)
    pool = read.pools[0]
    assert (pool.database, pool.clients, pool.waiting, pool.servers, pool.idle, pool.size) == ("maps", 25, 3, 15, 1, 15)
    assert pool.longest_wait == pytest.approx(7.5)


def test_pools_are_those_of_the_apps_and_not_of_the_console_or_the_look_up() -> None:
    assert [it.database for it in pooler.parse(POOLER, ["maps"]).pools] == ["maps", "maps_readonly"]


def test_backups_and_disks_are_read_from_one_answer() -> None:
    read = repository.parse(json.dumps([STANZA]) + DISKS)
    assert read.version == "2.55.1"
    assert read.repository.sound
    full = read.repository.newest("full")
    assert full is not None
    assert (full.label, full.size, full.stored) == ("20261121-094928F", 23059956, 2856240)
    assert read.repository.newest("incr") is None
    assert [(it.volume, it.used) for it in read.disks] == [("data", 2228612 * 1024), ("backups", None)]
    assert [(it.app, it.failed, it.at) for it in read.maintenance] == [
        ("bots", False, 1795254570.0), ("dovvy_buddy", True, 1795254571.0),
    ]  # fmt: skip
    assert read.scheduled == 1795250000.0
    assert read.schedule == {"full": "0 2 * * 0", "incr": "30 */4 * * *"}
    assert read.reserve == 256 * 1024**2
    assert [(it.first[-1], it.last[-1], it.since.timestamp()) for it in read.lost] == [("6", "9", 1795250000)]
    assert repository.parse(json.dumps([STANZA])).maintenance == ()


def test_a_repository_without_a_stanza_is_not_sound() -> None:
    assert not repository.info("[]").sound


def test_a_container_that_ended_is_described_since_then() -> None:
    state = described(
        "postgres",
        "pgstack-dev-postgres",
        {
            "State": {
                "Status": "exited",
                "StartedAt": "2026-11-21T11:00:36.116795567Z",
                "FinishedAt": "2026-11-21T11:05:00.5Z",
            },
            "Config": {"Image": "pgstack/postgres:1"},
            "RestartCount": 2,
        },
    )
    assert not state.well
    assert state.since is not None
    assert state.since.isoformat() == "2026-11-21T11:05:00+00:00"


def test_the_off_site_repository_is_read_with_the_wal_that_waits_for_it() -> None:
    read = offsite.parse(f"2 341\nsaid unable to connect\n{json.dumps([STANZA])}\n")
    assert (read.waiting, read.oldest_ago, read.said) == (2, 341.0, "unable to connect")
    assert read.repository is not None
    assert read.repository.newest("full") is not None


def test_a_store_that_does_not_answer_is_no_repository_and_says_why() -> None:
    why = "[HostConnectError] unable to connect to 'store:9443'\n    on 2 retries"
    silent = {**STANZA, "backup": [], "status": {"code": 99, "message": "other"}}
    silent["repo"] = [{"key": 1, "status": {"code": 99, "message": why}}]
    read = offsite.parse(f"0 0\nsaid \n{json.dumps([silent])}\n")
    assert read.repository is None
    assert read.said == "[HostConnectError] unable to connect to 'store:9443'"
    assert offsite.parse('0 0\nsaid\n{"no": "answer"}\n').repository is None
