"""The evidence of the restore drills: what the drills' container kept, and whether it is what was once written."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from db.drills import evidence
from ops.engine import Engine
from ops.files import PRIVATE, write

if TYPE_CHECKING:
    from ops.stack import Stack

_FOLDER = "/var/lib/pgstack-evidence"


@dataclass(frozen=True)
class Drill:
    """`at` is when the transaction that the copy ended with was committed (None: a person chose the target).

    `recovery_seconds` went by until the copy answered; `recovery_point_seconds` old was what was archived last.
    """

    began: datetime.datetime
    ended: datetime.datetime
    passed: bool
    problems: tuple[str, ...]
    at: datetime.datetime | None
    backup: str | None
    tables_compared: int
    rows_compared: int
    not_compared: dict[str, str]
    recovery_seconds: float | None
    recovery_point_seconds: float | None
    interrupted_before: bool

    @property
    def words(self) -> str:
        """How it ended."""
        return "passed" if self.passed else "failed"


@dataclass(frozen=True)
class Drills:
    """Oldest first; `since` is when there could first have been one, `broken` says what is wrong with the evidence."""

    since: datetime.datetime
    drills: tuple[Drill, ...]
    broken: str | None = None

    @property
    def last(self) -> Drill | None:
        """The newest."""
        return self.drills[-1] if self.drills else None

    @property
    def proven(self) -> Drill | None:
        """The newest that passed and compared something with the ledger."""
        return next((it for it in reversed(self.drills) if it.passed and it.tables_compared), None)


def ask(engine: Engine, container: str, stack: Stack) -> Drills:
    """What is kept, verified; what this machine saw of it is remembered. Raises EngineError."""
    since = datetime.datetime.fromisoformat(engine.read(container, f"{_FOLDER}/since").strip())
    lines = engine.read(container, f"{_FOLDER}/{evidence.NAME}").splitlines()
    key = str(stack.outputs["drills_public_key"])
    broken = verified(lines, key) or _forgotten(stack, lines, key)
    if broken is None:
        _remember(stack, lines, key)
    return Drills(since, tuple(parse(it) for it in lines if it.startswith("{")), broken)


def verified(lines: Sequence[str], key: str) -> str | None:
    """What is wrong with the chain by the public key (PEM); None if nothing is."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - loads while the servers are thinking
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    public = load_pem_public_key(key.encode())
    assert isinstance(public, Ed25519PublicKey)  # noqa: S101 - the deployment makes no other

    def bears(signature: bytes, text: bytes) -> bool:
        try:
            public.verify(signature, text)
        except InvalidSignature:
            return False
        return True

    return evidence.broken(lines, bears)


def parse(line: str) -> Drill:
    """One line of the evidence, whose chain is verified elsewhere."""
    given: dict[str, Any] = json.loads(line)["drill"]
    at = (given.get("target") or {}).get("at")
    return Drill(
        began=datetime.datetime.fromisoformat(given["began"]),
        ended=datetime.datetime.fromisoformat(given["ended"]),
        passed=given["outcome"] == "passed",
        problems=tuple(given["problems"]),
        at=datetime.datetime.fromisoformat(at) if at else None,
        backup=given.get("backup"),
        tables_compared=given["tables_compared"],
        rows_compared=given["rows_compared"],
        not_compared=given["not_compared"],
        recovery_seconds=given["recovery_seconds"],
        recovery_point_seconds=given["recovery_point_seconds"],
        interrupted_before=given["interrupted_before"],
    )


def _forgotten(stack: Stack, lines: Sequence[str], key: str) -> str | None:
    """A chain that was cut at its end is whole: only who saw it before can tell."""
    try:
        seen = json.loads((stack.folder / "drills-seen.json").read_text())
    except (OSError, ValueError):
        return None
    count = int(seen["lines"])
    if seen["key"] != _short(key) or not count:
        return None
    if len(lines) < count:
        return f"{count} lines were there once, {len(lines)} are left: the newest were removed"
    if evidence.hashed(lines[count - 1]) != seen["last"]:
        return f"line {count} is not the one that this machine saw there"
    return None


def _remember(stack: Stack, lines: Sequence[str], key: str) -> None:
    seen = {"key": _short(key), "lines": len(lines), "last": evidence.hashed(lines[-1]) if lines else ""}
    write(stack.folder / "drills-seen.json", json.dumps(seen) + "\n", PRIVATE)


def _short(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]
