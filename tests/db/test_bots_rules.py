"""What the database of bots does by itself: stamps, life of runs, schedules, limits of values, deletion."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from tests.db.bots_world import OURS, SYSTEM_ROLE, acting, add_bot, migrated, one
from tests.db.conftest import Connection, Prepare, Prepared

ENTITIES = {
    "organizations": "organization",
    "organization_members": "member",
    "roles": "role",
    "api_keys": "api_key",
    "settings": "setting",
    "bots": "bot",
    "credentials": "credential",
    "session_recordings": "recording",
    "workflows": "workflow",
    "tasks": "task",
    "notifications": "notification",
    "users": "user",
}
CHANGE = {
    "organizations": "billing_email = 'x'",
    "organization_members": "joined_at = now()",
    "roles": "description = 'x'",
    "api_keys": "revoked_at = now()",
    "settings": "key = 'x'",
    "bots": "description = 'x'",
    "credentials": "name = 'x'",
    "session_recordings": "page_url = 'x'",
    "workflows": "description = 'x'",
    "tasks": "description = 'x'",
    "notifications": "read_at = now()",
    "users": "name = 'x'",
}
LONG_AGO = "'2001-01-01Z'"
ACTIVITY = "INSERT INTO activity_logs (organization_id, action, entity_type{}) VALUES (%s, 'ran', 'bots'{})"


@pytest.fixture(scope="module")
def database(prepare: Prepare) -> Prepared:
    return migrated(prepare)


@pytest.fixture
def us(database: Prepared) -> Iterator[Connection]:
    with acting(database.app_url, OURS) as connection:
        yield connection


@pytest.fixture
def owner(database: Prepared) -> Iterator[Connection]:
    with psycopg.connect(database.owner_url) as connection:
        yield connection
        connection.rollback()


@pytest.mark.parametrize("table", ENTITIES)
@pytest.mark.requirement("bots.P1.audit-columns")
def test_an_update_is_stamped_with_time_and_user(us: Connection, table: str) -> None:
    changed = one(
        us,
        f"UPDATE {table} SET {CHANGE[table]} WHERE id = %s RETURNING updated_at = now(), updated_by_id",
        getattr(OURS, ENTITIES[table]),
    )

    assert changed == (True, OURS.user)


@pytest.mark.parametrize("table", ENTITIES)
@pytest.mark.requirement("bots.P1.audit-columns")
def test_the_creation_of_a_row_cannot_be_changed_afterwards(us: Connection, table: str) -> None:
    where = getattr(OURS, ENTITIES[table])
    before = one(us, f"SELECT created_at, created_by_id FROM {table} WHERE id = %s", where)

    after = one(
        us,
        f"UPDATE {table} SET {CHANGE[table]}, created_at = {LONG_AGO}, created_by_id = NULL, updated_at = {LONG_AGO},"
        " updated_by_id = NULL WHERE id = %s RETURNING created_at, created_by_id, updated_at = now(), updated_by_id",
        where,
    )

    assert after == (*before, True, OURS.user)  # type: ignore[misc]


@pytest.mark.parametrize("table", ENTITIES)
@pytest.mark.requirement("bots.P1.soft-deletes")
def test_a_deletion_has_the_servers_time_and_its_user_and_can_be_undone(us: Connection, table: str) -> None:
    where = getattr(OURS, ENTITIES[table])

    deleted = one(
        us,
        f"UPDATE {table} SET deleted_at = {LONG_AGO} WHERE id = %s RETURNING deleted_at = now(), deleted_by_id",
        where,
    )
    again = one(us, f"UPDATE {table} SET deleted_at = {LONG_AGO} WHERE id = %s RETURNING deleted_at = now()", where)
    undone = "deleted_at = NULL"
    if table == "organization_members":  # who left is invited again, by somebody else
        us.execute("SELECT set_config('app.user_id', '', true)")
        undone += ", status = 'invited'"
    restored = one(us, f"UPDATE {table} SET {undone} WHERE id = %s RETURNING deleted_at, deleted_by_id", where)

    assert (deleted, again, restored) == ((True, OURS.user), True, (None, None))


@pytest.mark.parametrize("table", [*ENTITIES, "bot_runs", "workflow_runs", "bot_logs", "activity_logs", "permissions"])
@pytest.mark.requirement("bots.P1.soft-deletes", "bots.security.least-privilege")
def test_the_application_deletes_no_row_for_good(us: Connection, table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        us.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize("statement", ["UPDATE bot_logs SET message = 'x'", "UPDATE activity_logs SET action = 'ran'"])
@pytest.mark.requirement("bots.tables.activity_logs")
def test_a_log_is_never_changed(us: Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        us.execute(statement)


@pytest.mark.requirement("bots.tables.activity_logs")
def test_the_audit_trail_names_who_is_signed_in_and_when(us: Connection) -> None:
    made = one(us, ACTIVITY.format("", "") + " RETURNING actor_id, created_at = now()", OURS.organization)

    assert made == (OURS.user, True)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor_id", "NULL"),
        ("created_at", "now() - interval '1 minute'"),
        ("created_at", "now() + interval '1 minute'"),
    ],
)
@pytest.mark.requirement("bots.tables.activity_logs")
def test_the_audit_trail_takes_no_other_name_or_time(us: Connection, column: str, value: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="violates row-level security policy"):
        us.execute(ACTIVITY.format(f", {column}", f", {value}"), (OURS.organization,))


@pytest.mark.requirement("bots.P1.audit-columns")
def test_an_insert_is_the_applications_now_and_the_signed_in_users(us: Connection) -> None:
    bot = add_bot(us, created_at="2001-01-01Z", updated_at="2001-01-01Z", created_by_id=uuid.uuid4())

    stamped = one(
        us, "SELECT created_at = now(), updated_at = now(), created_by_id, updated_by_id FROM bots WHERE id = %s", bot
    )
    assert stamped == (True, True, OURS.user, OURS.user)


@pytest.mark.requirement("bots.P1.audit-columns")
def test_a_job_without_a_user_names_the_author_itself(database: Prepared) -> None:
    with acting(database.app_url, OURS, user=False) as job:
        bot = add_bot(job, created_by_id=OURS.user)

        assert one(job, "SELECT created_by_id FROM bots WHERE id = %s", bot) == OURS.user
        changed = one(job, "UPDATE bots SET name = 'x' WHERE id = %s RETURNING updated_by_id", bot)
        assert changed is None


@pytest.mark.requirement("bots.P1.audit-columns")
def test_the_owner_may_import_rows_with_their_times(owner: Connection) -> None:
    stamped = one(
        owner,
        "INSERT INTO bots (organization_id, created_by_id, name, slug, config, created_at) VALUES"
        f" (%s, %s, 'x', 'x', '{{}}', {LONG_AGO}) RETURNING created_at = {LONG_AGO}",
        OURS.organization,
        OURS.user,
    )

    assert stamped is True


@pytest.mark.requirement("bots.P1.audit-columns")
def test_mere_use_is_no_change(us: Connection) -> None:
    before = one(us, "SELECT updated_at, updated_by_id FROM bots WHERE id = %s", OURS.bot)
    after = one(us, "UPDATE bots SET last_run_at = now() WHERE id = %s RETURNING updated_at, updated_by_id", OURS.bot)

    assert after == before


@pytest.mark.parametrize("table", ["sessions", "bot_runs", "workflow_runs"])
@pytest.mark.requirement("bots.P1.audit-columns")
def test_runs_and_sessions_are_stamped_too(us: Connection, table: str) -> None:
    column = "user_agent" if table == "sessions" else "error_message"

    changed = one(
        us,
        f"UPDATE {table} SET {column} = 'x', created_at = {LONG_AGO}, updated_at = {LONG_AGO}"
        " RETURNING updated_at = now(), created_at > '2020-01-01'",
    )

    assert changed == (True, True)


@pytest.mark.parametrize("table", [table for table in ENTITIES if table not in {"users", "organizations"}])
def test_a_row_keeps_its_id_and_organization_even_for_the_owner(owner: Connection, table: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=f"a row of {table} keeps its id and its organization"):
        owner.execute(f"UPDATE {table} SET id = gen_random_uuid() WHERE id = %s", (getattr(OURS, ENTITIES[table]),))


@pytest.mark.parametrize("table", ["bot_runs", "workflow_runs"])
def test_a_run_keeps_its_id_and_organization(owner: Connection, table: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="keeps its id and its organization"):
        owner.execute(f"UPDATE {table} SET organization_id = gen_random_uuid()")


@pytest.mark.requirement("bots.indexes.bots_slug_idx", "bots.corrections.slug", "bots.P1.soft-deletes")
def test_a_slug_is_unique_among_live_bots_and_free_again_after_deletion(us: Connection) -> None:
    us.execute("SAVEPOINT first")
    with pytest.raises(psycopg.errors.UniqueViolation, match="bots_slug_idx"):
        add_bot(us, slug="counter")
    us.execute("ROLLBACK TO first")
    us.execute("UPDATE bots SET deleted_at = now() WHERE slug = 'counter'")

    add_bot(us, slug="counter")

    with pytest.raises(psycopg.errors.UniqueViolation, match="bots_slug_idx"):
        us.execute("UPDATE bots SET deleted_at = NULL WHERE id = %s", (OURS.bot,))


@pytest.mark.requirement("bots.indexes.bots_active_idx", "bots.corrections.null")
def test_equal_to_null_matches_no_row_so_the_documents_index_would_be_empty(us: Connection) -> None:
    counts = one(
        us,
        "SELECT count(*) FILTER (WHERE deleted_at = NULL), count(*) FILTER (WHERE deleted_at IS NULL) FROM bots",
    )

    assert counts == (0, 2)


@pytest.mark.requirement("bots.tables.settings")
def test_a_setting_is_one_an_organization_or_member_and_key(us: Connection) -> None:
    insert = "INSERT INTO settings (organization_id, user_id, key, value) VALUES (%s, %s, 'colour', '1')"
    us.execute(insert, (OURS.organization, OURS.user))
    with pytest.raises(psycopg.errors.UniqueViolation, match="uq_settings_key"):  # though user_id is NULL in both
        us.execute(insert, (OURS.organization, None))


@pytest.mark.requirement("bots.tables.roles")
def test_a_member_has_a_system_role_or_one_of_the_organizations_own(us: Connection) -> None:
    change = "UPDATE organization_members SET role_id = %s, role_is_system = %s WHERE id = %s"
    us.execute(change, (OURS.role, False, OURS.member))
    us.execute(change, (SYSTEM_ROLE, True, OURS.member))
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="fk_organization_members_role_id"):
        us.execute(change, (OURS.role, True, OURS.member))


@pytest.mark.requirement("bots.tables.roles")
def test_the_application_reads_system_roles_and_cannot_change_or_make_them(us: Connection) -> None:
    assert one(us, "SELECT name FROM roles WHERE id = %s", SYSTEM_ROLE) == "owner"
    assert us.execute("UPDATE roles SET name = 'mine' WHERE id = %s", (SYSTEM_ROLE,)).rowcount == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="violates row-level security policy"):
        us.execute("INSERT INTO roles (name) VALUES ('for all')")


@pytest.mark.requirement("bots.tables.permissions")
def test_the_application_cannot_invent_a_permission(us: Connection) -> None:
    assert one(us, "SELECT count(*) FROM permissions") == 1
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        us.execute("INSERT INTO permissions (key, description) VALUES ('all:all', 'x')")


def test_no_organization_can_pose_as_the_scope_of_system_roles(owner: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="ck_organizations_id"):
        owner.execute("INSERT INTO organizations (id, name, slug) VALUES (%s, 'x', 'x')", (uuid.UUID(int=0),))


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        ("ck_users_email", "UPDATE users SET email = 'nobody'"),
        ("ck_users_name", "UPDATE users SET name = ''"),
        ("ck_organizations_name", "UPDATE organizations SET name = repeat('x', 201)"),
        ("ck_organizations_slug", "UPDATE organizations SET slug = 'Not a slug'"),
        ("ck_permissions_key", "UPDATE permissions SET key = 'Run'"),
        ("ck_roles_name", "UPDATE roles SET name = ''"),
        ("ck_sessions_token_hash", "UPDATE sessions SET token_hash = 'short'"),
        ("ck_api_keys_name", "UPDATE api_keys SET name = ''"),
        ("ck_api_keys_key_hash", "UPDATE api_keys SET key_hash = 'a key in clear'"),
        ("ck_settings_key", "UPDATE settings SET key = ''"),
        ("ck_bots_name", "UPDATE bots SET name = ''"),
        ("ck_bots_slug", "UPDATE bots SET slug = 'a--b'"),
        ("ck_bots_config", "UPDATE bots SET config = '[]'"),
        ("ck_bots_schedule", "INSERT INTO bots (organization_id, created_by_id, name, slug, config, schedule,"
         " next_run_at) SELECT organization_id, created_by_id, 'x', 'x', '{}', 'daily', now() FROM bots LIMIT 1"),
        ("ck_bot_runs_attempt", "UPDATE bot_runs SET attempt = 0"),
        ("ck_bot_runs_finished_at", "UPDATE bot_runs SET started_at = now(), finished_at = now() - interval '1 s'"),
        ("ck_credentials_name", "UPDATE credentials SET name = ''"),
        ("ck_credentials_secret", "UPDATE credentials SET secret = 'hunter2'"),
        ("ck_session_recordings_events", "UPDATE session_recordings SET events = '{}'"),
        ("ck_session_recordings_ended_at", "UPDATE session_recordings SET ended_at = started_at - interval '1 s'"),
        ("ck_workflows_name", "UPDATE workflows SET name = ''"),
        ("ck_workflows_slug", "UPDATE workflows SET slug = ''"),
        ("ck_workflows_definition", "UPDATE workflows SET definition = 'null'"),
        ("ck_workflow_runs_finished_at",
         "UPDATE workflow_runs SET started_at = now(), finished_at = now() - interval '1 s'"),
        ("ck_tasks_title", "UPDATE tasks SET title = ''"),
        ("ck_tasks_completed_at", "UPDATE tasks SET status = 'done'"),
        ("ck_notifications_title", "UPDATE notifications SET title = ''"),
        ("ck_bots_history_change", "INSERT INTO bots_history (id, valid_from, valid_to, change)"
         " VALUES (gen_random_uuid(), now(), now() + interval '1 s', 'x')"),
        ("ck_bots_history_valid_to", "INSERT INTO bots_history (id, valid_from, valid_to, change)"
         " VALUES (gen_random_uuid(), now(), now(), 'UPDATE')"),
    ],
)  # fmt: skip
@pytest.mark.requirement("bots.goals.data-integrity")
def test_a_value_out_of_its_limits_is_refused(owner: Connection, constraint: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=f'"{constraint}"'):
        owner.execute(statement)


@pytest.mark.parametrize(
    ("constraint", "statement"),
    [
        ("uq_users_email", "UPDATE users SET email = 'Same@example.com'"),
        ("uq_organizations_slug", "UPDATE organizations SET slug = 'same'"),
        ("uq_permissions_key", "INSERT INTO permissions (key, description) VALUES ('bots:run', 'again')"),
        ("uq_roles_name", "INSERT INTO roles (name) VALUES ('OWNER')"),
        ("uq_sessions_token_hash", "UPDATE sessions SET token_hash = repeat('x', 32)::bytea"),
        ("uq_api_keys_key_hash", "UPDATE api_keys SET key_hash = repeat('x', 32)::bytea"),
        ("uq_credentials_name", "INSERT INTO credentials (organization_id, name, type, secret)"
         " SELECT organization_id, name, type, secret FROM credentials"),
        ("uq_workflows_slug", "INSERT INTO workflows (organization_id, name, slug, definition)"
         " SELECT organization_id, name, slug, definition FROM workflows"),
        ("uq_organization_members_organization_id_user_id",
         "INSERT INTO organization_members (organization_id, user_id, role_id)"
         " SELECT organization_id, user_id, role_id FROM organization_members"),
    ],
)  # fmt: skip
@pytest.mark.requirement("bots.goals.data-integrity")
def test_what_must_be_unique_is(owner: Connection, constraint: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation, match=f'"{constraint}"'):
        owner.execute(statement)


@pytest.mark.requirement("bots.tables.session_recordings")
def test_a_recording_counts_its_events(us: Connection) -> None:
    counted = one(us, """UPDATE session_recordings SET events = '[{"type": 4}, {"type": 2}]' RETURNING event_count""")

    assert counted == 2
