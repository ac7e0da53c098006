"""Whether the locks that `pgstack migrate plan` foretells are the ones that are taken."""

import psycopg
import pytest

from db import apps, migrations
from db.migrations import table_locks
from db.migrations.printed import upgrades
from db.migrations.statements import Schema, Statement, split
from tests.db.conftest import Prepare, Prepared

WEAK = ("ACCESS SHARE", "ROW SHARE")  # of reading, which DDL does everywhere
TABLE_LOCKS = """
SELECT DISTINCT n.nspname || '.' || c.relname, l.mode FROM pg_locks l
JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND c.relkind IN ('r', 'p') AND n.nspname = ANY (%s)
"""


def level(mode: str) -> str:
    """ShareRowExclusiveLock as LOCK TABLE calls it."""
    return "".join(f" {it}" if it.isupper() else it for it in mode.removesuffix("Lock")).strip().upper()


def taken(connection: psycopg.Connection, statement: Statement, schemas: list[str]) -> dict[str, str]:
    """The strongest lock on each table after `statement`, which stays."""
    strongest: dict[str, str] = {}
    with connection.transaction():
        connection.execute(statement.text.encode())
        for table, mode in connection.execute(TABLE_LOCKS, (schemas,)):
            strongest[table] = max(strongest.get(table, "ACCESS SHARE"), level(mode), key=table_locks.STRENGTH.index)
    return {table: mode for table, mode in strongest.items() if mode not in WEAK}


@pytest.mark.parametrize("app", apps.names())
def test_every_lock_of_every_revision_is_foretold(prepare: Prepare, app: str) -> None:
    prepared = prepare(app)
    schema, seen = Schema(app), 0
    schemas = [app, apps.host(app)]
    with psycopg.connect(prepared.owner_url, autocommit=True) as owner:
        owner.execute(f"SET search_path = {app}, extensions")
        for statements in upgrades(app).values():
            for statement in statements:
                foretold = table_locks.of(statement, schema)
                before = {row[0] for row in owner.execute("SELECT oid::regclass::text FROM pg_class")} | schema.tables
                found = {name: it for name, it in taken(owner, statement, schemas).items() if name in before}
                schema.learn(statement)
                if not any(it.table == table_locks.UNKNOWN for it in foretold):
                    assert {it.table: it.level for it in foretold if it.level not in WEAK} == found, statement.headline
                    seen += len(found)
    assert seen or len(migrations.revisions(app)) == 1


KINDS_OF_DDL = """
CREATE TABLE a (id int PRIMARY KEY, b text, c text NOT NULL DEFAULT '');
CREATE TABLE d (id int PRIMARY KEY, a_id int CONSTRAINT fk REFERENCES a (id));
ALTER TABLE a ADD COLUMN e text;
ALTER TABLE a ADD COLUMN f text DEFAULT clock_timestamp()::text, ALTER COLUMN b SET STATISTICS 10;
ALTER TABLE a ALTER COLUMN b SET STATISTICS 20;
ALTER TABLE a ALTER COLUMN b SET DEFAULT 'x';
ALTER TABLE a ALTER COLUMN b SET NOT NULL;
ALTER TABLE a ALTER COLUMN b DROP NOT NULL;
ALTER TABLE a ALTER COLUMN e TYPE varchar(5);
ALTER TABLE a ADD CONSTRAINT ck CHECK (b <> '') NOT VALID;
ALTER TABLE a VALIDATE CONSTRAINT ck;
ALTER TABLE a DROP CONSTRAINT ck;
ALTER TABLE d ADD CONSTRAINT fk2 FOREIGN KEY (a_id) REFERENCES a (id) NOT VALID;
ALTER TABLE d VALIDATE CONSTRAINT fk2;
ALTER TABLE d DROP CONSTRAINT fk2;
ALTER TABLE a ADD CONSTRAINT uq UNIQUE (b);
ALTER TABLE a ADD CONSTRAINT ex EXCLUDE (c WITH =);
ALTER TABLE a RENAME COLUMN e TO g;
ALTER TABLE a SET (fillfactor = 70);
ALTER TABLE a DISABLE TRIGGER USER;
ALTER TABLE a REPLICA IDENTITY FULL;
CREATE INDEX ix ON a (c);
DROP INDEX ix;
CREATE TABLE p (id int, k int) PARTITION BY LIST (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
CREATE TABLE p2 (id int, k int);
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);
ALTER TABLE p DETACH PARTITION p2;
ALTER TABLE p2 SET UNLOGGED;
CREATE INDEX ON ONLY p (id);
COMMENT ON TABLE a IS 'x';
COMMENT ON COLUMN a.b IS 'x';
CREATE STATISTICS s ON b, c FROM a;
CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION t();
DROP TRIGGER t ON a;
ALTER TABLE a ENABLE ROW LEVEL SECURITY;
CREATE POLICY y ON a USING (true);
DROP POLICY y ON a;
INSERT INTO a (id) VALUES (1);
UPDATE a SET c = 'y';
DELETE FROM a;
TRUNCATE d;
LOCK TABLE a IN SHARE MODE;
GRANT SELECT ON a TO maps_readonly;
CREATE VIEW v AS SELECT * FROM a;
DROP VIEW v;
REINDEX TABLE a;
ALTER TABLE d DROP COLUMN a_id;
DROP TABLE p;
DROP TABLE d, a
"""


def test_every_kind_of_ddl_takes_the_locks_that_are_foretold(maps: Prepared) -> None:
    schema, seen = Schema("maps"), set[str]()
    with psycopg.connect(maps.owner_url, autocommit=True) as owner:
        for statement in split(KINDS_OF_DDL):
            before = set(schema.tables)
            foretold = {it.table: it.level for it in table_locks.of(statement, schema) if it.level not in WEAK}
            found = taken(owner, statement, ["maps"])
            schema.learn(statement)
            # DROP TABLE leaves nothing to look up, and a new table is locked by whoever makes it
            gone = foretold.keys() - found.keys() if statement.words.startswith("drop table") else set[str]()
            assert {it: foretold[it] for it in foretold.keys() - gone} == {
                it: found[it] for it in found.keys() & before
            }, statement.headline
            seen |= set(found.values())
    assert seen == set(table_locks.STRENGTH) - {*WEAK, "EXCLUSIVE"}


def test_an_index_that_is_built_concurrently_locks_weakly() -> None:
    schema = Schema("maps")
    [statement] = split("CREATE UNIQUE INDEX CONCURRENTLY ix ON users (email)")

    assert [str(it) for it in table_locks.of(statement, schema)] == [
        "SHARE UPDATE EXCLUSIVE on maps.users: others read and write it; other DDL waits, while it reads every row"
    ]
