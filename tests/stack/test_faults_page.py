"""A page of a table is damaged on disk: seen by the server, by the backup and by status; mended as the runbook says."""

import json

import psycopg
import pytest

from tests.deployment import Run, Stack
from tests.stack.runbooks import blocks, typed

_TABLE = "maps.verifications"


@pytest.mark.fault(
    "a page corrupted",
    seen="`invalid page in block ...` (SQLSTATE XX001); `pgstack status` names the database and the backup",
    outcome="survived: the runbook for a corrupted page brings back every row",
)
def test_a_corrupted_page_is_seen_by_all_and_the_runbook_brings_back_every_row(stack: Stack, pgstack: Run) -> None:
    columns = "(id, identifier, value, expires_at)"
    rows = f"INSERT INTO {_TABLE} {columns} SELECT g, 'page', g, now() FROM generate_series({{}}) g"
    everything = f"SELECT count(*), md5(string_agg(id || value, ',' ORDER BY id)) FROM {_TABLE}"
    stack.admin_sql(rows.format("1001, 1300"), "maps")
    pgstack("backup", "now", "--type", "full")
    stack.admin_sql(rows.format("1301, 1400"), "maps")
    before = stack.admin_sql(everything, "maps")
    try:
        stack.admin_sql("CHECKPOINT")
        path = stack.admin_sql(f"SELECT pg_relation_filepath('{_TABLE}')", "maps")
        damage = f'head -c 512 /dev/urandom | dd of="$PGDATA/{path}" bs=1 seek=2048 conv=notrunc status=none'
        stack.execute("postgres", "bash", "-c", damage)
        stack.container("postgres").restart()  # what it has in memory is whole
        pgstack("start")
        with (
            stack.connect("maps_direct_url") as connection,
            pytest.raises(psycopg.errors.DataCorrupted, match="invalid page in block 0 of relation"),
        ):
            connection.execute(everything)
        assert "invalid page checksum found in file" in pgstack("backup", "now", "--type", "diff").stdout
        problems = json.loads(pgstack("status", "--json", code=1).stdout)["problems"]
        assert any("a page of database maps failed its checksum" in it for it in problems)
        assert any("holds pages with wrong checksums" in it for it in problems)

        said = typed(stack, blocks("corrupted-page.md"))

        assert _TABLE in said
        assert stack.admin_sql(everything, "maps") == before
        assert json.loads(pgstack("status", "--json").stdout)["problems"] == []
    finally:
        stack.admin_sql(f"TRUNCATE {_TABLE}; SELECT pg_stat_reset()", "maps")
