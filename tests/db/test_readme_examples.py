"""The examples of db/README.md, run from top to bottom as the application's login, directly and through the pooler."""

import base64
import re
from pathlib import Path

import psycopg
import pytest

from tests.db.conftest import Prepared

README = Path(__file__).parents[2] / "db" / "README.md"
BLOCKS = re.findall(r"^```(sql|python)\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.usefixtures("clean")
def test_every_example_of_the_readme_works_as_it_stands(
    library: Prepared, route: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", route)
    monkeypatch.setenv("DB_CURSOR_KEY", "k" * 32)
    monkeypatch.setenv("DB_ENCRYPTION_KEYS", f"2026:{base64.b64encode(b'k' * 32).decode()}")
    with library.admin() as admin:
        admin.execute("DROP TABLE IF EXISTS maps.recipes")
    namespace: dict[str, object] = {"__name__": "example"}
    for language, block in BLOCKS:
        if language == "sql":
            with psycopg.connect(library.owner_url) as owner:
                owner.execute(block)
        else:
            exec(compile(block, str(README), "exec"), namespace)  # noqa: S102

    assert len(BLOCKS) >= 12
    said = capsys.readouterr().out
    assert "the session has no tenant: use `with tenant(session, organization_id):` around this" in said
    assert "not migrated" in said
