"""What the drills' container is given."""

import re
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from infra.selfhosted.drills import crontab, private_key, program, public_key


def test_the_program_runs_with_psycopg_and_the_standard_library_alone(tmp_path: Path) -> None:
    for name, text in program().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    needed = set(re.findall(r"^(?:from|import) ([\w.]+)", "\n".join(program().values()), re.MULTILINE))
    foreign = {it for it in needed if it.partition(".")[0] not in sys.stdlib_module_names}
    assert {it for it in foreign if not it.startswith("db.drills")} == {"psycopg"}

    shown = subprocess.run(
        [sys.executable, "-m", "db.drills", "--help"], cwd=tmp_path / "program",
        env={"PYTHONPATH": str(tmp_path / "program")}, text=True, capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert "verify" in shown


def test_the_schedule_beats_each_minute_notes_each_hour_and_drills_when_it_is_told() -> None:
    assert [line.partition(" python3 ")[0] for line in crontab("15 4 * * 6").splitlines()] == [
        "* * * * *",
        "0 * * * *",
        "15 4 * * 6",
    ]


def test_the_public_key_tells_nothing_of_the_private_one() -> None:
    private = private_key()
    shown = public_key(private)
    assert load_pem_public_key(shown.encode())
    assert private.splitlines()[1] not in shown
