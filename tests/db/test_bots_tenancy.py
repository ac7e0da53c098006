"""An organization's rows are out of another's reach, whichever way the application's login takes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from tests.db.bots_world import OURS, SYSTEM_ROLE, THEIRS, acting, migrated
from tests.db.conftest import Connection, Prepare, Prepared
from tests.db.test_transaction_pooler import pooler

# table: its row in each organization
TABLES = {
    "organizations": "organization",
    "organization_members": "member",
    "roles": "role",
    "api_keys": "api_key",
    "settings": "setting",
    "bots": "bot",
    "bot_runs": "run",
    "bot_logs": "log",
    "credentials": "credential",
    "session_recordings": "recording",
    "workflows": "workflow",
    "workflow_runs": "workflow_run",
    "tasks": "task",
    "notifications": "notification",
    "activity_logs": "activity",
}
HIDDEN_FROM_US = {**TABLES, "users": "user", "sessions": "session"}
# a column that the application may write
WRITABLE = {
    "organizations": "name",
    "organization_members": "joined_at",
    "roles": "description",
    "api_keys": "revoked_at",
    "settings": "key",
    "bots": "description",
    "bot_runs": "error_message",
    "credentials": "name",
    "session_recordings": "page_url",
    "workflows": "description",
    "workflow_runs": "error_message",
    "tasks": "description",
    "notifications": "body",
    "users": "name",
    "sessions": "user_agent",
}
DELETABLE = ("sessions", "role_permissions")
HISTORIES: tuple[str, ...] = (
    "organizations",
    "organization_members",
    "roles",
    "api_keys",
    "settings",
    "bots",
    "credentials",
)
HISTORIES += ("workflows", "tasks")

pytestmark = pytest.mark.requirement("bots.P2.row-level-security")


@pytest.fixture(scope="module")
def database(prepare: Prepare) -> Prepared:
    return migrated(prepare)


@pytest.fixture(scope="module", params=["direct", "pooled"])
def url(database: Prepared, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application's login, straight to the server and through a transaction pooler of 2 server connections."""
    if request.param == "direct":
        yield database.app_url
        return
    with pooler(database, tmp_path_factory.mktemp("pooler"), size=2, login=database.access.application) as pooled:
        yield pooled


@pytest.fixture
def us(url: str) -> Iterator[Connection]:
    with acting(url, OURS) as connection:
        yield connection


@pytest.mark.parametrize("table", TABLES)
def test_ours_is_there(us: Connection, table: str) -> None:
    assert us.execute(f"SELECT 1 FROM {table} WHERE id = %s", (getattr(OURS, TABLES[table]),)).fetchall() == [(1,)]


@pytest.mark.parametrize("table", HIDDEN_FROM_US)
def test_theirs_cannot_be_read_by_its_id(us: Connection, table: str) -> None:
    theirs = getattr(THEIRS, HIDDEN_FROM_US[table])

    assert us.execute(f"SELECT 1 FROM {table} WHERE id = %s", (theirs,)).fetchall() == []


@pytest.mark.parametrize("table", [table for table in TABLES if table not in {"bots", "roles"}])
def test_theirs_is_not_counted(us: Connection, table: str) -> None:
    assert us.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


def test_bots_roles_and_users_are_counted_for_us_alone(us: Connection) -> None:
    counts = us.execute(
        "SELECT (SELECT count(*) FROM bots), (SELECT count(*) FROM roles), (SELECT count(*) FROM users)"
    ).fetchone()

    assert counts == (2, 2, 1)  # two bots; our role and the system's; ourselves


@pytest.mark.parametrize("table", HIDDEN_FROM_US)
@pytest.mark.parametrize("login", ["app_url", "readonly_url"])
def test_without_a_tenant_there_is_no_row(database: Prepared, login: str, table: str) -> None:
    with acting(getattr(database, login), None) as nobody:
        seen = nobody.execute(f"SELECT count(*) FROM {table} WHERE id <> %s", (SYSTEM_ROLE,)).fetchone()

    assert seen == (0,)


@pytest.mark.parametrize("table", HIDDEN_FROM_US)
def test_the_readonly_login_is_bound_to_a_tenant_too(database: Prepared, table: str) -> None:
    with acting(database.readonly_url, OURS) as us:
        theirs = us.execute(f"SELECT 1 FROM {table} WHERE id = %s", (getattr(THEIRS, HIDDEN_FROM_US[table]),))

        assert theirs.fetchall() == []


def test_a_tenant_ends_with_its_transaction(url: str) -> None:
    with psycopg.connect(url, prepare_threshold=None) as connection:
        connection.execute("SELECT set_config('app.organization_id', %s, true)", (str(OURS.organization),))
        assert connection.execute("SELECT count(*) FROM bots").fetchone() == (2,)
        connection.commit()

        assert connection.execute("SELECT count(*) FROM bots").fetchone() == (0,)
        connection.rollback()


@pytest.mark.parametrize("table", WRITABLE)
def test_theirs_cannot_be_changed(us: Connection, table: str) -> None:
    theirs = getattr(THEIRS, HIDDEN_FROM_US[table])

    changed = us.execute(f"UPDATE {table} SET {WRITABLE[table]} = DEFAULT WHERE id = %s", (theirs,))

    assert changed.rowcount == 0


@pytest.mark.parametrize("table", WRITABLE)
def test_returning_does_not_give_theirs_away(us: Connection, table: str) -> None:
    seen = us.execute(f"UPDATE {table} SET {WRITABLE[table]} = {WRITABLE[table]} RETURNING id").fetchall()

    assert (getattr(THEIRS, HIDDEN_FROM_US[table]),) not in seen
    assert (getattr(OURS, HIDDEN_FROM_US[table]),) in seen


def test_their_session_cannot_be_ended(us: Connection) -> None:
    assert us.execute("DELETE FROM sessions WHERE id = %s", (THEIRS.session,)).rowcount == 0


def test_a_row_cannot_be_written_for_them(us: Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="violates row-level security policy"):
        us.execute(
            "INSERT INTO bots (organization_id, name, slug, config) VALUES (%s, 'spy', 'spy', '{}')",
            (THEIRS.organization,),
        )


@pytest.mark.parametrize("table", [table for table in WRITABLE if table not in {"users", "sessions", "organizations"}])
def test_our_row_cannot_become_theirs(us: Connection, table: str) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation)):
        us.execute(
            f"UPDATE {table} SET organization_id = %s WHERE id = %s",
            (THEIRS.organization, getattr(OURS, TABLES[table])),
        )


def test_nobodys_row_cannot_be_written_without_a_tenant(url: str) -> None:
    with (
        acting(url, None) as nobody,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="violates row-level security policy"),
    ):
        nobody.execute(
            "INSERT INTO bots (organization_id, created_by_id, name, slug, config) VALUES (%s, %s, 'spy', 'spy', '{}')",
            (OURS.organization, OURS.user),
        )


def test_an_empty_tenant_is_no_tenant(url: str) -> None:
    with acting(url, None) as nobody:
        nobody.execute("SELECT set_config('app.organization_id', '', true)")

        assert nobody.execute("SELECT count(*) FROM bots").fetchone() == (0,)


def test_a_tenant_that_is_no_uuid_is_an_error(url: str) -> None:
    with acting(url, None) as nobody:
        nobody.execute("SELECT set_config('app.organization_id', 'x'' OR true', true)")
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            nobody.execute("SELECT count(*) FROM bots")


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("bot_runs", {"bot_id": "bot"}),
        ("bot_runs", {"bot_id": ("ours", "bot"), "workflow_run_id": "workflow_run"}),
        ("bot_logs", {"bot_id": "bot", "message": "'x'"}),
        ("bot_logs", {"bot_id": ("ours", "bot"), "bot_run_id": "run", "message": "'x'"}),
        ("credentials", {"bot_id": "bot", "name": "'x'", "type": "'cookie'", "secret": "repeat('x', 40)::bytea"}),
        ("session_recordings", {"bot_run_id": "run"}),
        ("workflow_runs", {"workflow_id": "workflow"}),
        ("tasks", {"bot_id": "bot", "title": "'x'"}),
        ("tasks", {"workflow_run_id": "workflow_run", "title": "'x'"}),
        ("tasks", {"assignee_id": "user", "title": "'x'"}),
        ("notifications", {"user_id": "user", "title": "'x'"}),
        ("settings", {"user_id": "user", "key": "'x'", "value": "'1'"}),
        ("organization_members", {"user_id": ("ours", "user"), "role_id": "role", "role_is_system": "false"}),
        ("role_permissions", {"role_id": "role", "permission_id": "(SELECT id FROM permissions)"}),
    ],
)
@pytest.mark.requirement("bots.P0.relationships")
def test_no_reference_leads_from_ours_to_theirs(
    us: Connection, table: str, values: dict[str, str | tuple[str, str]]
) -> None:
    given = {
        name: f"'{getattr(OURS, value[1])}'"
        if isinstance(value, tuple)
        else f"'{getattr(THEIRS, value)}'"
        if value.replace("_", "").isalpha() and value != "false"
        else value
        for name, value in values.items()
    }
    if table == "organization_members":
        us.execute("SELECT set_config('app.user_id', '', true)")  # nobody joins by themselves
    with pytest.raises((psycopg.errors.ForeignKeyViolation, psycopg.errors.UniqueViolation)) as refused:
        us.execute(
            f"INSERT INTO {table} (organization_id, {', '.join(given)})"
            f" VALUES ('{OURS.organization}', {', '.join(given.values())})"
        )
    assert THEIRS.word not in str(refused.value)


@pytest.mark.requirement("bots.P0.relationships")
def test_a_session_cannot_be_active_where_its_user_is_no_member(us: Connection) -> None:
    us.execute("SELECT set_config('app.organization_id', '', true)")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        us.execute("UPDATE sessions SET organization_id = %s WHERE id = %s", (THEIRS.organization, OURS.session))


def test_a_stranger_cannot_act_in_our_organization(url: str) -> None:
    with acting(url, OURS) as us:
        us.execute("SELECT set_config('app.user_id', %s, true)", (str(THEIRS.user),))
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="fk_bots_updated_by_id"):
            us.execute("UPDATE bots SET name = 'taken over'")


@pytest.mark.parametrize("function", ["bots", "workflows", "tasks"])
@pytest.mark.parametrize("login", ["app_url", "readonly_url"])
@pytest.mark.requirement("bots.P1.full-text-search")
def test_a_search_finds_ours_and_never_theirs(database: Prepared, login: str, function: str) -> None:
    with acting(getattr(database, login), OURS) as us:
        ours = us.execute(f"SELECT id FROM bots.search_{function}(%s)", (OURS.word,)).fetchall()
        theirs = us.execute(f"SELECT id FROM bots.search_{function}(%s)", (THEIRS.word,)).fetchall()

    assert len(ours) == (2 if function == "bots" else 1)
    assert theirs == []


@pytest.mark.parametrize("function", ["bots", "workflows", "tasks"])
def test_without_a_tenant_a_search_finds_nothing(database: Prepared, function: str) -> None:
    with acting(database.app_url, None) as nobody:
        assert nobody.execute(f"SELECT id FROM bots.search_{function}(%s)", (OURS.word,)).fetchall() == []


@pytest.mark.requirement("bots.P1.full-text-search")
def test_the_search_column_itself_finds_only_ours(us: Connection) -> None:
    found = us.execute("SELECT organization_id FROM bots WHERE search @@ to_tsquery('english', 'count | feed')")

    assert set(found) == {(OURS.organization,)}


@pytest.mark.parametrize("login", ["app_url", "readonly_url"])
@pytest.mark.parametrize("verb", ["SELECT * FROM", "DELETE FROM"])
@pytest.mark.requirement("bots.P2.partitioning")
def test_no_partition_can_be_reached_directly(database: Prepared, login: str, verb: str) -> None:
    partitions = database.rows(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent IN ('bots.bot_logs'::regclass,"
        " 'bots.activity_logs'::regclass)"
    )
    assert len(partitions) == 8
    for (partition,) in partitions:
        with (
            acting(getattr(database, login), OURS, writing=True) as us,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            us.execute(f"{verb} {partition}")


@pytest.mark.requirement("bots.P2.partitioning")
def test_a_partition_shows_no_row_even_to_who_was_granted_it_by_mistake(database: Prepared) -> None:
    [(partition,)] = database.rows("SELECT tableoid::regclass::text FROM bots.bot_logs LIMIT 1")
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(f"GRANT SELECT ON {partition} TO bots_app")
        try:
            with acting(database.app_url, OURS) as us:
                assert us.execute(f"SELECT count(*) FROM {partition}").fetchone() == (0,)
        finally:
            owner.execute(f"REVOKE SELECT ON {partition} FROM bots_app")


@pytest.mark.parametrize("table", HISTORIES)
@pytest.mark.requirement("bots.P2.time-travel")
def test_their_history_cannot_be_read(database: Prepared, table: str) -> None:
    column = {"organizations": "name", "organization_members": "joined_at", "api_keys": "revoked_at"}.get(
        table, "deleted_at"
    )
    with psycopg.connect(database.owner_url) as owner:
        value = "now()" if column.endswith("_at") else f"{column} || '!'"
        owner.execute(f"UPDATE {table} SET {column} = {value} WHERE id = %s", (getattr(THEIRS, TABLES[table]),))
        assert owner.execute(f"SELECT count(*) FROM {table}_history").fetchone() == (1,)
        seen = {}
        owner.commit()
        for world in (OURS, THEIRS):
            with acting(database.app_url, world) as connection:
                seen[world] = connection.execute(f"SELECT count(*) FROM {table}_history").fetchone()
        owner.execute(f"UPDATE {table} SET deleted_at = NULL WHERE id = %s", (getattr(THEIRS, TABLES[table]),))

    assert seen == {OURS: (0,), THEIRS: (1,)}


@pytest.mark.requirement("bots.P2.stored-procedures")
def test_a_worker_in_our_organization_cannot_claim_their_bot(database: Prepared) -> None:
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("UPDATE bots SET next_run_at = now() WHERE id = %s", (THEIRS.bot,))
        owner.commit()
        with acting(database.app_url, OURS) as us:
            assert us.execute("SELECT id FROM claim_due_bot('a worker')").fetchall() == []
        with acting(database.app_url, None) as nobody:
            assert nobody.execute("SELECT id FROM claim_due_bot('a worker')").fetchall() == []
            # ids are all that crosses, so that a worker knows where to go
            assert nobody.execute("SELECT * FROM organizations_with_work()").fetchall() == [(THEIRS.organization,)]
        owner.execute("UPDATE bots SET next_run_at = NULL WHERE id = %s", (THEIRS.bot,))


@pytest.mark.requirement("bots.P2.stored-procedures")
def test_a_worker_in_our_organization_cannot_end_their_runs(database: Prepared) -> None:
    with psycopg.connect(database.owner_url) as owner:
        owner.execute(
            "UPDATE bot_runs SET status = 'running', lease_expires_at = now() - interval '1 hour' WHERE id = %s",
            (THEIRS.run,),
        )
        owner.commit()
        with acting(database.app_url, OURS) as us:
            assert us.execute("SELECT expire_runs()").fetchone() == (0,)
        with acting(database.app_url, THEIRS) as them:
            assert them.execute("SELECT expire_runs()").fetchone() == (1,)


def test_writing_over_their_row_by_on_conflict_is_refused(us: Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="violates row-level security policy"):
        us.execute(
            "INSERT INTO bots (id, organization_id, name, slug, config) VALUES (%s, %s, 'mine', 'mine', '{}')"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING description",
            (THEIRS.bot, OURS.organization),
        )


def test_doing_nothing_on_conflict_tells_nothing_of_their_row(us: Connection) -> None:
    done = us.execute(
        "INSERT INTO bots (id, organization_id, name, slug, config) VALUES (%s, %s, 'mine', 'mine', '{}')"
        " ON CONFLICT (id) DO NOTHING RETURNING name",
        (THEIRS.bot, OURS.organization),
    )

    assert done.fetchall() == []


def test_an_error_about_their_row_does_not_show_it(us: Connection) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation) as refused:
        us.execute(
            "INSERT INTO bots (id, organization_id, name, slug, config) VALUES (%s, %s, 'mine', 'mine', '{}')",
            (THEIRS.bot, OURS.organization),
        )

    assert refused.value.diag.message_detail is None


def test_an_address_that_is_taken_is_told_without_whose_it_is(us: Connection) -> None:
    us.execute("SELECT set_config('app.user_id', %s, true)", (str(uuid.UUID(int=7)),))
    with pytest.raises(psycopg.errors.UniqueViolation) as refused:
        us.execute(
            "INSERT INTO users (id, email, name) VALUES (%s, %s, 'me')",
            (uuid.UUID(int=7), f"{THEIRS.word.upper()}@example.com"),
        )

    assert refused.value.diag.message_detail is None


def test_their_slug_is_free_for_us(us: Connection) -> None:
    us.execute(
        "INSERT INTO bots (organization_id, name, slug, config) VALUES (%s, 'x', 'day', '{}')", (OURS.organization,)
    )


@pytest.mark.parametrize("statement", ["COPY bots TO STDOUT", "COPY (SELECT * FROM bots) TO STDOUT"])
def test_copying_out_gives_ours_only(us: Connection, statement: str) -> None:
    with us.cursor() as cursor, cursor.copy(statement) as copied:
        text = b"".join(bytes(block) for block in copied).decode()

    assert OURS.word in text
    assert THEIRS.word not in text


def test_a_view_of_the_applications_own_is_bound_too(us: Connection) -> None:
    us.execute("CREATE TEMP VIEW all_bots AS SELECT * FROM bots.bots")

    assert us.execute("SELECT count(*) FROM all_bots").fetchone() == (2,)


def test_a_function_that_talks_sees_only_ours(us: Connection) -> None:
    """A condition that is run before the policy would print what it must not see."""
    us.execute(
        "CREATE FUNCTION pg_temp.shout(name text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
        " $$ BEGIN RAISE NOTICE '%', name; RETURN true; END $$"
    )
    told: list[str] = []
    us.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    us.execute("SELECT count(*) FROM bots WHERE pg_temp.shout(name)")

    assert len(told) == 2
    assert not [line for line in told if THEIRS.word in line]


def test_the_planners_statistics_show_nothing_of_theirs(database: Prepared, us: Connection) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("ANALYZE bots.bots, bots.users")

    assert us.execute("SELECT tablename, attname FROM pg_stats WHERE schemaname = 'bots'").fetchall() == []


def test_the_policies_cannot_be_switched_off(us: Connection) -> None:
    us.execute("SET LOCAL row_security = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="would be affected by row-level security"):
        us.execute("SELECT * FROM bots")


def test_the_application_cannot_become_the_owner(us: Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied to set role"):
        us.execute("SET LOCAL ROLE bots_owner")


def test_a_temporary_type_of_the_callers_does_not_run_its_checks_as_the_owner(database: Prepared) -> None:
    with acting(database.app_url, OURS) as us:
        told: list[str] = []
        us.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        us.execute(
            "CREATE FUNCTION pg_temp.who(value text) RETURNS boolean LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE NOTICE '%', current_user; RETURN true; END $$"
        )
        for name in ("uuid", "text", "tsquery", "bytea", "integer", "int4", "date"):
            us.execute(f'CREATE DOMAIN pg_temp."{name}" AS pg_catalog."{name.replace("integer", "int4")}"'
                       " CHECK (pg_temp.who(VALUE::pg_catalog.text))")  # fmt: skip
        us.execute("SELECT * FROM bots.search_bots('pelican'::pg_catalog.text)")
        us.execute("SELECT * FROM bots.find_sign_in('pelican@example.com'::pg_catalog.text)")
        us.execute("SELECT * FROM bots.organizations_with_work()")
        us.execute("SELECT bots.make_partitions(4)")
        us.execute("UPDATE bots.bots SET name = 'x'")

    assert "bots_owner" not in told


@pytest.mark.requirement("bots.P2.time-travel")
def test_the_historys_trigger_cannot_be_put_on_a_table_of_the_applications_own(us: Connection) -> None:
    us.execute("CREATE TEMP TABLE bots (LIKE bots.bots)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"permission denied for function .*record_history"):
        us.execute(
            "CREATE TRIGGER forge AFTER DELETE ON pg_temp.bots FOR EACH ROW EXECUTE FUNCTION bots.record_history()"
        )


@pytest.mark.requirement("bots.tables.sessions")
def test_before_an_organization_is_chosen_one_sees_oneself_and_ones_memberships(url: str) -> None:
    with acting(url, None) as somebody:
        somebody.execute("SELECT set_config('app.user_id', %s, true)", (str(OURS.user),))
        seen = {
            table: somebody.execute(f"SELECT count(*) FROM {table}").fetchone()
            for table in ("users", "organizations", "organization_members", "sessions", "bots", "tasks", "settings")
        }

    assert seen == {
        "users": (1,), "organizations": (1,), "organization_members": (1,), "sessions": (1,),
        "bots": (0,), "tasks": (0,), "settings": (0,),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("function", "ours", "wrong"),
    [
        ("find_sign_in", f" {OURS.word.upper()}@example.com", "%@example.com"),
        ("find_session", b"\1" * 32, b"\1" * 31),
        ("find_api_key", b"\1" * 32, b""),
    ],
)
@pytest.mark.requirement("bots.tables.sessions")
def test_who_signs_in_is_found_by_exactly_what_they_know(
    database: Prepared, function: str, ours: object, wrong: object
) -> None:
    with acting(database.app_url, None) as nobody:
        assert len(nobody.execute(f"SELECT * FROM {function}(%s)", (ours,)).fetchall()) == 1
        assert nobody.execute(f"SELECT * FROM {function}(%s)", (wrong,)).fetchall() == []
    with acting(database.readonly_url, None) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(f"SELECT * FROM {function}(%s)", (ours,))


@pytest.mark.parametrize(
    ("login", "table", "column"),
    [
        ("app_url", "users", "password_hash"),
        ("app_url", "sessions", "token_hash"),
        ("app_url", "api_keys", "key_hash"),
        ("readonly_url", "users", "password_hash"),
        ("readonly_url", "sessions", "token_hash"),
        ("readonly_url", "api_keys", "key_hash"),
        ("readonly_url", "credentials", "secret"),
    ],
)
@pytest.mark.requirement("bots.security.least-privilege")
def test_hashes_are_read_by_nobody_and_secrets_by_no_report(
    database: Prepared, login: str, table: str, column: str
) -> None:
    with acting(getattr(database, login), OURS) as us, pytest.raises(psycopg.errors.InsufficientPrivilege):
        us.execute(f"SELECT {column} FROM {table}")


def test_the_owner_has_no_bypassrls_and_still_reaches_all_to_migrate_and_seed(database: Prepared) -> None:
    with psycopg.connect(database.owner_url) as owner:
        assert owner.execute("SELECT rolbypassrls, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (
            False,
            False,
        )
        assert owner.execute("SELECT count(*) FROM bots").fetchone() == (4,)
