"""What a user reads when a deployment fails: the lines under `Diagnostics:`."""

import re
import subprocess

_NOT_THE_REASON = {"update failed", "preview failed"}  # Pulumi adds it to whatever went wrong


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The errors that `done` reported, one string each; lines of one error that follow its first are their own."""
    assert done.returncode != 0, f"it succeeded:\n{done.stdout[-3000:]}"
    _, found, diagnostics = done.stdout.partition("\nDiagnostics:\n")
    if not found:  # refused before it began
        diagnostics = "\n".join(line for line in done.stderr.splitlines() if line.strip())
    shown, within = [], False
    for line in diagnostics.splitlines():
        if match := re.match(r"\s*error: +(.*)", line):
            within = match[1] not in _NOT_THE_REASON
            if within:
                shown.append(match[1])
        elif within and line.startswith("    ") and line.strip():
            shown.append(line.strip())
        elif not line.startswith(" "):
            within = False
    return shown
