"""One line a drill, for ever: each names the one before by its hash and is signed (Ed25519, RFC 8032).

A line is a JSON object of `drill`, `previous` (SHA-256 of the line before, in hex; "" for the first) and `signature`:
base64, over `drill` and `previous` as JSON with sorted keys and without spaces.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

NAME = "drills.jsonl"


def signed_text(drill: Mapping[str, Any], previous: str) -> bytes:
    """What the signature is over."""
    return json.dumps({"drill": drill, "previous": previous}, sort_keys=True, separators=(",", ":")).encode()


def line(drill: Mapping[str, Any], previous: str, sign: Callable[[bytes], bytes]) -> str:
    """The line about `drill` that follows the line `previous` ("": it is the first)."""
    before = hashed(previous)
    signature = base64.b64encode(sign(signed_text(drill, before))).decode()
    return json.dumps({"drill": drill, "previous": before, "signature": signature}, sort_keys=True)


def hashed(text: str) -> str:
    """How the next line names this one."""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def broken(lines: Sequence[str], verified: Callable[[bytes, bytes], bool]) -> str | None:
    """The first thing that is wrong with the chain; None if nothing is. `verified` gets signature and text."""
    previous = ""
    for number, text in enumerate(lines, 1):
        try:
            given = json.loads(text)
            signature, drill, before = base64.b64decode(given["signature"]), given["drill"], given["previous"]
        except (ValueError, KeyError, TypeError):
            return f"line {number} is no evidence"
        if before != hashed(previous):
            return f"line {number} does not follow the line before it: one was changed, added or removed"
        if not verified(signature, signed_text(drill, before)):
            return f"line {number} does not bear the stack's signature: it was changed"
        previous = text
    return None


def append(path: Path, drill: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> None:
    """Add the line about `drill`; it is on disk when this returns."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        there = path.read_text()
        whole = there[: there.rfind("\n") + 1]
        if whole != there:  # the host went down while the last line was written
            os.ftruncate(descriptor, len(whole.encode()))
        previous = whole.splitlines()[-1] if whole else ""
        os.write(descriptor, f"{line(drill, previous, sign)}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def openssl(key: Path, draft: Path) -> Callable[[bytes], bytes]:
    """Sign with the private key (PEM) in `key`; `draft` is a file to be written for it."""

    def sign(text: bytes) -> bytes:
        draft.write_bytes(text)
        try:
            return subprocess.run(
                ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(key), "-in", str(draft)],
                capture_output=True, check=True,
            ).stdout  # fmt: skip
        finally:
            draft.unlink()

    return sign
