"""Runs the programs that build and fetch; their output goes to a log, its last line into the error."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.errors import ToolError

_running: set[subprocess.Popen[bytes]] = set()
_stopping = threading.Event()
_SAYS_ERROR = re.compile(r"(E|ERROR|error|fatal): ")


def run(
    argv: Sequence[str | Path],
    *,
    what: str,
    log: Path,
    hint: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run `argv` to its end, output appended to `log`.

    Raises ToolError with the program's last words, and `hint` at what may mend it, if it cannot be started or fails.
    """
    if _stopping.is_set():
        raise ToolError(f"{what}: not started, because another step failed")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        began = output.tell()
        try:
            process = subprocess.Popen(
                [str(a) for a in argv], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        except OSError as error:
            raise ToolError(f"{what}: cannot start {argv[0]}: {error.strerror}") from error
        _running.add(process)
        try:
            code = process.wait()
        finally:
            _running.discard(process)
            if process.poll() is None:
                process.kill()
                process.wait()
    if code:
        said = f"{what} failed ({Path(argv[0]).name} exited {code}): {last_words(log, began)}"
        raise ToolError(f"{said}{'; ' if hint else ''}{hint} (all of it: {log})")


def output_of(argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """What a quick program prints, stripped.

    Raises ToolError if it cannot be started, fails, or takes more than two minutes.
    """
    try:
        done = subprocess.run(
            [str(a) for a in argv],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"cannot run {argv[0]}: {error}") from error
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["no message"]
        raise ToolError(f"{Path(argv[0]).name} exited {done.returncode}: {words[-1]}")
    return done.stdout.strip()


def stop_all() -> None:
    """End what this process started and refuse to start more: a step beside it failed, or the user interrupted."""
    _stopping.set()
    for process in list(_running):
        process.terminate()


def last_words(log: Path, began: int = 0) -> str:
    """What a program that failed wrote to its log since offset `began`: the first line that says error, or the last."""
    with log.open("rb") as file:
        file.seek(max(began, os.fstat(file.fileno()).st_size - 4000))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    if not lines:
        return "it said nothing"
    return next((line for line in lines if _SAYS_ERROR.match(line)), lines[-1])
