"""Evidence is a chain of signed lines: any change of it shows."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from db.drills import evidence, metrics
from ops.readings.drills import verified

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    path = tmp_path / evidence.NAME
    for number in range(3):
        evidence.append(path, {"number": number, "outcome": "passed"}, KEY.sign)
    return path.read_text().splitlines()


def test_a_chain_as_it_was_written_is_whole(lines: list[str]) -> None:
    assert len(lines) == 3
    assert verified(lines, PUBLIC) is None
    assert verified([], PUBLIC) is None


def edited(lines: list[str]) -> list[str]:
    return [lines[0], lines[1].replace("passed", "failed"), lines[2]]


def forged(lines: list[str]) -> list[str]:
    """A whole chain, by somebody else's key."""
    other = Ed25519PrivateKey.generate()
    return [*lines, evidence.line({"number": 3}, lines[-1], other.sign)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (edited, "line 2 does not bear the stack's signature: it was changed"),
        (lambda it: it[1:], "line 1 does not follow the line before it: one was changed, added or removed"),
        (lambda it: [it[0], it[2]], "line 2 does not follow the line before it: one was changed, added or removed"),
        (
            lambda it: [it[0], it[0], *it[1:]],
            "line 2 does not follow the line before it: one was changed, added or removed",
        ),
        (lambda it: [*it, "{}"], "line 4 is no evidence"),
        (lambda it: [*it, "not JSON"], "line 4 is no evidence"),
        (forged, "line 4 does not bear the stack's signature: it was changed"),
    ],
)
def test_any_change_is_told(lines: list[str], change: Callable[[list[str]], list[str]], told: str) -> None:
    assert verified(change(lines), PUBLIC) == told


def test_a_line_that_a_crash_cut_short_is_replaced_by_the_next(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / evidence.NAME
    path.write_text("\n".join(lines) + "\n" + lines[0][:40])

    evidence.append(path, {"number": 3}, KEY.sign)

    there = path.read_text().splitlines()
    assert there[:3] == lines
    assert json.loads(there[3])["drill"] == {"number": 3}
    assert verified(there, PUBLIC) is None


def test_metrics_are_prometheus_text_and_leave_out_what_is_not_known() -> None:
    drill = {
        "ended": "2026-11-22T04:00:00+00:00",
        "outcome": "failed",
        "recovery_seconds": None,
        "recovery_point_seconds": 12.5,
        "tables_compared": 0,
    }
    shown = [line for line in metrics.text(drill, None).splitlines() if not line.startswith("#")]
    assert shown == [
        "pgstack_drill_last_timestamp_seconds 1795320000.0",
        "pgstack_drill_last_passed 0",
        "pgstack_drill_recovery_point_seconds 12.5",
        "pgstack_drill_compared_tables 0",
    ]
    assert metrics.text(drill, None).endswith("\n")
