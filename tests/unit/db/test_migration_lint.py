"""What hurts a database in use is refused by name, with the recipe for it; what does not is let through."""

from pathlib import Path

import pytest

from db import apps
from db.errors import RevisionError
from db.migrations import waits
from db.migrations.findings import Finding
from db.migrations.lint import lint
from tests.db.conftest import add_revision
from tests.db.conftest import home as home  # noqa: PLC0414  # the fixture

DANGEROUS = {
    # a column
    "ALTER TABLE maps.users ADD COLUMN a text NOT NULL": ("adding-required-field", "add-a-column"),
    "ALTER TABLE users ADD a text DEFAULT clock_timestamp()::text": ("adding-field-with-default", "add-a-column"),
    "ALTER TABLE maps.users ADD COLUMN a int GENERATED ALWAYS AS (1) STORED": (
        "adding-field-with-default",
        "add-a-column",
    ),
    "ALTER TABLE maps.users ADD COLUMN a bigserial": ("table-rewrite", "add-a-column"),
    "ALTER TABLE maps.users ADD COLUMN a text UNIQUE": ("disallowed-unique-constraint", "add-a-unique-constraint"),
    "ALTER TABLE maps.users ADD COLUMN a text CHECK (a <> '')": ("table-scan", "add-a-check"),
    "ALTER TABLE maps.users ADD COLUMN a text REFERENCES maps.sessions (id)": (
        "adding-foreign-key-constraint",
        "add-a-foreign-key",
    ),
    "ALTER TABLE maps.users ALTER COLUMN email TYPE varchar(50)": (
        "changing-column-type",
        "rename-a-column-or-change-its-type",
    ),
    "CREATE DOMAIN maps.mail AS text CHECK (VALUE <> ''); ALTER TABLE maps.users ADD COLUMN a maps.mail": (
        "table-rewrite",
        "add-a-column",
    ),
    "ALTER TABLE maps.users ALTER COLUMN name SET EXPRESSION AS (upper(email))": ("table-rewrite", ""),
    # a constraint
    "ALTER DOMAIN maps.mail SET NOT NULL": ("table-scan", "add-a-check"),
    "ALTER TABLE maps.users ALTER image SET NOT NULL": ("adding-not-nullable-field", "make-a-column-not-null"),
    "ALTER TABLE maps.users ADD CONSTRAINT c CHECK (email <> '')": ("constraint-missing-not-valid", "add-a-check"),
    "ALTER TABLE maps.users ADD CONSTRAINT c UNIQUE (name)": (
        "disallowed-unique-constraint",
        "add-a-unique-constraint",
    ),
    "ALTER TABLE maps.users ADD CONSTRAINT c FOREIGN KEY (name) REFERENCES maps.accounts (id)": (
        "adding-foreign-key-constraint",
        "add-a-foreign-key",
    ),
    "ALTER TABLE maps.users ADD CONSTRAINT c EXCLUDE USING gist (name WITH =)": (
        "constraint-missing-not-valid",
        "add-a-check",
    ),
    "ALTER TABLE maps.users ADD CONSTRAINT c CHECK (email <> '') NOT VALID;"
    " ALTER TABLE maps.users VALIDATE CONSTRAINT c": ("constraint-missing-not-valid", "add-a-check"),
    "ALTER TABLE maps.users ADD COLUMN a text; ALTER TABLE maps.users VALIDATE CONSTRAINT c": (
        "slow-after-lock",
        "add-a-check",
    ),
    # what takes long after a lock that others wait for
    "ALTER TABLE maps.sessions ADD COLUMN a int; ALTER TABLE maps.users VALIDATE CONSTRAINT c": (
        "slow-after-lock",
        "add-a-check",
    ),
    "ALTER TABLE maps.users ADD COLUMN a int; CREATE TABLE maps.t AS SELECT * FROM maps.sessions": (
        "slow-after-lock",
        "split-a-table",
    ),
    "CREATE TABLE maps.t (id text REFERENCES maps.users (id)); INSERT INTO maps.t SELECT id FROM maps.users": (
        "slow-after-lock",
        "split-a-table",
    ),
    "ALTER TABLE maps.users ADD COLUMN a int; CREATE TABLE maps.t (id text); INSERT INTO maps.t TABLE maps.users": (
        "slow-after-lock",
        "split-a-table",
    ),
    # an index
    "CREATE INDEX ix ON maps.users (name)": ("require-concurrent-index-creation", "add-an-index"),
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON maps.users (name)": ("concurrently-in-transaction", "add-an-index"),
    "DROP INDEX maps.ix_sessions_user_id": ("require-concurrent-index-deletion", "add-an-index"),
    "REINDEX TABLE maps.users": ("require-concurrent-reindex", "add-an-index"),
    # what is lost
    "ALTER TABLE maps.users DROP COLUMN name": ("ban-drop-column", "drop-a-column-or-a-table"),
    "DROP TABLE maps.sessions": ("ban-drop-table", "drop-a-column-or-a-table"),
    "ALTER TABLE maps.sessions DETACH PARTITION maps.sessions_1": ("detaches-rows", "drop-a-column-or-a-table"),
    "ALTER TABLE maps.sessions NO INHERIT maps.users": ("detaches-rows", "drop-a-column-or-a-table"),
    "TRUNCATE maps.sessions": ("ban-truncate", "drop-a-column-or-a-table"),
    "DELETE FROM maps.sessions": ("delete-every-row", "drop-a-column-or-a-table"),
    "ALTER TABLE maps.users DROP CONSTRAINT uq_users_email": ("ban-drop-constraint", "drop-a-column-or-a-table"),
    "DROP TYPE maps.kind": ("ban-drop-type", "drop-a-column-or-a-table"),
    "CREATE TABLE IF NOT EXISTS maps.t (id text); TRUNCATE maps.t": ("ban-truncate", "drop-a-column-or-a-table"),
    "CREATE TABLE maps.t (id text); TRUNCATE maps.t, maps.users": ("ban-truncate", "drop-a-column-or-a-table"),
    "ALTER TABLE maps.users DROP CONSTRAINT pk_users; ALTER TABLE maps.sessions ADD CONSTRAINT pk_users CHECK (true)"
    " NOT VALID": ("ban-drop-constraint", "drop-a-column-or-a-table"),
    "ALTER TABLE maps.users ADD COLUMN atomic boolean; DELETE FROM maps.users": (
        "delete-every-row",
        "drop-a-column-or-a-table",
    ),
    "ALTER TABLE maps.users DROP CONSTRAINT pk_users CASCADE, ADD CONSTRAINT pk_users PRIMARY KEY USING INDEX ix": (
        "drops-dependents",
        "",
    ),
    "DROP POLICY tenant ON maps.users": ("drops-object", "drop-a-column-or-a-table"),
    "ALTER TABLE maps.users NO FORCE ROW LEVEL SECURITY": ("opens-rows", "drop-a-column-or-a-table"),
    "ALTER TABLE maps.users RENAME TO people": ("renaming-table", "rename-a-column-or-change-its-type"),
    "ALTER TABLE maps.users RENAME COLUMN name TO title": ("renaming-column", "rename-a-column-or-change-its-type"),
    "ALTER TYPE maps.kind RENAME VALUE 'a' TO 'b'": ("renaming-object", "rename-a-column-or-change-its-type"),
    # who may do what
    "REVOKE SELECT ON maps.users FROM maps_app": ("changes-rights", ""),
    "REVOKE ALL ON ALL TABLES IN SCHEMA maps FROM maps_app": ("changes-rights", ""),
    "ALTER TABLE maps.users OWNER TO postgres": ("changes-rights", ""),
    "GRANT SELECT ON maps.users TO PUBLIC": ("opens-rows", "drop-a-column-or-a-table"),
    "ALTER DEFAULT PRIVILEGES IN SCHEMA maps GRANT ALL ON TABLES TO PUBLIC": (
        "opens-rows",
        "drop-a-column-or-a-table",
    ),
    "ALTER TABLE maps.users ENABLE ROW LEVEL SECURITY": ("changes-policy", ""),
    "CREATE POLICY p ON maps.users USING (true)": ("changes-policy", ""),
    "ALTER POLICY p ON maps.users USING (true)": ("changes-policy", ""),
    "CREATE RULE r AS ON DELETE TO maps.users DO INSTEAD NOTHING": ("changes-statements", ""),
    "ALTER SEQUENCE maps.s RESTART WITH 1": ("restarts-sequence", ""),
    "ALTER SEQUENCE maps.s MAXVALUE 10 CYCLE": ("restarts-sequence", ""),
    "ALTER TABLE maps.users ALTER COLUMN id RESTART WITH 1": ("restarts-sequence", ""),
    "GRANT SELECT ON maps.sessions TO maps_readonly": ("changes-rights", ""),
    "GRANT maps_owner TO maps_app": ("changes-rights", ""),
    "ALTER DEFAULT PRIVILEGES IN SCHEMA maps GRANT ALL ON TABLES TO maps_readonly": ("changes-rights", ""),
    "CREATE VIEW maps.recent AS SELECT * FROM maps.sessions": ("owners-rights", ""),
    "CREATE OR REPLACE VIEW maps.v WITH (security_invoker = false) AS SELECT 1": ("owners-rights", ""),
    "CREATE MATERIALIZED VIEW maps.v AS SELECT * FROM maps.sessions": ("owners-rights", ""),
    "ALTER VIEW maps.v RESET (security_invoker)": ("owners-rights", ""),
    "ALTER FUNCTION maps.f() SECURITY DEFINER": ("owners-rights", ""),
    "CREATE FUNCTION maps.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS $$ SELECT 1 $$": ("owners-rights", ""),
    # what takes long in one transaction
    "INSERT INTO maps.users SELECT * FROM maps.users ON CONFLICT (id) DO UPDATE SET name = ''": (
        "unbatched-write",
        "back-fill-rows",
    ),
    "/* in batches by id */ UPDATE maps.users SET name = '' WHERE true AND name IS NULL": (
        "unbatched-write",
        "back-fill-rows",
    ),
    "UPDATE maps.users SET name = '' WHERE name IS NULL": ("unbatched-write", "back-fill-rows"),
    "DELETE FROM maps.sessions WHERE expires_at < now()": ("deletes-rows", "back-fill-rows"),
    "MERGE INTO maps.users u USING maps.sessions s ON s.user_id = u.id WHEN MATCHED THEN DELETE": (
        "deletes-rows",
        "back-fill-rows",
    ),
    "VACUUM FULL maps.users": ("table-rewrite", ""),
    "CLUSTER maps.users USING pk_users": ("table-rewrite", ""),
    "ALTER TABLE maps.users SET UNLOGGED": ("table-rewrite", ""),
    "CREATE TABLE maps.t (id text) PARTITION BY LIST (id); ALTER TABLE maps.t ATTACH PARTITION maps.users DEFAULT": (
        "table-scan",
        "add-a-check",
    ),
    "ALTER TABLE maps.sessions ATTACH PARTITION maps.users FOR VALUES IN (1)": ("table-scan", "add-a-check"),
    # what reaches beyond the revision, or can't be seen
    "SET LOCAL lock_timeout = 0": ("lock-timeout", ""),
    "SET LOCAL lock_timeout TO '2min'": ("lock-timeout", ""),
    "SELECT set_config('lock_timeout', '0', true)": ("session-setting", ""),
    "SET LOCAL session_replication_role = replica": ("session-setting", ""),
    "SET LOCAL ROLE postgres": ("session-setting", ""),
    "CREATE TABLE maps.t AS WITH gone AS (DELETE FROM maps.users RETURNING id) SELECT id FROM gone": (
        "unseen-statements",
        "",
    ),
    "COPY maps.users FROM '/tmp/users'": ("unseen-statements", ""),
    "CREATE FUNCTION maps.f() RETURNS int LANGUAGE sql AS $$ DELETE FROM maps.users; SELECT 1 $$;"
    " INSERT INTO maps.t SELECT f()": ("unseen-statements", ""),
    "CREATE TABLE maps.t AS SELECT maps.anything()": ("unseen-statements", ""),
    "ALTER TYPE maps.kind ADD VALUE 'pub'; INSERT INTO maps.t VALUES ('pub')": ("enum-value-used", "add-an-enum-value"),
    "COMMIT": ("transaction-control", ""),
    "SELECT 1; COMMIT": ("transaction-control", ""),
    "START TRANSACTION": ("transaction-control", ""),
    "SET statement_timeout = 0": ("session-setting", ""),
    "SELECT set_config('search_path', 'public', false)": ("session-setting", ""),
    "SELECT pg_advisory_lock(1)": ("session-state", ""),
    "CREATE TEMP TABLE t AS SELECT 1": ("temporary-table", ""),
    "LOCK TABLE maps.users": ("explicit-lock", ""),
    "DO $$ BEGIN DELETE FROM maps.users; END $$": ("unseen-statements", ""),
    "SELECT maps.anything()": ("unseen-statements", ""),
}

SAFE = [
    "ALTER TABLE maps.users ADD COLUMN a text",
    "ALTER TABLE maps.users ADD COLUMN a text NOT NULL DEFAULT 'x'",
    "ALTER TABLE maps.users ADD COLUMN a timestamptz NOT NULL DEFAULT now()",
    "ALTER TABLE maps.users ALTER COLUMN name SET DEFAULT 'x'",
    "ALTER TABLE maps.users ADD CONSTRAINT c CHECK (email <> '') NOT VALID",
    "ALTER TABLE maps.users VALIDATE CONSTRAINT c",
    "ALTER TABLE maps.users ADD CONSTRAINT c UNIQUE USING INDEX ix",
    "ALTER TABLE maps.users DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (email <> '') NOT VALID",
    "ALTER TYPE maps.kind ADD VALUE 'b'",
    "CREATE TABLE maps.t (id text REFERENCES maps.users (id)); CREATE INDEX ON maps.t (id); UPDATE maps.t SET id = ''",
    "CREATE TABLE t (id text); ALTER TABLE maps.t ADD CHECK (id <> ''); DROP TABLE t",
    "CREATE FUNCTION maps.f() RETURNS text LANGUAGE sql AS $$ UPDATE maps.users SET name = ''; SELECT 'drop' $$",
    "CREATE FUNCTION maps.f() RETURNS int LANGUAGE sql"
    " BEGIN ATOMIC UPDATE maps.users SET name = CASE WHEN true THEN 'x' END; SELECT 1; END",
    "COMMENT ON TABLE maps.users IS 'DROP TABLE users; -- TRUNCATE users'",
    "SET LOCAL lock_timeout = '1s'",
    "SET LOCAL work_mem = '1GB'",
    "SELECT 1",
    "ALTER TABLE maps.users ADD COLUMN a text -- no default",
    "ALTER TABLE maps.users VALIDATE CONSTRAINT c; ALTER TABLE maps.sessions ADD COLUMN a int",
    "CREATE TABLE maps.t (id text); CREATE POLICY p ON maps.t USING (true);"
    " ALTER TABLE maps.t ENABLE ROW LEVEL SECURITY;"
    " CREATE TRIGGER c BEFORE INSERT ON maps.t FOR EACH ROW EXECUTE FUNCTION maps.f(); DROP TRIGGER c ON maps.t;"
    " REVOKE SELECT ON maps.t FROM maps_readonly",
    "CREATE TABLE maps.t AS SELECT * FROM maps.users",
    "DROP TRIGGER t ON maps.users; CREATE TRIGGER t BEFORE INSERT ON maps.users FOR EACH ROW EXECUTE FUNCTION maps.f()",
    "DROP FUNCTION maps.f(int); CREATE FUNCTION maps.f(bigint) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "DROP VIEW maps.v; CREATE VIEW maps.v WITH (security_invoker = true) AS SELECT id FROM maps.users",
    "CREATE TABLE maps.t (id text) PARTITION BY LIST (id); CREATE INDEX ix_t ON ONLY maps.t (id)",
    "CREATE TABLE maps.t (id text); GRANT SELECT ON maps.t TO maps_readonly",
    "CREATE VIEW maps.v WITH (security_invoker = true) AS SELECT id FROM maps.users",
    "CREATE OR REPLACE FUNCTION maps.f() RETURNS int LANGUAGE sql SECURITY INVOKER AS 'SELECT 1'",
    "ALTER TABLE maps.users ADD COLUMN a int; CREATE TABLE maps.t AS TABLE maps.users WITH NO DATA",
    "INSERT INTO maps.users (id, email, name) VALUES ('a', 'b', 'it''s; DELETE FROM maps.users')",
]


def found(home: Path, *statements: str, comment: str = "") -> list[Finding]:
    """What the lint says of a further revision of maps."""
    lines = [comment] if comment else []
    lines += [f'op.execute("""{statement}""")' for statement in statements]
    add_revision(home, "\n    ".join(lines))
    return lint("maps", home=home)


def concurrently(statement: str) -> str:
    return f'with op.get_context().autocommit_block():\n        op.execute("{statement}")'


@pytest.mark.parametrize("app", apps.names())
def test_every_released_revision_has_its_verdict(app: str) -> None:
    assert lint(app) == []


@pytest.mark.parametrize(("statement", "verdict"), DANGEROUS.items())
def test_what_hurts_a_database_in_use_is_refused_with_its_recipe(
    home: Path, statement: str, verdict: tuple[str, str]
) -> None:
    [refused] = found(home, statement)

    assert (refused.rule, refused.recipe) == verdict
    assert refused.file == "0004_further.py"
    assert refused.statement in " ".join(statement.split())
    assert "\n" not in str(refused)


@pytest.mark.parametrize("statement", SAFE)
def test_what_hurts_nobody_is_let_through(home: Path, statement: str) -> None:
    assert found(home, statement) == []


def test_one_line_says_file_rule_reason_statement_and_recipe(home: Path) -> None:
    [refused] = found(home, "TRUNCATE maps.users")

    assert str(refused) == (
        "alembic/versions/maps/0004_further.py: ban-truncate: every row is gone, and nobody reads or writes until the"
        " end (TRUNCATE maps.users); do it like docs/migrations.md#drop-a-column-or-a-table"
    )


def test_a_reason_in_the_file_lets_one_rule_pass_and_no_other(home: Path) -> None:
    dropped = "ALTER TABLE maps.users DROP COLUMN image"
    reason = "# pgstack: allow ban-drop-column: no release has read it since 1.4"

    assert found(home, dropped, comment=reason) == []
    assert [it.rule for it in found(home, dropped, "TRUNCATE maps.users", comment=reason)] == ["ban-truncate"]


def test_each_statement_that_loses_rows_needs_its_own_reason(home: Path) -> None:
    dropped = [f"ALTER TABLE maps.users DROP COLUMN {it}" for it in ("image", "email")]
    reason = "# pgstack: allow ban-drop-column: no release has read it since 1.4"

    assert [it.statement for it in found(home, *dropped, comment=reason)] == [dropped[1]]
    assert found(home, *dropped, comment=f"{reason}\n    {reason}") == []
    assert [it.rule for it in found(home, dropped[0], comment=f"{reason}\n    {reason}")] == ["unused-allow"]
    assert [it.rule for it in found(home, *dropped[:1], comment=f'"""{reason}"""')] == ["ban-drop-column"]


def test_a_reason_for_one_table_is_none_for_what_is_dropped_along(home: Path) -> None:
    reason = "# pgstack: allow ban-drop-table: nobody has signed in by mail since 1.2"

    both = found(home, "DROP TABLE maps.verifications, maps.users", comment=reason)
    assert [it.rule for it in both] == ["drops-dependents"]
    along = found(home, "DROP TABLE maps.users CASCADE", comment=reason)
    assert [it.rule for it in along] == ["drops-dependents"]
    again = found(home, "DROP VIEW maps.v CASCADE", "CREATE VIEW maps.v WITH (security_invoker = true) AS SELECT 1")
    assert [it.rule for it in again] == ["ban-drop-view", "drops-dependents"]


@pytest.mark.parametrize(
    "body",
    [
        'for it in ("CREATE TABLE maps.half (id int)", "COMMIT"): op.execute(it)',
        'sql = "CREATE TABLE maps.half (id int); COMMIT"; op.execute(sql)',
        "op.execute(f\"CREATE TABLE maps.{'half'} (id int); COMMIT\")",
    ],
)
def test_a_commit_is_found_wherever_it_comes_from(home: Path, body: str) -> None:
    add_revision(home, body)

    assert [it.rule for it in lint("maps", home=home)] == ["transaction-control"]


def test_a_reason_for_a_drop_excuses_nothing_else_of_its_statement(home: Path) -> None:
    reason = "# pgstack: allow ban-drop-column: no release has read it since 1.4"

    refused = found(home, "ALTER TABLE maps.users DROP COLUMN image, SET UNLOGGED", comment=reason)

    assert [it.rule for it in refused] == ["table-rewrite"]


@pytest.mark.parametrize(
    "comment", ["# pgstack: allow", "# pgstack: allow ban-truncate", "# pgstack: allow ban-truncate:"]
)
def test_a_reason_that_gives_none_is_refused_and_excuses_nothing(home: Path, comment: str) -> None:
    assert [it.rule for it in found(home, "TRUNCATE maps.users", comment=comment)] == ["allow", "ban-truncate"]


def test_a_reason_that_nothing_needs_is_refused(home: Path) -> None:
    comment = "# pgstack: allow ban-truncate: the table is small"

    assert [it.rule for it in found(home, "SELECT 1", comment=comment)] == ["unused-allow"]
    (home / "alembic/versions/maps/0004_further.py").unlink()
    with (home / "alembic/versions/maps/verdicts.toml").open("a") as verdicts:
        verdicts.write('[0009_gone]\nban-truncate = "the table is small"\n')
    assert [it.says for it in lint("maps", home=home)] == ["there is no revision 0009_gone"]


def test_an_index_is_built_concurrently_alone_in_its_file(home: Path) -> None:
    index = concurrently("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON maps.users (name)")
    add_revision(home, index)
    assert lint("maps", home=home) == []

    add_revision(home, index.replace("IF NOT EXISTS ", ""))
    assert [it.rule for it in lint("maps", home=home)] == ["if-not-exists"]

    add_revision(home, f'op.execute("ALTER TABLE maps.users ADD COLUMN a text")\n    {index}')
    assert [it.rule for it in lint("maps", home=home)] == ["not-alone"]


def test_many_rows_are_changed_in_batches_alone_in_their_file(home: Path) -> None:
    import_it = "from db.migrations.batches import in_batches\n    "
    batches = "in_batches('maps.users', \"UPDATE maps.users SET name = '' WHERE {batch} AND name IS NULL\")"
    add_revision(home, import_it + batches)
    assert lint("maps", home=home) == []

    add_revision(home, f"{import_it}in_batches('maps.users', \"UPDATE maps.users SET name = '' WHERE {{batch}}\")")
    assert [(it.rule, it.recipe) for it in lint("maps", home=home)] == [("endless-batches", "back-fill-rows")]
    merged = "MERGE INTO maps.users u USING (SELECT id FROM maps.users WHERE {batch} AND true) s ON u.id = s.id"
    add_revision(home, f"{import_it}in_batches('maps.users', '{merged} WHEN MATCHED THEN DELETE')")
    assert [it.rule for it in lint("maps", home=home)] == ["deletes-rows"]
    lost = "in_batches('maps.users', \"DELETE FROM maps.users WHERE {batch} AND name IS NULL\")"
    add_revision(home, import_it + lost)
    assert [(it.rule, it.recipe) for it in lint("maps", home=home)] == [("deletes-rows", "drop-a-column-or-a-table")]
    add_revision(home, f"{import_it}in_batches('maps.users', 'TRUNCATE maps.users /* {{batch}} */')")
    assert [it.rule for it in lint("maps", home=home)] == ["endless-batches"]
    add_revision(home, f'{import_it}{batches}\n    op.execute("ALTER TABLE maps.users ADD COLUMN a text")')
    assert [it.rule for it in lint("maps", home=home)] == ["not-alone"]
    add_revision(home, concurrently("UPDATE maps.users SET name = '' WHERE name IS NULL"))
    assert [it.rule for it in lint("maps", home=home)] == ["unbatched-write"]


def test_not_null_is_free_once_an_earlier_revision_proved_it(home: Path) -> None:
    def add(number: int, statement: str) -> None:
        after = "0003_readers_see_no_tokens" if number == 4 else f"{number - 1:04d}_step"
        add_revision(home, f'op.execute("{statement}")', name=f"{number:04d}_step", after=after)

    add(4, "ALTER TABLE maps.users ADD CONSTRAINT c CHECK (image IS NOT NULL) NOT VALID")
    add(5, "ALTER TABLE maps.users ALTER COLUMN image SET NOT NULL")
    assert [it.rule for it in lint("maps", home=home)] == ["adding-not-nullable-field"]

    add(5, "ALTER TABLE maps.users VALIDATE CONSTRAINT c")
    add(6, "ALTER TABLE maps.users ALTER COLUMN image SET NOT NULL")
    assert lint("maps", home=home) == []


def test_a_partition_is_not_detached_concurrently(home: Path) -> None:
    add_revision(home, concurrently("ALTER TABLE maps.sessions DETACH PARTITION maps.sessions_1 CONCURRENTLY"))

    assert [it.rule for it in lint("maps", home=home)] == ["concurrent-detach", "detaches-rows"]


def test_or_in_batches_is_refused_unless_it_is_in_parentheses(home: Path) -> None:
    import_it = "from db.migrations.batches import in_batches\n    "
    batches = "in_batches('maps.users', \"UPDATE maps.users SET name = '' WHERE {batch} AND %s\")"
    add_revision(home, import_it + batches % "name IS NULL OR name = 'x'")
    with pytest.raises(RevisionError, match="OR takes in rows of no batch: put what is joined by it into parentheses"):
        lint("maps", home=home)

    add_revision(home, import_it + batches % "(name IS NULL OR name = 'x')")
    assert lint("maps", home=home) == []


def test_a_proof_is_gone_with_its_check(home: Path) -> None:
    add_revision(
        home,
        'op.execute("ALTER TABLE maps.users ADD CONSTRAINT c CHECK (image IS NOT NULL) NOT VALID")',
        name="0004_step",
    )
    for number, action in enumerate(("VALIDATE CONSTRAINT c", "DROP CONSTRAINT c", "ALTER image SET NOT NULL"), 5):
        add_revision(
            home,
            f'op.execute("ALTER TABLE maps.users {action}")',
            name=f"{number:04d}_step",
            after=f"{number - 1:04d}_step",
        )

    assert [(it.file, it.rule) for it in lint("maps", home=home)] == [
        ("0006_step.py", "ban-drop-constraint"),
        ("0007_step.py", "adding-not-nullable-field"),
    ]


@pytest.mark.parametrize(
    ("statement", "rules"),
    [
        ("UPDATE maps.users SET name = upper(name)", ["unbatched-write"]),
        ("ALTER TABLE maps.users ALTER COLUMN name SET NOT NULL", ["adding-not-nullable-field"]),
        ("CREATE INDEX ix ON maps.users (name)", ["require-concurrent-index-creation"]),
        ("ALTER TABLE maps.users DROP COLUMN a; DROP INDEX maps.ix_sessions_user_id; DROP TABLE maps.sessions", []),
    ],
)
def test_a_downgrade_holds_nobody_up_either(home: Path, statement: str, rules: list[str]) -> None:
    add_revision(home, 'op.execute("ALTER TABLE maps.users ADD COLUMN a text")', undo=f'op.execute("{statement}")')

    refused = lint("maps", home=home)

    assert [it.rule for it in refused] == rules
    assert all(it.says.startswith("in downgrade, ") for it in refused)


def test_a_partitioned_table_gets_its_index_part_by_part(home: Path) -> None:
    add_revision(
        home,
        'op.execute("CREATE INDEX ix_logs_level ON ONLY bots.bot_logs (level)")',
        app="bots",
        name="0012_ix",
        after="0011_consent",
    )
    part = concurrently("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_logs_1 ON bots.bot_logs_2026_11 (level)")
    add_revision(home, part, app="bots", name="0013_part", after="0012_ix")
    attached = 'op.execute("ALTER INDEX bots.ix_logs_level ATTACH PARTITION bots.ix_logs_1")'
    add_revision(home, attached, app="bots", name="0014_attached", after="0013_part")

    assert lint("bots", home=home) == []


@pytest.mark.parametrize("statement", ["REINDEX INDEX CONCURRENTLY maps.pk_users", "VACUUM (ANALYZE) maps.users"])
def test_upkeep_that_lets_others_work_is_let_through(home: Path, statement: str) -> None:
    add_revision(home, concurrently(statement))

    assert lint("maps", home=home) == []


def test_what_a_comment_says_of_transactions_does_not_count(home: Path) -> None:
    comments = [f"COMMENT ON TABLE maps.{it} IS 'x'" for it in ("users", "sessions")]

    assert found(home, *comments, comment="# unlike autocommit_block(), in_batches()") == []


@pytest.mark.parametrize("table", ["maps.users_2026_01", "maps.people", "panamia.users"])
def test_a_table_that_is_not_known_to_be_new_counts_as_one_in_use(home: Path, table: str) -> None:
    assert [it.rule for it in found(home, f"CREATE INDEX ON {table} (name)")] == ["require-concurrent-index-creation"]
    again = f"CREATE TABLE IF NOT EXISTS maps.users (id text); CREATE INDEX ON {table} (name)"
    assert [it.rule for it in found(home, again)] == ["require-concurrent-index-creation"]


def test_a_file_that_asks_the_database_is_named(home: Path) -> None:
    add_revision(home, 'op.get_bind().exec_driver_sql("SELECT 1").scalar_one()')

    with pytest.raises(RevisionError, match=r"maps/0004_further\.py: its SQL can't be printed without a database"):
        lint("maps", home=home)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            "op.bulk_insert(sa.table('users', sa.column('n'), schema='maps'), [{'n': 1}])",
            "give each column of sa.table",
        ),
        (
            "from sqlalchemy.dialects.postgresql import JSONB\n    "
            "op.execute(sa.table('users', sa.column('config', JSONB), schema='maps').update().values(config={'a': 1}))",
            r"write JSON as SQL, as in op\.execute\(\"UPDATE \.\.\. SET config = '{}'::jsonb\"\)$",
        ),
        (
            "from sqlalchemy.orm import Session\n    Session(bind=op.get_bind()).execute(sa.text('SELECT 1'))",
            r"op\.get_bind\(\) is no connection while SQL is printed: ask within the SQL",
        ),
    ],
)
def test_what_cannot_be_printed_is_told_with_what_can(home: Path, statement: str, says: str) -> None:
    add_revision(home, f"import sqlalchemy as sa\n    {statement}")

    with pytest.raises(RevisionError, match=says):
        lint("maps", home=home)


def test_values_of_columns_that_have_a_type_are_printed(home: Path) -> None:
    insert = "op.bulk_insert(sa.table('t', sa.column('n', sa.Integer), schema='maps'), [{'n': 1}])"
    add_revision(home, f"import sqlalchemy as sa\n    {insert}")

    assert lint("maps", home=home) == []


def test_a_file_that_cannot_be_imported_is_named_and_no_other(home: Path) -> None:
    path = add_revision(home, "pass")
    path.write_text(path.read_text().replace("from alembic import op", "import a_module_nobody_has"))

    with pytest.raises(RevisionError) as refused:
        lint("maps", home=home)
    assert str(refused.value) == (
        "revision 0004_further (maps) can't be loaded: line 9: ModuleNotFoundError: No module named"
        " 'a_module_nobody_has'; nothing was changed; mend it and run again"
    )


def test_an_error_of_several_lines_is_told_in_one(home: Path) -> None:
    add_revision(home, 'raise ValueError("one\\ntwo")')

    with pytest.raises(RevisionError) as refused:
        lint("maps", home=home)
    assert str(refused.value) == (
        "alembic/versions/maps/0004_further.py: its SQL can't be printed without a database (line 16: ValueError: one"
        " two): ask within the SQL, or use in_batches"
    )


def test_sql_that_is_none_is_refused(home: Path) -> None:
    assert "syntax-error" in {it.rule for it in found(home, "ALTER TABLE maps.users ADD COLUMN")}


@pytest.mark.parametrize(
    ("statement", "patient"),
    [
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix ON maps.users (name)", True),
        ("DROP INDEX CONCURRENTLY maps.ix", True),
        ("ALTER TABLE maps.users\n  VALIDATE CONSTRAINT c", True),
        ("ALTER TABLE maps.users ADD COLUMN a int /* VALIDATE CONSTRAINT later */", False),
        ("ALTER TABLE maps.users VALIDATE CONSTRAINT c, ADD COLUMN a int", False),
        ("ALTER TABLE maps.users ADD COLUMN a int; ALTER TABLE maps.users VALIDATE CONSTRAINT c", False),
        ("COMMENT ON TABLE maps.users IS 'indexed concurrently'", False),
    ],
)
def test_only_what_nobody_queues_behind_may_wait_for_long(statement: str, patient: bool) -> None:
    assert waits.patient(statement) is patient
