"""The shell lines of a runbook, typed as they stand."""

import re
import textwrap

from tests.deployment import CHECKOUT, Stack

# The clone's own entry point would run the original checkout, which is installed into the shared environment. A person
# reads on after a status that tells of problems.
_PGSTACK = """\
pgstack() { .venv/bin/python -m ops.main "$@" || { code=$?; [ "$1" = status ] && [ $code = 1 ] || return $code; }; }
"""


def blocks(page: str) -> list[str]:
    """The shell blocks of docs/runbooks/`page`, in order."""
    text = (CHECKOUT / "docs/runbooks" / page).read_text()
    return [textwrap.dedent(it) for it in re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)]


def typed(stack: Stack, lines: list[str], **environment: str) -> str:
    """What `lines`, some blocks of a runbook, print; fails the test when one of them fails."""
    script = _PGSTACK + "\n".join(lines).replace(".venv/bin/pgstack", "pgstack")
    given = {"PGSTACK_STACK": stack.name, "PAGER": "cat", **environment}
    command = ["env", *(f"{name}={value}" for name, value in given.items())]
    return stack.run(*command, "bash", "-euo", "pipefail", "-c", script).stdout
