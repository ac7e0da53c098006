"""The stamp that `pgstack keys export` leaves: whether the keys of this very stack were ever brought elsewhere."""

import datetime
import hashlib
import json

from ops.files import PRIVATE, write
from ops.settings import settings
from ops.stack import Stack


def stamp(stack: Stack) -> None:
    """Remember that the keys were exported now."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write(stack.folder / "keys-exported.json", json.dumps({"at": now, "stack": _identity(stack)}) + "\n", PRIVATE)


def stands(stack: Stack) -> bool:
    """Whether the keys were exported since the stack was made, or they were rotated; one made anew has new ones."""
    try:
        recorded = json.loads((stack.folder / "keys-exported.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(recorded, dict) and recorded.get("stack") == _identity(stack)


def _identity(stack: Stack) -> str:
    """The CA is made together with the first keys and kept as long."""
    present = settings(stack.name).repository_keys[-1]
    known = str(stack.outputs["ca_certificate"]) + (f"key {present}" if present > 1 else "")
    return hashlib.sha256(known.encode()).hexdigest()[:16]
