"""The generated Drizzle definitions: current, typed, and the same as the database by drizzle-kit's own comparison."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from db import apps, drizzle, migrations
from db.migrations.revisions import HOME
from tests.db import node
from tests.db.catalogue import BOOKKEEPING
from tests.db.conftest import Prepare

# What drizzle-kit 0.31 cannot read back: defaults are compared as text, and the server writes these expressions in
# another way; of an index that has several expressions, or columns and expressions, it sees another one. Of bots only
# tables, columns and enums can be compared: keys of two columns are misread, partitions seen as tables, and row-level
# security is not what Drizzle's definitions say.
MISREAD = {
    "bots": [
        *("CONSTRAINT", "INDEX", "POLICY", "ROW LEVEL SECURITY", "bot_logs_20", "activity_logs_20"),
        '"api_keys" ALTER COLUMN "scopes" SET DEFAULT \'{}\'::text[]',
    ],
    "dovvybuddy": ['"sessions" ALTER COLUMN "expires_at" SET DEFAULT now() + interval'],
    "maps": ['"sessions" ALTER COLUMN "token" SET DEFAULT (gen_random_uuid())::text'],
    "panamia": [
        "ix_screenname_history_screenname",
        "ix_social_tags_hashtag",
        "uq_social_actors_handle",
        "uq_user_lists_name",
    ],
    "petsitting": ["fk_bookings_listing_id_sitter_id_listings"],  # a key of two columns
}
PARTITIONED = {"bots": ("activityLogs", "botLogs")}  # drizzle-kit sees partitions only, each as a table of its own


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return node.workplace(tmp_path_factory.mktemp("clients"))


@pytest.mark.parametrize("app", apps.names())
@pytest.mark.requirement("panamia.stack.schema-source")
def test_the_committed_file_is_what_the_models_say(app: str) -> None:
    assert (drizzle.FOLDER / f"{app}.ts").read_text() == drizzle.definitions(app), "run `make docs`"


@pytest.mark.parametrize("app", apps.names())
@pytest.mark.requirement("dovvybuddy.commands.push")
def test_the_file_stands_in_the_apps_schema_and_warns_of_push(app: str) -> None:
    text = drizzle.definitions(app)

    assert f'export const {app}Schema = pgSchema("{app}");' in text
    assert "NEVER run `drizzle-kit push` against this database" in text
    assert "pgTable" not in text


def test_no_file_is_left_of_an_app_that_is_gone() -> None:
    assert {path.stem for path in drizzle.FOLDER.glob("*.ts")} == set(apps.names())


def test_the_command_names_a_stale_file_and_mends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(drizzle, "HOME", tmp_path)
    monkeypatch.setattr(drizzle, "FOLDER", tmp_path / "docs/drizzle")
    monkeypatch.setattr(sys, "argv", ["drizzle"])
    drizzle.main()
    stale = tmp_path / "docs/drizzle/maps.ts"
    stale.write_text("edited")
    monkeypatch.setattr(sys, "argv", ["drizzle", "--check"])
    with pytest.raises(SystemExit, match=r"not what the models say: docs/drizzle/maps\.ts; run `make docs`"):
        drizzle.main()
    assert stale.read_text() == "edited"
    monkeypatch.setattr(sys, "argv", ["drizzle"])
    drizzle.main()
    assert stale.read_text() == drizzle.definitions("maps")


def test_the_command_runs_as_the_makefile_has_it() -> None:
    subprocess.run([sys.executable, "-m", "db.drizzle", "--check"], cwd=HOME, check=True)
    assert "-m db.drizzle" in (HOME / "Makefile").read_text()


@pytest.mark.requirement(
    "maps.typescript.types",
    "maps.quality.strict",
    "dovvybuddy.testing.types",
    "maps.typescript.exports",
    "maps.design.exports",
    "maps.design.inference",
    "maps.criteria.drizzle",
    "maps.testing.types",
    "maps.unit.types",
    "maps.challenges.exports",
    "maps.conventions.email-verified",
    "dovvybuddy.rows.types",
    "dovvybuddy.testing.tables",
    "dovvybuddy.checks.types",
    "dovvybuddy.done.types",
)
def test_typescript_takes_the_files_in_strict_mode_with_a_type_of_each_row(clients: Path) -> None:
    use = clients / "use.ts"
    use.write_text(
        'import type { NewSession, NewUser, Session, User } from "./maps";\n'
        'import type { DiveSite } from "./dovvybuddy";\n'
        'import type { User as Member } from "./panamia";\n'
        'export const user: NewUser = { id: "u", email: "u@example.com" };\n'
        'export const session: NewSession = { id: "s", userId: "u", expiresAt: new Date() };\n'
        "export const email = (it: User): string => it.email;\n"
        "export const end = (it: Session): Date => it.expiresAt;\n"
        "export const depth = (it: DiveSite): number | null => it.minLoggedDives;\n"
        "export const seen = (it: Member): Date => it.updatedAt;\n"
        "// @ts-expect-error a column that there is not\n"
        "export const wrong = (it: User) => it.surname;\n"
        "// @ts-expect-error a user needs an address\n"
        'export const without: NewUser = { id: "u" };\n'
    )
    [example] = re.findall(r"```ts\n(.*?)```", (drizzle.FOLDER / "README.md").read_text(), re.DOTALL)
    environment = "declare const process: { env: Record<string, string | undefined> };\n"
    (clients / "example.ts").write_text(environment + example)
    node.run(clients, "node_modules/.bin/tsc", "--project", "tsconfig.json")


@pytest.mark.parametrize("app", apps.names())
@pytest.mark.requirement(
    "dovvybuddy.risks.types",
    "panamia.stack.drizzle",
    "maps.unit.columns",
    "maps.unit.constraints",
    "maps.unit.foreign-key",
)
def test_drizzle_kit_finds_nothing_to_change_in_the_migrated_database(
    prepare: Prepare, clients: Path, app: str
) -> None:
    prepared = prepare(app)
    migrations.upgrade(app, prepared.owner_url, report=lambda _: None)

    command = ["node", "drizzlecheck.mjs", app, *PARTITIONED.get(app, ())]
    said = node.run(clients, *command, environment={"DATABASE_URL": prepared.owner_url})
    found = json.loads(said.splitlines()[-1])

    assert [line for line in found if not any(name in line for name in (*BOOKKEEPING, *MISREAD.get(app, ())))] == []
    # the bookkeeping of migrations has no model, so it would be dropped: one reason why nobody must push
    assert any(line.startswith("DROP TABLE") and "alembic_version" in line for line in found)
