"""An unchanged `pulumi up` compares checksums only; it must not pay for SQLAlchemy."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("sqlalchemy", "alembic", "psycopg", "pgvector", "tenacity", "pydantic")
LIGHT = "import db, db.apps, db.bootstrap, db.errors, db.migrations, db.seeds, db.urls"
CHECKOUT = Path(__file__).parents[3]


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, text=True, capture_output=True, check=True)
    return done.stdout.strip()


def test_what_a_preview_needs_loads_no_heavy_package() -> None:
    work = "[db.migrations.revisions(it) and db.seeds.checksums(it, ['base', 'demo']) for it in db.apps.names()]"

    assert run(f"import sys; {LIGHT}; {work}; print([it for it in {HEAVY!r} if it in sys.modules])") == "[]"


def test_a_heavy_import_would_be_seen() -> None:
    assert run(f"import sys; import db.engine; print([it for it in {HEAVY!r} if it in sys.modules])") != "[]"


UNUSED = ("pydantic", "cryptography", "greenlet", "sqlalchemy.ext.asyncio", "alembic", "pgvector")


def test_the_engine_loads_nothing_that_only_some_applications_use() -> None:
    assert run(f"import sys; import db.engine; print([it for it in {UNUSED!r} if it in sys.modules])") == "[]"


def test_importing_the_engine_takes_less_than_300_ms() -> None:
    """Of processor time, best of five; a machine on which its two libraries alone take that long is excused."""
    timed = "import time; began = time.process_time(); import {}; print(time.process_time() - began)"
    libraries, engine = (
        min(float(run(timed.format(names))) for _ in range(5)) for names in ("sqlalchemy, psycopg", "db.engine")
    )

    assert engine < 0.3 or libraries > 0.25
    assert engine < 1.5 * libraries
