"""Small files beside the state: whole or not at all, and readable by whom they are meant for."""

import os
import tempfile
from pathlib import Path

from ops.errors import OpsError

PUBLIC, PRIVATE = 0o644, 0o600


def write(path: Path, text: str, mode: int = PUBLIC) -> Path:
    """Make `path` hold `text` with `mode`; an equal file is left alone. Raises OpsError naming the path."""
    try:
        if path.is_file() and path.read_text() == text and path.stat().st_mode & 0o777 == mode:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        Path(temporary).replace(path)
    except OSError as error:
        raise OpsError(
            f"{path} can't be written ({error.strerror}): check its folder's owner and free space"
        ) from error
    return path
