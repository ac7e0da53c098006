"""What db.apps.bots.queries gives an application, by its own login, directly and through a transaction pooler."""

from __future__ import annotations

import datetime
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any

import pytest
import tenacity
from sqlalchemy import Engine, func, inspect, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db import engine
from db.apps.bots import documents, enums
from db.apps.bots.models import (
    ApiKey,
    Base,
    Bot,
    BotRun,
    Credential,
    Organization,
    OrganizationMember,
    Role,
    Setting,
    Task,
    User,
)
from db.apps.bots.queries import accounts, bots, credentials, work
from db.encryption import Keyring, place
from db.errors import (
    DecryptionError,
    DocumentError,
    EncryptionError,
    PageError,
    SearchError,
    SoftDeleteError,
    TenancyError,
    UnknownKeyError,
)
from db.tenancy import tenant
from db.urls import DatabaseURL
from tests.db.bots_world import OURS, SYSTEM_ROLE, THEIRS, migrated
from tests.db.conftest import Prepare
from tests.db.test_transaction_pooler import pooler

ENUMS = [it for table in Base.metadata.sorted_tables for it in table.c if getattr(it.type, "enum_class", None)]
COOKIE = enums.CredentialType.COOKIE
TOMORROW = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)


@pytest.fixture(scope="module", params=["direct", "pooled"])
def source(
    prepare: Prepare, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    database = migrated(prepare)
    if request.param == "direct":
        yield engine.unpooled(DatabaseURL.parse(database.app_url))
        return
    with pooler(database, tmp_path_factory.mktemp("pooler"), size=2, login=database.access.application) as url:
        yield engine.unpooled(DatabaseURL.parse(url))


@pytest.fixture
def nobody(source: Engine) -> Iterator[Session]:
    """A session without a tenant, rolled back."""
    with Session(source) as session:
        yield session
        session.rollback()


@pytest.fixture
def us(nobody: Session) -> Iterator[Session]:
    """A session of our organization and user, rolled back."""
    with tenant(nobody, OURS.organization, OURS.user):
        yield nobody


@pytest.fixture
def keyring() -> Keyring:
    return Keyring({"k1": os.urandom(32)})


def new_bot(**values: Any) -> Bot:
    return Bot(**{"name": "New", "slug": "new", "config": documents.BotConfig(), **values})


@pytest.mark.requirement("bots.patterns.create-with-run", "bots.P0.transactions", "bots.stories.transactions")
def test_a_bot_and_its_first_run_are_made_together(us: Session) -> None:
    bot, run = bots.create_bot_with_initial_run(us, new_bot(), BotRun(input={"page": 1}))

    assert (bot.organization_id, bot.created_by_id, bot.is_active) == (OURS.organization, OURS.user, True)
    assert (run.bot_id, run.status, run.input, run.created_by_id) == (
        bot.id, enums.RunStatus.QUEUED, {"page": 1}, OURS.user,
    )  # fmt: skip
    assert run.bot is bot


@pytest.mark.requirement("bots.patterns.create-with-run", "bots.P0.transactions", "bots.stories.transactions")
def test_where_the_run_is_refused_there_is_no_bot_either(us: Session) -> None:
    with pytest.raises(IntegrityError, match="ck_bot_runs_attempt"):
        bots.create_bot_with_initial_run(us, new_bot(), BotRun(attempt=0))

    assert us.scalar(select(func.count()).select_from(Bot)) == 2


@pytest.mark.requirement("bots.patterns.get-with-runs", "bots.relations.created_by", "bots.layout.queries")
def test_a_bot_comes_with_its_ten_newest_runs_and_its_author(us: Session) -> None:
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    us.add_all(
        BotRun(
            organization_id=OURS.organization, bot_id=OURS.other_bot, started_at=start + datetime.timedelta(hours=hour)
        )
        for hour in range(12)
    )
    us.flush()

    found = bots.get_bot_with_runs(us, OURS.other_bot)

    assert found is not None
    assert [it.started_at.hour for it in found.runs if it.started_at] == list(range(11, 1, -1))
    author = found.bot.created_by
    assert (author.id, author.name, author.email) == (OURS.user, "Ms pelican", "pelican@example.com")
    assert {"status", "created_at", "password_hash"} <= inspect(author).unloaded
    assert bots.get_bot_with_runs(us, THEIRS.bot) is None


@pytest.mark.requirement("bots.patterns.get-with-runs")
def test_a_bot_whose_author_has_left_comes_without_a_name(us: Session) -> None:
    us.execute(update(OrganizationMember).values({OrganizationMember.deleted_at: func.now()}))
    us.execute(select(func.set_config("app.user_id", "", True)))  # nobody: one sees oneself anyway

    found = bots.get_bot_with_runs(us, OURS.bot)

    assert found is not None
    assert found.bot.created_by_id == OURS.user
    assert found.bot.created_by is None


@pytest.mark.requirement("bots.patterns.soft-delete", "bots.P1.soft-deletes")
def test_a_deleted_bot_is_gone_from_queries_and_its_slug_is_free(us: Session) -> None:
    deleted = bots.soft_delete_bot(us, OURS.bot)

    assert deleted is not None
    assert deleted.deleted_at is not None
    assert bots.get_bot_with_runs(us, OURS.bot) is None
    assert bots.soft_delete_bot(us, OURS.bot) is None
    replacement, _ = bots.create_bot_with_initial_run(us, new_bot(slug="counter"))
    with pytest.raises(SoftDeleteError, match="bots_slug_idx"):
        bots.restore_bot(us, OURS.bot)
    bots.soft_delete_bot(us, replacement.id)
    restored = bots.restore_bot(us, OURS.bot)
    assert restored is not None
    assert (restored.deleted_at, restored.deleted_by_id) == (None, None)
    assert bots.restore_bot(us, uuid.uuid4()) is None


@pytest.mark.requirement("bots.P1.full-text-search")
def test_search_gives_bots_best_first(us: Session) -> None:
    assert [it.slug for it in bots.search_bots(us, "feeder or counter")] == ["counter", "feeder"]
    assert bots.search_bots(us, "walrus") == []


@pytest.mark.parametrize(
    ("words", "most", "error", "said"),
    [
        ("x", 0, PageError, "most is 0: give 1 to 1000 bots"),
        ("x", 10**6, PageError, "most is 1000000: give 1 to 1000 bots"),
        ("x\0", 20, SearchError, "the search text holds a NUL byte"),
        ("walrus " * 300_000, 20, SearchError, "the search text has 2100000 characters: search for 1000 at most"),
    ],
)
@pytest.mark.requirement("bots.P1.full-text-search")
def test_a_search_that_cannot_be_is_an_error_that_does_not_repeat_it(
    us: Session, words: str, most: int, error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as failure:
        bots.search_bots(us, words, most=most)

    assert str(failure.value) == said


@pytest.mark.requirement("bots.P2.row-level-security", "bots.P0.crud", "bots.problem.patterns")
@pytest.mark.parametrize("query", [bots.get_bot_with_runs, bots.soft_delete_bot])
def test_without_a_tenant_a_query_is_an_error_and_not_emptiness(nobody: Session, query: object) -> None:
    with pytest.raises(TenancyError):
        query(nobody, OURS.bot)  # type: ignore[operator]


@pytest.mark.requirement("bots.P1.json-columns", "bots.goals.type-safe-queries", "bots.columns.config",
                         "bots.dependencies.validation")  # fmt: skip
def test_a_config_is_a_model_whose_changes_are_written_and_whose_errors_are_named(us: Session) -> None:
    bot = us.get_one(Bot, OURS.bot)
    bot.config.viewport.width = 1920
    bot.config.steps.append(documents.Step(action="open", target="https://example.com"))
    us.flush()
    us.expire_all()

    again = us.get_one(Bot, OURS.bot).config
    assert (again.viewport.width, again.steps[0].action) == (1920, "open")
    with pytest.raises(DocumentError, match=r"bots\.bots\.config .*timezone"):
        new_bot(config={"timezone": "Mars/Olympus"})
    with pytest.raises(DocumentError, match="NUL"):
        us.execute(update(Bot).values({Bot.config: documents.BotConfig(start_url="a\0b")}))


@pytest.mark.requirement("bots.P1.json-columns")
def test_a_step_that_was_put_in_as_a_mapping_is_written(us: Session) -> None:
    us.get_one(Bot, OURS.bot).config.steps.append({"action": "open"})  # type: ignore[arg-type]
    us.flush()
    us.expire_all()

    assert us.get_one(Bot, OURS.bot).config.steps[-1] == documents.Step(action="open")


@pytest.mark.requirement("bots.P1.json-columns")
def test_json_of_any_shape_is_tracked_and_what_cannot_be_stored_is_named(us: Session) -> None:
    us.get_one(BotRun, OURS.run).input["b"] = [3]
    us.flush()
    us.expire_all()

    run = us.get_one(BotRun, OURS.run)
    assert run.input["b"] == [3]
    run.input["b"].append("se\0cret")
    with pytest.raises(DocumentError, match=r"^bots\.bot_runs\.input field b\.1: a text cannot hold a NUL byte$"):
        us.flush()
    us.rollback()
    us.add(Setting(organization_id=OURS.organization, key="k", value="se\0cret"))
    with pytest.raises(DocumentError, match=r"^bots\.settings\.value a text cannot hold a NUL byte$"):
        us.flush()


@pytest.mark.parametrize("column", ENUMS, ids=str)
@pytest.mark.requirement("bots.P1.enums")
def test_each_enum_column_speaks_python(column: object) -> None:
    kind = column.type.enum_class  # type: ignore[attr-defined]

    assert issubclass(kind, StrEnum)
    assert [it.value for it in kind] == column.type.enums  # type: ignore[attr-defined]


@pytest.mark.requirement("bots.P1.enums")
def test_enums_are_read_as_members_and_sort_by_their_order(us: Session) -> None:
    task = us.get_one(Task, OURS.task)
    assert task.priority is enums.TaskPriority.NORMAL
    task.priority = enums.TaskPriority.URGENT
    us.flush()

    assert us.scalars(select(Task).where(Task.priority > enums.TaskPriority.HIGH)).all() == [task]


@pytest.mark.requirement("bots.tables.users", "bots.tables.organizations", "bots.tables.organization_members")
def test_somebody_signs_up_founds_an_organization_and_works_in_it(nobody: Session) -> None:
    user = accounts.sign_up(nobody, email="Ann@example.com", name="Ann", password_hash="scrypt...")
    organization = accounts.found_organization(nobody, user_id=user, role_id=SYSTEM_ROLE, name="Ann's", slug="anns")

    assert [it.id for it in accounts.organizations_of(nobody, user)] == [organization]
    with tenant(nobody, organization, user):
        member = nobody.scalars(select(OrganizationMember)).one()
        assert (member.user.email, member.role.name, member.organization.slug) == ("Ann@example.com", "owner", "anns")
        assert [it.key for it in member.role.permissions] == ["bots:run"]
        bots.create_bot_with_initial_run(nobody, new_bot())
        nobody.add(Role(organization_id=organization, name="Helper"))
    assert accounts.organizations_of(nobody, OURS.user)[0].id == OURS.organization


@pytest.mark.requirement("bots.tables.users")
def test_a_password_is_checked_replaced_and_never_read(nobody: Session) -> None:
    found = accounts.find_sign_in(nobody, "PELICAN@example.com")
    assert found == accounts.SignIn(OURS.user, "hash pelican", enums.UserStatus.ACTIVE)
    accounts.set_password(nobody, OURS.user, "another")

    changed = accounts.find_sign_in(nobody, "pelican@example.com")
    assert changed is not None
    assert changed.password_hash == "another"
    assert accounts.find_sign_in(nobody, "nobody@example.com") is None
    with accounts.signed_in(nobody, OURS.user):
        user = nobody.get_one(User, OURS.user)
        nobody.expire_all()
        assert user.name == "Ms pelican"
        with pytest.raises(Exception, match="raiseload"):
            _ = user.password_hash


@pytest.mark.requirement("bots.tables.sessions")
def test_a_session_is_found_by_its_token_until_it_is_closed_or_expires(nobody: Session) -> None:
    accounts.open_session(
        nobody, user_id=OURS.user, token="secret", expires_at=TOMORROW, organization_id=OURS.organization,
        ip_address="2001:db8::1",
    )  # fmt: skip
    yesterday = TOMORROW - datetime.timedelta(days=2)
    accounts.open_session(nobody, user_id=OURS.user, token="old", expires_at=yesterday)

    found = accounts.find_session(nobody, "secret")
    assert found is not None
    assert (found.user_id, found.organization_id) == (OURS.user, OURS.organization)
    assert accounts.find_session(nobody, "old") is None
    assert accounts.find_session(nobody, "wrong") is None
    accounts.close_session(nobody, found)
    assert accounts.find_session(nobody, "secret") is None


@pytest.mark.requirement("bots.tables.users", "bots.tables.sessions")
def test_an_account_that_is_refused_says_by_which_rule_and_the_transaction_can_go_on(nobody: Session) -> None:
    with pytest.raises(IntegrityError, match="uq_users_email"), nobody.begin_nested():
        accounts.sign_up(nobody, email="PELICAN@example.com", name="Ann", password_hash=None)
    with pytest.raises(IntegrityError, match="fk_sessions_organization_id"), nobody.begin_nested():
        accounts.open_session(
            nobody, user_id=OURS.user, token="x", expires_at=TOMORROW, organization_id=THEIRS.organization
        )

    assert accounts.organizations_of(nobody, OURS.user)[0].id == OURS.organization
    assert nobody.scalar(select(func.count()).select_from(User)) == 0


LEFT = {
    "left": update(OrganizationMember).values({OrganizationMember.deleted_at: func.now()}),
    "suspended": update(OrganizationMember).values({OrganizationMember.status: enums.MemberStatus.SUSPENDED}),
    "invited": update(OrganizationMember).values({OrganizationMember.status: enums.MemberStatus.INVITED}),
    "closed": update(Organization).values({Organization.deleted_at: func.now()}),
}


@pytest.mark.parametrize("how", LEFT)
@pytest.mark.requirement("bots.tables.sessions", "bots.P2.row-level-security")
def test_a_session_leads_into_no_organization_that_its_user_is_out_of(nobody: Session, how: str) -> None:
    accounts.open_session(
        nobody, user_id=OURS.user, token="secret", expires_at=TOMORROW, organization_id=OURS.organization
    )
    with tenant(nobody, OURS.organization):
        nobody.execute(LEFT[how])

    found = accounts.find_session(nobody, "secret")

    assert found is not None
    assert (found.user_id, found.organization_id) == (OURS.user, None)
    assert len(accounts.organizations_of(nobody, OURS.user)) == (1 if how == "invited" else 0)


@pytest.mark.requirement("bots.tables.api_keys")
def test_a_key_opens_its_organization_until_it_is_revoked(nobody: Session) -> None:
    with tenant(nobody, OURS.organization, OURS.user):
        key = accounts.add_api_key(nobody, name="CI", key="bots_live_123456", scopes=["bots:run"])
    found = accounts.find_api_key(nobody, "bots_live_123456")
    assert found == accounts.Key(key, OURS.organization, OURS.user, ("bots:run",))
    with tenant(nobody, OURS.organization, OURS.user):
        nobody.execute(update(ApiKey).values({ApiKey.revoked_at: func.now()}))

    assert accounts.find_api_key(nobody, "bots_live_123456") is None


@pytest.mark.requirement("bots.tables.credentials", "bots.security.encryption-at-rest")
def test_a_secret_is_stored_encrypted_and_read_back(us: Session, keyring: Keyring) -> None:
    made = credentials.add_credential(
        us, keyring, name="Shop", type=enums.CredentialType.PASSWORD, secret="hunter2 ü",
        details=documents.CredentialDetails(username="ann"),
    )  # fmt: skip

    stored = us.scalar(select(Credential.secret).where(Credential.id == made.id))
    assert stored is not None
    assert b"hunter2" not in bytes(stored)
    assert credentials.read_secret(us, keyring, "Shop") == "hunter2 ü"
    us.refresh(made)
    assert made.last_used_at is not None
    assert credentials.read_secret(us, keyring, "No such") is None


def test_a_secret_that_is_no_text_is_named_without_being_shown(us: Session, keyring: Keyring) -> None:
    kept = credentials.add_credential(us, keyring, name="Shop", type=COOKIE, secret="old")
    for write in (
        lambda: credentials.add_credential(us, keyring, name="New", type=COOKIE, secret="hunter2 \ud800"),
        lambda: credentials.replace_secret(us, keyring, kept, "hunter2 \ud800"),
    ):
        with pytest.raises(EncryptionError, match=r"^the secret holds half of a surrogate pair: it has to be text$"):
            write()
    assert credentials.read_secret(us, keyring, "Shop") == "old"


@pytest.mark.requirement("bots.security.encryption-at-rest")
def test_a_secret_in_another_row_or_under_another_key_is_an_error(us: Session, keyring: Keyring) -> None:
    first = credentials.add_credential(us, keyring, name="A", type=enums.CredentialType.COOKIE, secret="a")
    other = credentials.add_credential(us, keyring, name="B", type=enums.CredentialType.COOKIE, secret="b")
    other.secret = first.secret
    us.flush()

    with pytest.raises(DecryptionError):
        credentials.read_secret(us, keyring, "B")
    with pytest.raises(UnknownKeyError, match="k1"):
        credentials.read_secret(us, Keyring({"k9": os.urandom(32)}), "A")
    assert keyring.decrypt(first.secret, place("credentials", "secret", OURS.organization, first.id)) == b"a"


@pytest.mark.requirement("bots.security.encryption-at-rest")
def test_keys_are_rotated_a_part_at_a_time_until_none_is_left(us: Session) -> None:
    old, new = os.urandom(32), os.urandom(32)
    for name in "abc":
        credentials.add_credential(us, Keyring({"old": old}), name=name, type=enums.CredentialType.COOKIE, secret=name)
    soft = us.scalars(select(Credential).where(Credential.name == "c")).one()
    soft.deleted_at = func.now()  # its secret must survive a restore
    credentials.replace_secret(us, Keyring({"old": old}), us.get_one(Credential, OURS.credential), "ours")
    both = Keyring({"new": new, "old": old})

    counts = [credentials.rotate_secrets(us, both, most=3) for _ in range(3)]

    assert counts == [3, 1, 0]
    assert credentials.read_secret(us, Keyring({"new": new}), "a") == "a"


@pytest.mark.requirement("bots.security.encryption-at-rest")
def test_a_secret_that_cannot_be_decrypted_is_named_after_all_others_are_rotated(us: Session) -> None:
    old, new = os.urandom(32), os.urandom(32)
    credentials.replace_secret(us, Keyring({"lost": old}), us.get_one(Credential, OURS.credential), "gone")
    moved = credentials.add_credential(us, Keyring({"old": old}), name="moved", type=COOKIE, secret="a")
    for name in "ab":
        credentials.add_credential(us, Keyring({"old": old}), name=name, type=COOKIE, secret=name)
    moved.secret = us.scalars(select(Credential.secret).where(Credential.name == "a")).one()
    us.flush()
    both = Keyring({"new": new, "old": old})

    assert [credentials.rotate_secrets(us, both, most=1) for _ in range(2)] == [1, 1]
    with pytest.raises(DecryptionError) as failure:
        credentials.rotate_secrets(us, both)

    said, ids = str(failure.value).split(": ")
    assert said == "2 secrets cannot be decrypted and keep their key, those of the credentials"
    assert set(ids.split(", ")) == {str(OURS.credential), str(moved.id)}
    assert [credentials.read_secret(us, Keyring({"new": new}), name) for name in "ab"] == ["a", "b"]


@pytest.mark.requirement("bots.security.encryption-at-rest")
def test_a_rotation_does_not_undo_a_secret_that_is_replaced_meanwhile(source: Engine) -> None:
    old, new = os.urandom(32), os.urandom(32)
    ring, both = Keyring({"old": old}), Keyring({"new": new, "old": old})

    def rotate() -> int:
        with Session(source) as session, tenant(session, THEIRS.organization):
            rotated = credentials.rotate_secrets(session, both)
            session.commit()
            return rotated

    with Session(source) as session, tenant(session, THEIRS.organization, THEIRS.user):
        credentials.replace_secret(session, ring, session.get_one(Credential, THEIRS.credential), "first")
        session.commit()
    with ThreadPoolExecutor(1) as pool, Session(source) as session:
        with tenant(session, THEIRS.organization, THEIRS.user):
            credentials.replace_secret(session, ring, session.get_one(Credential, THEIRS.credential), "second")
            rotation = pool.submit(rotate)
            for attempt in tenacity.Retrying(wait=tenacity.wait_fixed(0.02), stop=tenacity.stop_after_delay(20)):
                with attempt:
                    assert session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            session.commit()
        assert rotation.result() == 1
        with tenant(session, THEIRS.organization, THEIRS.user):
            assert credentials.read_secret(session, both, "walrus") == "second"


@pytest.mark.requirement("bots.P2.stored-procedures")
def test_a_worker_goes_where_work_is_claims_holds_and_ends_it(nobody: Session) -> None:
    with tenant(nobody, OURS.organization):
        bot, _ = bots.create_bot_with_initial_run(
            nobody, new_bot(created_by_id=OURS.user, next_run_at=TOMORROW - datetime.timedelta(days=2))
        )
    assert list(work.organizations_with_work(nobody)) == [OURS.organization]
    with tenant(nobody, OURS.organization):
        run = work.claim_due_bot(nobody, "worker 1")
        assert run is not None
        assert (run.bot_id, run.status, run.trigger) == (bot.id, enums.RunStatus.RUNNING, enums.RunTrigger.SCHEDULE)
        assert work.claim_due_bot(nobody, "worker 1") is None
        assert work.keep_run(nobody, run.id, lease=datetime.timedelta(seconds=-1))
        assert work.expire_runs(nobody) == 1
        assert not work.keep_run(nobody, run.id)
        assert not work.finish_run(nobody, run.id, enums.RunStatus.SUCCEEDED)

        second = bots.create_bot_with_initial_run(nobody, new_bot(slug="b", created_by_id=OURS.user))[1]
        second.status = enums.RunStatus.RUNNING
        nobody.flush()
        assert work.finish_run(nobody, second.id, enums.RunStatus.FAILED, output={"rows": 3}, error_message="no")
        nobody.refresh(second)
        assert (second.status, second.output, second.error_message) == (enums.RunStatus.FAILED, {"rows": 3}, "no")
        assert second.finished_at is not None
    with pytest.raises(TenancyError):
        work.claim_due_bot(nobody, "worker 1")


@pytest.mark.requirement("bots.P0.relationships", "bots.relations.organization", "bots.relations.runs")
def test_relations_load_both_ways(us: Session) -> None:
    bot = us.get_one(Bot, OURS.bot)

    assert [run.id for run in bot.runs] == [OURS.run]
    assert bot.runs[0].bot is bot
    assert [it.id for it in bot.runs[0].recordings] == [OURS.recording]
    assert bot.organization.slug == "pelican"
    assert us.get_one(Organization, OURS.organization).members[0].user.id == OURS.user
    credential = us.get_one(Credential, OURS.credential)
    assert credential.bot is bot
